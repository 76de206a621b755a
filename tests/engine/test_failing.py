"""What follows when a node fails."""

import asyncio
import threading
from typing import Any
from uuid import UUID

import pytest

from graphwire import Context, Graph
from graphwire.engine.options import Options
from tests.engine.hosting import heard, hosted
from tests.engine.running import course, nothing, stubborn_until


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def failing(error: BaseException) -> Any:
    async def node() -> None:
        raise error

    return node


def guarded(error: BaseException) -> Graph:
    graph = Graph("g").node(failing(error), id="bad").node(nothing(), id="rescue").node(nothing(), id="next")
    return graph.edge("bad", "rescue", on="error").edge("bad", "next")


@pytest.mark.bad_input(88)
@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"),
        BaseException("x"),
        SystemExit(3),
        KeyboardInterrupt(),
        GeneratorExit(),
        StopIteration(1),
        asyncio.CancelledError(),
        Unprintable(),
        ExceptionGroup("several", [ValueError("inner"), KeyError("other")]),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("in_thread", [False, True], ids=["coroutine", "thread"])
async def test_whatever_a_node_raises_fails_its_attempt_and_nothing_else(error: BaseException, in_thread: bool) -> None:
    def plain() -> None:
        raise error

    node = plain if in_thread else failing(error)
    graph = Graph("g").node(node, id="bad").node(nothing(), id="rescue").edge("bad", "rescue", on="error")

    done = await course(graph)

    assert done.finished.status == "completed"
    failure = done.one("node_failed").error
    assert failure.code == "exception"
    assert failure.node == "bad"
    if isinstance(error, ExceptionGroup):
        assert "inner" in failure.message
    assert done.nodes() == ["rescue"]


@pytest.mark.bad_input(88)
async def test_a_long_message_is_cut_and_surrogates_are_replaced() -> None:
    done = await course(guarded(ValueError("\ud800" + "x" * 10_000)))

    message = done.one("node_failed").error.message
    assert len(message) < 2_100
    assert message.startswith("?x")


async def test_an_error_edge_handles_the_failure_and_success_edges_do_not_fire() -> None:
    done = await course(guarded(ValueError("x")))

    assert done.finished.outcome == "success"
    assert done.nodes() == ["rescue"]
    assert done.one("node_failed").edges == ["bad>rescue"]
    assert [error["message"] for error in done.state["errors"]] == ["x"]


async def test_fail_ends_the_execution_and_cancels_what_runs() -> None:
    running = asyncio.Event()

    async def long() -> None:
        running.set()
        await asyncio.Event().wait()

    async def bad() -> None:
        await running.wait()
        raise ValueError("stop")

    graph = Graph("g").node(nothing(), id="start").node(long).node(bad).edge("start", long).edge("start", bad)

    done = await course(graph)

    assert done.finished.status == "failed"
    assert done.finished.error is not None
    assert done.finished.error.message == "stop"
    assert done.nodes("node_cancelled") == ["long"]
    assert done.finished.errors[0]["node"] == "bad"


@pytest.mark.parametrize(
    ("policy", "ran"), [("continue", ["next", "always"]), ("skip", ["always"])], ids=["continue", "skip"]
)
async def test_a_policy_goes_on_past_the_failure_and_the_outcome_is_partial(policy: Any, ran: list[str]) -> None:
    graph = Graph("g").node(failing(ValueError("x")), id="bad", on_error=policy)
    graph.node(nothing(), id="next").node(nothing(), id="always")
    graph.edge("bad", "next", when="result is null").edge("bad", "always", on="always")

    done = await course(graph)

    assert done.finished.outcome == "partial"
    assert done.nodes() == ran
    assert ("node_skipped_due_to_error_policy" in done.types()) == (policy == "skip")


async def test_the_graphs_policy_stands_where_the_node_has_none() -> None:
    graph = Graph("g", on_error="continue").node(failing(ValueError("x")), id="bad").node(nothing(), id="next")

    done = await course(graph.edge("bad", "next"))

    assert done.nodes() == ["next"]


@pytest.mark.bad_input(46)
@pytest.mark.parametrize(
    "condition", ["1 / state.zero > 1", "state.missing", "state.zero", "state.text < 3", "state.text.upper()"]
)
async def test_a_condition_that_fails_fails_its_source_with_a_routing_error(condition: str) -> None:
    graph = Graph("g", state={"zero": 0, "text": "a"}).node(nothing(), id="a").node(nothing(), id="b")
    graph.node(nothing(), id="rescue").edge("a", "b", when=condition)
    graph.edge("a", "rescue", on="error", when="error.code == 'routing_error'")

    done = await course(graph)

    assert done.nodes() == ["rescue"]
    assert done.one("node_failed").error.code == "routing_error"
    assert '"a>b"' in done.one("node_failed").error.message


