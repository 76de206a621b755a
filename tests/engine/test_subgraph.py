"""``subgraph``: a graph as a node of another one."""

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from graphwire import Graph, prepare, run, run_sync
from graphwire.errors import GraphInvalid
from graphwire.types import Ordering
from tests.engine.running import course, nothing


def prices(**options: Any) -> Graph:
    """A graph that has a total computed and a discount deleted."""
    graph = Graph("prices", **options)
    graph.node("sum", "transform", {"set": {"total": "sum(state.items)"}, "delete": ["discount"]})
    graph.node("round", "transform", {"set": {"total": "state.total * 2"}})
    return graph.edge("sum", "round")


@pytest.mark.capability("NOD-08")
async def test_it_begins_with_the_openers_state_and_writes_what_it_wrote() -> None:
    graph = Graph("g").subgraph("price", prices()).node("after", "transform", {"set": {"seen": "state.total"}})
    graph.edge("price", "after")

    done = await course(graph, {"items": [1, 2], "discount": 5, "other": 1})

    assert done.state == {"items": [1, 2], "other": 1, "seen": 6, "total": 6}
    (opener,) = [event for event in done.of("node_completed") if event.node_id == "price"]
    assert msgspec.json.decode(opener.data.result) == {"discount": None, "total": 6}


@pytest.mark.capability("NOD-08")
async def test_its_activations_are_steps_and_tell_their_path() -> None:
    done = await course(Graph("g").subgraph("price", prices()), {"items": [1]})

    assert done.one("execution_completed").steps == 3
    inner = [event for event in done.of("node_started", "node_completed") if event.node_id in ("sum", "round")]
    assert len(inner) == 4
    (opener,) = [event for event in done.of("node_started") if event.node_id == "price"]
    assert all(event.path == [{"node": "price", "activation": opener.activation}] for event in inner)


async def test_output_takes_all_that_it_wrote_as_one_value() -> None:
    done = await course(Graph("g").subgraph("price", prices(), output="bill"), {"items": [1], "discount": 5})

    assert done.state == {"items": [1], "discount": 5, "bill": {"total": 2, "discount": None}}


@pytest.mark.capability("NOD-08")
async def test_inputs_are_state_keys_of_it_and_are_not_written() -> None:
    graph = Graph("g").subgraph("price", prices(), input={"items": "[state.one, 2]"})

    done = await course(graph, {"one": 1})

    assert done.state == {"one": 1, "total": 6}


@pytest.mark.capability("NOD-08")
async def test_without_inheriting_it_finds_nothing_but_its_initial_values_and_inputs() -> None:
    inner = Graph("inner", state={"rate": 2}).node(
        "look", "transform", {"set": {"keys": "keys(state)", "rate": "state.rate"}}
    )
    graph = Graph("g").subgraph("sub", inner, inherit=False, input={"n": "state.a"})

    done = await course(graph, {"a": 1, "rate": 9})

    assert done.state == {"a": 1, "rate": 2, "keys": ["n", "rate"]}


async def test_its_initial_values_stand_in_for_what_is_missing_and_are_not_written() -> None:
    inner = Graph("inner", state={"rate": 2, "other": 3}).node(
        "look", "transform", {"set": {"seen": "[state.rate, state.other]"}}
    )

    done = await course(Graph("g").subgraph("sub", inner), {"rate": 9})

    assert done.state == {"rate": 9, "seen": [9, 3]}


async def test_operations_of_reducers_are_folded_by_the_openers_commit() -> None:
    inner = Graph("inner", reducers={"log": "append", "count": "add"})
    inner.node("a", "transform", {"set": {"log": "'a'", "count": "1"}})
    inner.node("b", "transform", {"set": {"log": "'b'", "count": "2"}}).edge("a", "b")
    graph = Graph("g", state={"log": ["start"], "count": 10}, reducers={"log": "append", "count": "add"})
    graph.node("split", "transform").subgraph("left", inner).subgraph("right", inner).node("join", "transform")
    graph.edge("split", "left").edge("split", "right").edge("left", "join").edge("right", "join")

    done = await course(graph)

    assert done.state == {"log": ["start", "a", "b", "a", "b"], "count": 16}


async def test_reducers_of_the_opener_do_not_hold_inside_another_graph() -> None:
    inner = Graph("inner").node("a", "transform", {"set": {"log": "'a'"}})
    inner.node("b", "transform", {"set": {"log": "state.log + 'b'"}}).edge("a", "b")
    graph = Graph("g", state={"log": ["start"]}, reducers={"log": "append"}).subgraph("sub", inner)

    assert (await course(graph)).state == {"log": ["start", "ab"]}


async def test_a_failure_inside_fails_the_opener_with_the_path_and_its_error_edge_handles_it() -> None:
    async def bad() -> None:
        raise ValueError("no")

    inner = Graph("inner").node(bad)
    middle = Graph("middle").subgraph("inside", inner)
    graph = Graph("g").subgraph("outside", middle).node(nothing(), id="rescue").edge("outside", "rescue", on="error")

    done = await course(graph)

    assert done.finished.status == "completed"
    assert done.nodes("node_failed") == ["bad", "inside", "outside"]
    error = done.state["errors"][0]
    assert (error["node"], error["message"]) == ("outside", "no")
    assert [step["node"] for step in error["path"]] == ["outside", "inside"]


@pytest.mark.parametrize("output", [None, "all"])
async def test_errors_that_it_handled_are_errors_of_the_execution(output: str | None) -> None:
    async def bad() -> None:
        raise ValueError("no")

    inner = Graph("inner").node(bad).node(nothing(), id="rescue").edge("bad", "rescue", on="error")
    options: Any = {} if output is None else {"output": output}

    done = await course(Graph("g").subgraph("sub", inner, **options))

    assert [error["node"] for error in done.finished.errors] == ["bad"]
    assert done.state.get("all", {}) == {}


