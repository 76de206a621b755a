"""What a graph does from its start to its end."""

import asyncio
from typing import Any

import pytest

from graphwire import DELETE, Context, Goto, Graph, Result, run
from tests.engine.hosting import hosted
from tests.engine.running import course


async def first() -> dict[str, int]:
    return {"total": 120}


async def second(total: int) -> int:
    return total * 2


async def third() -> None:
    return None


@pytest.mark.capability("EVT-04", "EVT-05", "EXE-22")
async def test_a_chain_runs_in_order_and_its_state_flows_along_the_edges() -> None:
    graph = Graph("orders").node(first).node(second, output="double").node(third)
    graph.edge(first, second).edge(second, third)

    done = await course(graph)

    assert done.nodes() == ["first", "second", "third"]
    assert done.state == {"total": 120, "double": 240}
    assert done.finished.outcome == "success"
    assert done.types()[0] == "execution_started"
    assert done.one("execution_completed").steps == 3


async def test_a_result_that_is_no_mapping_stands_under_the_nodes_id() -> None:
    done = await course(Graph("g").node(first).node(second).edge(first, second))

    assert done.state["second"] == 240


async def test_with_output_a_mapping_stands_whole_under_that_key() -> None:
    done = await course(Graph("g").node(first, output="box"))

    assert done.state == {"box": {"total": 120}}


async def test_delete_removes_a_key() -> None:
    async def drop() -> dict[str, Any]:
        return {"secret": DELETE}

    done = await course(Graph("g", state={"secret": 1, "kept": 2}).node(drop))

    assert done.state == {"kept": 2}


async def test_a_start_replaces_initial_values_key_by_key() -> None:
    done = await course(Graph("g", state={"a": {"x": 1}, "b": 2}).node(third), {"a": {"y": 3}})

    assert done.state == {"a": {"y": 3}, "b": 2}


@pytest.mark.capability("EXE-15")
async def test_every_condition_that_holds_fires_and_else_fires_when_none_does() -> None:
    def fan() -> Graph:
        graph = Graph("g").node(third, id="start").node(third, id="a").node(third, id="b").node(third, id="c")
        graph.edge("start", "a", when="state.n > 1").edge("start", "b", when="state.n > 2")
        return graph.edge("start", "c", else_=True)

    assert sorted((await course(fan(), {"n": 5})).nodes()) == ["a", "b", "start"]
    assert (await course(fan(), {"n": 0})).nodes() == ["start", "c"]


@pytest.mark.bad_input(47)
async def test_a_branch_ends_where_no_condition_holds_and_says_what_it_looked_at() -> None:
    graph = Graph("g").node(third, id="a").node(third, id="b").edge("a", "b", when="state.n > 1")

    done = await course(graph, {"n": 1})

    assert done.finished.status == "completed"
    assert done.nodes() == ["a"]
    diagnostic = done.one("diagnostic")
    assert diagnostic.problem == "no_route"
    assert b'"n":"1"' in bytes(diagnostic.facts)


async def test_a_condition_sees_the_result_of_its_source() -> None:
    async def rate() -> float:
        return 0.25

    graph = Graph("g").node(rate).node(third, id="low").node(third, id="high")
    graph.edge(rate, "low", when="result < 0.5").edge(rate, "high", when="result >= 0.5")

    assert (await course(graph)).nodes() == ["rate", "low"]


@pytest.mark.bad_input(24)
async def test_a_loop_runs_until_its_condition_fails() -> None:
    async def count(n: int) -> dict[str, int]:
        return {"n": n + 1}

    graph = Graph("g", state={"n": 0}).entry("count").node(count).node(third)
    graph.edge(count, count, when="state.n < 5").edge(count, third, else_=True)

    done = await course(graph)

    assert done.state == {"n": 5}
    assert done.nodes() == ["count"] * 5 + ["third"]
    assert [event.pass_number for event in done.of("node_started")] == [1, 2, 3, 4, 5, 1]


@pytest.mark.capability("EXE-13")
async def test_a_join_waits_for_branches_of_any_length_and_for_none_that_was_not_taken() -> None:
    graph = Graph("g").node(third, id="start")
    for name in ("short", "long1", "long2", "never", "join"):
        graph.node(third, id=name)
    graph.edge("start", "short").edge("start", "long1").edge("long1", "long2")
    graph.edge("start", "never", when="false").edge("short", "join").edge("long2", "join").edge("never", "join")

    done = await course(graph)

    assert done.nodes().count("join") == 1
    assert done.nodes()[-1] == "join"
    assert "never" not in done.nodes()


async def test_a_join_sees_what_all_its_branches_wrote() -> None:
    async def left() -> dict[str, int]:
        return {"left": 1}

    async def right() -> dict[str, int]:
        return {"right": 2}

    async def join(state: Any) -> list[str]:
        return sorted(state)

    graph = Graph("g").node(third, id="start").node(left).node(right).node(join, output="keys")
    graph.edge("start", left).edge("start", right).edge(left, join).edge(right, join)

    assert (await course(graph)).state["keys"] == ["left", "right"]