async def test_while_a_failure_is_handled_a_condition_that_fails_counts_as_false() -> None:
    graph = Graph("g").node(failing(ValueError("first")), id="bad").node(nothing(), id="rescue")
    graph.edge("bad", "rescue", on="error", when="state.missing > 1")

    done = await course(graph)

    assert done.finished.error is not None
    assert done.finished.error.message == "first"
    assert done.one("diagnostic").severity == "warning"


@pytest.mark.bad_input(89)
@pytest.mark.parametrize(
    "value",
    [b"bytes", {1, 2}, float("nan"), object(), "\ud800", {"deep": {1: 2}}],
    ids=lambda value: type(value).__name__,
)
async def test_a_result_that_is_not_json_fails_the_node_with_the_place(value: Any) -> None:
    async def node() -> Any:
        return {"outer": [value]}

    done = await course(Graph("g").node(node))

    assert done.finished.error is not None
    assert done.finished.error.code == "state_not_serializable"
    assert "/outer/0" in done.finished.error.message


@pytest.mark.bad_input(89)
async def test_known_types_are_converted() -> None:
    async def node() -> Any:
        return {"id": UUID(int=5), "pair": (1, 2)}

    done = await course(Graph("g").node(node))

    assert done.state == {"id": "00000000-0000-0000-0000-000000000005", "pair": [1, 2]}


@pytest.mark.bad_input(90)
@pytest.mark.capability("STA-12")
async def test_a_state_over_its_limit_fails_the_node_with_key_and_size() -> None:
    async def node() -> Any:
        return {"large": "x" * 2_000, "small": 1}

    done = await course(Graph("g", limits={"max_state_bytes": 1_000}).node(node))

    assert done.finished.error is not None
    assert done.finished.error.code == "state_too_large"
    assert '"large"' in done.finished.error.message
    assert "1,000" in done.finished.error.message


@pytest.mark.bad_input(91)
@pytest.mark.capability("STA-02")
async def test_what_a_node_does_to_its_copy_later_reaches_nobody() -> None:
    kept: list[Any] = []

    async def writer(items: list[int]) -> dict[str, Any]:
        items.append(99)
        mine = [1, 2]
        kept.append(mine)
        return {"mine": mine}

    async def reader(items: list[int], mine: list[int]) -> dict[str, Any]:
        kept[0].append(3)
        return {"seen": [items, mine]}

    done = await course(Graph("g", state={"items": [0]}).node(writer).node(reader).edge(writer, reader))

    assert done.state["seen"] == [[0], [1, 2]]
    assert done.state["mine"] == [1, 2]


async def test_nobody_but_the_engine_writes_errors() -> None:
    async def node() -> Any:
        return {"errors": []}

    done = await course(Graph("g").node(node))

    assert done.finished.error is not None
    assert done.finished.error.code == "state_invalid"


async def test_a_parameter_that_the_state_lacks_is_an_input_error() -> None:
    async def node(missing: int) -> None:
        return None

    done = await course(Graph("g").node(node))

    assert done.finished.error is not None
    assert done.finished.error.code == "input_error"
    assert '"missing"' in done.finished.error.message


@pytest.mark.bad_input(96)
@pytest.mark.capability("EXE-07")
async def test_a_loop_without_end_fails_with_the_count_and_the_loops_nodes() -> None:
    graph = Graph("g", limits={"max_steps": 50}).entry("a").node(nothing(), id="a").node(nothing(), id="b")

    done = await course(graph.edge("a", "b").edge("b", "a"))

    assert done.finished.error is not None
    assert done.finished.error.code == "max_steps_exceeded"
    assert "the limit is 50" in done.finished.error.message
    assert "a (25 times)" in done.finished.error.message or "a (26 times)" in done.finished.error.message
    assert len(done.nodes()) == 50


@pytest.mark.capability("EXE-07")
async def test_a_graph_that_ends_exactly_at_the_limit_succeeds() -> None:
    graph = Graph("g", limits={"max_steps": 2}).node(nothing(), id="a").node(nothing(), id="b").edge("a", "b")

    assert (await course(graph)).finished.status == "completed"


