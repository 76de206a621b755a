"""``while``: a graph again and again."""

from typing import Any

import pytest
from hypothesis import given, strategies as st

from graphwire import Graph, run_sync
from graphwire.types import Ordering
from tests.engine.running import course

COUNT = {"id": "count", "type": "transform", "config": {"set": {"n": "state.n + 1"}}}


def loop(condition: str, body: Any = COUNT, *, options: Any = None, **config: Any) -> Graph:
    return Graph("g", **(options or {})).node("loop", "while", {"condition": condition, "body": body, **config})


@pytest.mark.capability("NOD-06")
@pytest.mark.parametrize("ordering", ["as_finished", "deterministic"])
async def test_it_runs_its_body_as_long_as_the_condition_holds(ordering: Ordering) -> None:
    done = await course(loop("state.n < 3"), {"n": 0}, ordering=ordering)

    assert done.state == {"n": 3}
    assert [event.path[0]["index"] for event in done.of("node_completed") if event.path] == [0, 1, 2]
    assert done.one("execution_completed").steps == 4


@pytest.mark.capability("NOD-06")
async def test_a_condition_that_is_false_at_once_runs_nothing() -> None:
    done = await course(loop("false"), {"n": 0})

    assert done.state == {"n": 0}
    assert done.nodes() == ["loop"]


@pytest.mark.capability("NOD-06")
async def test_a_body_ends_the_loop_by_what_it_writes() -> None:
    body = Graph("b").node("count", "transform", {"set": {"n": "state.n + 1"}})
    body.node("stop", "transform", {"set": {"done": "true"}}).edge("count", "stop", when="state.n == 3")

    done = await course(loop('not get(state, "done", false)', body), {"n": 0})

    assert done.state == {"n": 3, "done": True}


@pytest.mark.capability("NOD-06")
async def test_a_condition_that_always_holds_fails_at_the_limit() -> None:
    done = await course(loop("true"), {"n": 0})

    error = done.finished.error
    assert error is not None
    assert (error.code, error.node) == ("loop_limit_exceeded", "loop")
    assert len([event for event in done.of("node_completed") if event.path]) == 100


async def test_its_iterations_are_steps_so_the_limit_of_steps_holds() -> None:
    done = await course(loop("true", options={"limits": {"max_steps": 5}}), {"n": 0})

    assert done.finished.error is not None
    assert done.finished.error.code == "max_steps_exceeded"


@pytest.mark.parametrize("condition", ["state.nothing", "1"])
async def test_a_condition_that_gives_no_boolean_is_an_input_error(condition: str) -> None:
    done = await course(loop(condition), {"n": 0})

    assert done.finished.error is not None
    assert done.finished.error.code == "input_error"


async def test_a_condition_may_fail_later_too() -> None:
    done = await course(loop("10 / (2 - state.n) > 0"), {"n": 0})

    assert done.finished.error is not None
    assert done.finished.error.code == "input_error"


async def test_the_number_of_the_iteration_is_a_key_that_is_not_written() -> None:
    body = {"id": "note", "type": "transform", "config": {"set": {"seen": "state.seen + [state.i]"}}}

    done = await course(loop("state.i < 3", body, index="i"), {"seen": []})

    assert done.state == {"seen": [0, 1, 2]}


async def test_output_takes_what_all_iterations_wrote() -> None:
    body = {"id": "note", "type": "transform", "config": {"set": {"n": "state.n + 1", "log": "state.n"}}}
    graph = Graph("g", reducers={"log": "append"})
    graph.node("loop", "while", {"condition": "state.n < 2", "body": body}, output="all")

    assert (await course(graph, {"n": 0, "log": [9]})).state == {"n": 0, "log": [9], "all": {"n": 2, "log": [0, 1]}}


async def test_a_failing_iteration_fails_the_loop_with_its_index() -> None:
    body = {"id": "divide", "type": "transform", "config": {"set": {"n": "state.n - 1", "x": "1 / state.n"}}}

    done = await course(loop("true", body), {"n": 1})

    assert done.finished.error is not None
    assert [step["index"] for step in done.finished.error.path] == [1]  # type: ignore[union-attr]  # it has a path


def work(steps: int, *, parallel: bool) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The nodes and edges of one turn of a loop: a chain that begins with ``w0``, perhaps with a branch beside it."""
    nodes = [
        {"id": f"w{i}", "type": "transform", "config": {"set": {"n": f"state.n + {i}", "log": f"'w{i}'"}}}
        for i in range(steps)
    ]
    edges = [{"source": f"w{i}", "target": f"w{i + 1}"} for i in range(steps - 1)]
    nodes[0]["config"]["set"]["turn"] = "state.turn + 1"  # type: ignore[index]  # a config
    if parallel:
        nodes.append({"id": "side", "type": "transform", "config": {"set": {"side": "state.turn", "log": "'s'"}}})
        nodes.append({"id": "end", "type": "transform", "config": {"set": {"seen": "[state.side, state.n]"}}})
        edges += [{"source": "w0", "target": "side"}, {"source": "side", "target": "end"}]
        edges.append({"source": f"w{steps - 1}", "target": "end"})
    return nodes, edges


@given(turns=st.integers(0, 4), steps=st.integers(1, 3), parallel=st.booleans())
def test_a_while_is_the_loop_that_edges_make(turns: int, steps: int, parallel: bool) -> None:
    nodes, edges = work(steps, parallel=parallel)
    state: dict[str, Any] = {"initial": {"turn": 0, "n": 0, "log": []}, "reducers": {"log": "append"}}
    last = "end" if parallel else f"w{steps - 1}"
    config = {"condition": f"state.turn < {turns}", "body": {"nodes": nodes, "edges": edges}}

    looped = Graph("g", state=state["initial"], reducers=state["reducers"]).node("loop", "while", config)
    by_edges = Graph("g", state=state["initial"], reducers=state["reducers"]).node("head", "transform")
    for node in nodes:
        by_edges.node(node["id"], node["type"], node["config"])
    for edge in [*edges, {"source": "head", "target": "w0"}, {"source": last, "target": "head"}]:
        when = f"state.turn < {turns}" if edge["source"] == "head" else None
        by_edges.edge(edge["source"], edge["target"], when=when)

    assert run_sync(looped).state == run_sync(by_edges.entry("head")).state