async def test_branches_do_not_see_each_other() -> None:
    wrote = asyncio.Event()

    async def writer() -> dict[str, int]:
        wrote.set()
        return {"x": 1}

    async def reader(ctx: Context) -> bool:
        await wrote.wait()
        return "x" in ctx.state

    graph = Graph("g").node(third, id="start").node(writer).node(reader, output="saw")
    graph.edge("start", writer).edge("start", reader)

    done = await course(graph)

    assert done.state == {"x": 1, "saw": False}


@pytest.mark.capability("STA-05", "EVT-40")
@pytest.mark.bad_input(98)
@pytest.mark.parametrize(("policy", "expected"), [("last_write_wins", 2), ("first_write_wins", 1), ("fail", None)])
async def test_different_values_under_one_key_are_a_conflict_with_a_policy(policy: Any, expected: int | None) -> None:
    async def one() -> dict[str, int]:
        return {"x": 1}

    async def two() -> dict[str, int]:
        return {"x": 2}

    graph = Graph("g", conflicts={"x": policy}).node(third, id="start").node(one).node(two).node(third, id="join")
    graph.edge("start", one).edge("start", two).edge(one, "join").edge(two, "join")

    done = await course(graph)

    if expected is None:
        assert done.finished.error is not None
        assert done.finished.error.code == "merge_conflict"
        assert done.nodes("node_started")[-1] == "join"
        return
    conflict = done.one("state_merge_conflict_detected")
    assert (conflict.key, conflict.nodes, conflict.policy) == ("x", ["one", "two"], policy)
    assert done.state == {"x": expected}


@pytest.mark.bad_input(98)
async def test_a_join_that_waits_for_itself_is_released() -> None:
    graph = Graph("g").entry("start")
    for name in ("start", "a", "b"):
        graph.node(third, id=name)
    graph.edge("start", "a").edge("start", "b").edge("a", "b").edge("b", "a", when="false")

    done = await course(graph)

    assert done.finished.status == "completed"
    released = done.one("join_released")
    assert released.missing in (["b>a"], ["a>b"])


async def test_a_goto_replaces_the_success_edges_and_append_adds_to_them() -> None:
    def routed(append: bool) -> Graph:
        async def route() -> Goto:
            return Goto("far", {"by": "goto"}, append=append)

        graph = Graph("g").node(route, goto=["far"]).node(third, id="near").node(third, id="far")
        return graph.edge(route, "near")

    assert (await course(routed(False))).nodes() == ["route", "far"]
    both = await course(routed(True))
    assert sorted(both.nodes()) == ["far", "near", "route"]
    assert both.state == {"by": "goto"}


async def test_a_goto_to_a_target_that_is_not_listed_fails_the_attempt() -> None:
    async def route() -> Goto:
        return Goto("elsewhere")

    done = await course(Graph("g").node(route))

    assert done.finished.error is not None
    assert done.finished.error.code == "routing_error"


@pytest.mark.capability("NOD-17")
async def test_each_yield_of_a_generator_is_a_message_and_the_last_is_the_result() -> None:
    async def stream() -> Any:
        yield "a"
        yield "b"

    async def summed() -> Any:
        yield "a"
        yield Result(2)

    plain = await course(Graph("g").node(stream))
    closing = await course(Graph("g").node(summed))

    assert [(event.data.scope, bytes(event.data.message)) for event in plain.of("node_message")] == [
        ("yield", b'"a"'),
        ("yield", b'"b"'),
    ]
    assert plain.state == {"stream": "b"}
    assert len(closing.of("node_message")) == 1
    assert closing.state == {"summed": 2}


@pytest.mark.capability("SCH-07")
async def test_random_numbers_depend_on_seed_and_activation_alone() -> None:
    async def draw(ctx: Context) -> float:
        return ctx.random.random()

    def graph() -> Graph:
        return Graph("g").node(draw, id="a").node(draw, id="b").edge("a", "b")

    one, same, other = [(await course(graph(), seed=seed)).state for seed in (1, 1, 2)]

    assert one == same
    assert one["a"] != one["b"]
    assert one != other


async def test_the_same_course_has_the_same_activations() -> None:
    def graph() -> Graph:
        graph = Graph("g").node(third, id="s").node(third, id="a").node(third, id="b").node(third, id="j")
        return graph.edge("s", "a").edge("s", "b").edge("a", "j").edge("b", "j")

    runs = [[event.activation for event in (await course(graph())).of("node_completed")] for _ in range(2)]

    assert sorted(map(str, runs[0])) == sorted(map(str, runs[1]))
    assert len(set(runs[0])) == 4


async def test_without_a_listener_a_run_ends_the_same() -> None:
    graph = Graph("orders").node(first).node(second, output="double").edge(first, second)

    silent = await run(graph)

    assert silent == (await course(graph)).finished


async def test_full_detail_is_told_in_its_order() -> None:
    graph = Graph("g").node(first).node(third, id="b").edge(first, "b", when="state.total > 100")

    async with hosted() as host:
        events = await host.events(graph, detail="full")

    assert [event.type for event in events if event.node_id == "first"] == [
        "node_entered",
        "node_started",
        "condition_evaluated",
        "node_completed",
        "state_changed",
        "data_flow",
        "node_exited",
    ]