async def test_a_step_beyond_the_limit_ends_the_execution_from_inside() -> None:
    inner = Graph("inner").node("a", "transform").node("b", "transform").edge("a", "b").edge("b", "b")
    graph = Graph("g", limits={"max_steps": 5}).subgraph("sub", inner).node("never", "transform")
    graph.edge("sub", "never", on="error")

    done = await course(graph)

    assert done.finished.error is not None
    assert done.finished.error.code == "max_steps_exceeded"
    assert done.one("execution_failed").steps == 5
    assert done.nodes("node_cancelled") == ["sub"]


async def test_a_time_limit_of_the_opener_ends_what_runs_inside() -> None:
    async def forever() -> None:
        await asyncio.Event().wait()

    graph = Graph("g").subgraph("sub", Graph("inner").node(forever), timeout_s=0.01)

    done = await course(graph)

    assert done.finished.error is not None
    assert (done.finished.error.code, done.finished.error.node) == ("timeout", "sub")
    assert done.nodes("node_cancelled") == ["forever"]


@pytest.mark.parametrize("ordering", ["as_finished", "deterministic"])
async def test_it_may_be_a_body_and_stand_in_the_body_of_a_foreach(ordering: Ordering) -> None:
    inner = Graph("b").node("twice", "transform", {"set": {"twice": "state.item * 2"}})
    each = {"id": "sub", "type": "subgraph", "config": {"body": inner}}
    graph = Graph("g").node("each", "foreach", {"items": "state.list", "body": each}, output="results")

    done = await course(graph, {"list": [1, 2]}, ordering=ordering)

    assert done.state["results"] == [{"twice": 2}, {"twice": 4}]
    assert done.one("execution_completed").steps == 1


async def test_a_graph_that_it_names_by_id_is_found_among_those_given() -> None:
    graph = Graph("g").node("price", "subgraph", {"graph": "prices"})

    finished = await run(prepare(graph, [prices()]), {"items": [1]})

    assert finished.state["total"] == 2


async def test_a_state_that_does_not_fit_the_schema_of_the_other_graph_is_an_input_error() -> None:
    inner = Graph("inner", schema={"required": ["n"]}).node("a", "transform")

    done = await course(Graph("g").subgraph("sub", inner))

    assert done.finished.error is not None
    assert done.finished.error.code == "input_error"
    assert (await course(Graph("g").subgraph("sub", inner), {"n": 1})).finished.status == "completed"


def test_a_graph_that_is_not_there_is_a_problem_at_its_name() -> None:
    with pytest.raises(GraphInvalid) as refused:
        prepare(Graph("g").node("n", "transform").node("sub", "subgraph", {"graph": "nowhere"}))

    assert [(problem.pointer, problem.code) for problem in refused.value.problems] == [
        ("/nodes/1/config/graph", "unknown_graph")
    ]


def test_graphs_that_run_one_another_are_refused() -> None:
    first, second = Graph("first"), Graph("second").node("back", "subgraph", {"graph": "first"})
    first.subgraph("sub", second)

    with pytest.raises(GraphInvalid, match='would run itself: "first" → "second" → "first"') as refused:
        prepare(first)

    assert refused.value.problems[0].code == "graph_cycle"


def test_two_graphs_with_one_id_are_refused() -> None:
    with pytest.raises(GraphInvalid, match="two graphs"):
        prepare(Graph("g").subgraph("a", prices()).subgraph("b", prices()))


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """A graph of a few nodes that write values, texts to be appended, and deletions; with branches and joins."""
    count = draw(st.integers(1, 6))
    graph = Graph("inner", state={"v0": 1, "log": ["start"]}, reducers={"log": "append"})
    for index in range(count):
        write = {f"v{draw(st.integers(0, 2))}": str(index), **({"log": f"'n{index}'"} if draw(st.booleans()) else {})}
        delete = [f"v{draw(st.integers(0, 2))}"] if draw(st.booleans()) else []
        delete = [key for key in delete if key not in write]
        fails = {"bad": "1 / 0"} if draw(st.integers(0, 9)) == 0 else {}
        graph.node(f"n{index}", "transform", {"set": {**write, **fails}, "delete": delete}, on_error="continue")
        for source in range(index):
            if draw(st.booleans()):
                when = draw(st.sampled_from([None, "has(state.v1)", "get(state, 'v2', 0) > 2"]))
                graph.edge(f"n{source}", f"n{index}", when=when)
    return graph


@given(inner=graphs(), is_body=st.booleans(), between=st.integers(0, 2))
def test_a_graph_as_a_subgraph_comes_to_what_it_comes_to_by_itself(inner: Graph, is_body: bool, between: int) -> None:
    alone = run_sync(inner)
    outer = inner
    for level in range(between + 1):
        state: Any = {"state": {"v0": 1, "log": ["start"]}, "reducers": {"log": "append"}}
        above = Graph(f"outer{level}", **state)
        outer = above.node("sub", "subgraph", {"body": outer}) if is_body else above.subgraph("sub", outer)

    nested = run_sync(outer)

    assert {key: value for key, value in nested.state.items() if key != "errors"} == {
        key: value for key, value in alone.state.items() if key != "errors"
    }
    assert [error["node"] for error in nested.errors] == [error["node"] for error in alone.errors]
    assert (nested.status, nested.outcome) == (alone.status, alone.outcome)
    assert nested.steps == alone.steps + between + 1