@pytest.mark.capability("EXE-10")
async def test_a_node_over_its_time_is_cancelled_and_fails_with_timeout() -> None:
    async def slow() -> None:
        await asyncio.Event().wait()

    graph = Graph("g").node(slow, timeout_s=0.01).node(nothing(), id="rescue").edge(slow, "rescue", on="error")

    done = await course(graph)

    assert done.one("node_failed").error.code == "timeout"
    assert done.nodes() == ["rescue"]


async def test_a_graphs_node_timeout_covers_delays_and_items_too() -> None:
    async def slow(item: int) -> None:
        await asyncio.Event().wait()

    delay = Graph("g", limits={"node_timeout_s": 0.01}).node("wait", "delay", {"seconds": 60})
    items = Graph("g", limits={"node_timeout_s": 0.01}, state={"list": [1]})
    items.node("each", "foreach", {"items": "state.list", "body": Graph("b").node(slow)})

    for graph in (delay, items):
        done = await course(graph)
        assert done.finished.error is not None
        assert done.finished.error.code == "timeout"


@pytest.mark.capability("EXE-08", "EVT-56")
async def test_an_executions_time_limit_is_told_before_its_end() -> None:
    async def slow() -> None:
        await asyncio.Event().wait()

    done = await course(Graph("g", limits={"timeout_s": 0.01}).node(slow))

    assert done.types()[-4:] == ["node_cancelled", "execution_timeout", "execution_failed", "stream_end"]
    assert done.one("execution_timeout").limit == "limits.timeout_s"
    assert done.one("execution_failed").error.code == "timeout"


@pytest.mark.capability("CTL-04", "EVT-36")
async def test_cancel_is_stored_first_and_ends_what_runs() -> None:
    async def long() -> None:
        await asyncio.Event().wait()

    async with hosted() as host:
        runner = await host.start(host.runner(Graph("g").node(long)))
        await heard(runner, "node_started")
        applied = await runner.cancel("enough", by="somebody")
        events = await host.ended(runner)

    accepted = next(event for event in events if event.type == "command_accepted")
    assert accepted.seq == applied
    assert [event.type for event in events if event.seq > applied] == [
        "node_cancelled",
        "execution_cancelled",
        "stream_end",
    ]


@pytest.mark.bad_input(93)
async def test_a_node_that_swallows_its_cancellation_is_named_and_does_not_hold_the_end() -> None:
    release = asyncio.Event()

    async def stubborn() -> str:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return "late"

    async with hosted() as host:
        runner = await host.start(host.runner(Graph("g").node(stubborn), grace_s=0.05))
        await heard(runner, "node_started")
        first = await runner.cancel()
        early = runner.status
        again = await runner.cancel("cancelling again has no further effect")
        events = await host.ended(runner)
        release.set()

    assert again == first + 1
    types = [event.type for event in events]
    assert types[-4:] == ["diagnostic", "node_cancelled", "execution_cancelled", "stream_end"]
    assert '"stubborn"' in events[-4].data.message
    assert (early, runner.status) == ("stopping", "cancelled")


@pytest.mark.bad_input(93)
async def test_a_thread_is_told_of_the_cancellation_and_given_up_after_the_grace_period() -> None:
    release = threading.Event()
    told: list[bool] = []

    def stubborn(ctx: Context) -> None:
        release.wait(30)
        told.append(ctx.cancelled)

    async with hosted() as host:
        graph = Graph("g").node(stubborn, timeout_s=0.01).node(nothing(), id="rescue")
        runner = await host.start(host.runner(graph.edge(stubborn, "rescue", on="error"), grace_s=0.01))
        events = await host.ended(runner)
        release.set()

    assert [event.node_id for event in events if event.type == "node_completed"] == ["rescue"]
    assert any(event.type == "diagnostic" for event in events)


@pytest.mark.bad_input(93)
async def test_the_slot_of_a_lost_node_does_not_stop_the_rest() -> None:
    release = asyncio.Event()

    async with hosted() as host:
        graph = Graph("g").node(stubborn_until(release), id="stubborn", timeout_s=0.01, on_error="continue")
        graph.node(nothing(), id="next").edge("stubborn", "next")
        runner = host.runner(graph, grace_s=0.01, options=Options(max_parallelism=1))
        events = await host.ended(await host.start(runner))
        release.set()

    assert [event.node_id for event in events if event.type == "node_completed"] == ["next"]
