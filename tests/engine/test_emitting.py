"""What nodes emit, in which order, and what bounds it."""

import asyncio
import time
from typing import Any

import pytest

from graphwire import Context, Graph
from graphwire.engine.options import Options
from graphwire.errors import StorageUnavailable
from graphwire.events.notices import ExecutionProgress
from tests.engine.hosting import heard, hosted, over_but_not_stored
from tests.engine.running import course, nothing, others, turn, without_times
from tests.waiting import PATIENCE_S

HOLD_S = 1.0  # ten times what is told, so that a busy machine's watchdog gets to look


@pytest.mark.capability("NOD-16", "EVT-59")
async def test_messages_tokens_progress_and_log_lines_become_events() -> None:
    async def node(ctx: Context) -> None:
        await ctx.emit({"n": 1}, scope="sums", unit="m")
        await ctx.token("Hel", "answer")
        await ctx.token("lo", "answer", final=True)
        await ctx.progress(1, 2, "half")
        await ctx.log("careful", level="warning", n=3)

    done = await course(Graph("g").node(node))

    message = done.one("node_message")
    assert (message.scope, bytes(message.message), bytes(message.metadata)) == ("sums", b'{"n":1}', b'{"unit":"m"}')
    assert [(chunk.data.text, chunk.data.is_final) for chunk in done.of("llm_chunk")] == [("Hel", False), ("lo", True)]
    assert (done.one("node_progress").completed, done.one("node_progress").total) == (1, 2)
    assert (done.one("node_log").level, bytes(done.one("node_log").fields)) == ("warning", b'{"n":3}')


@pytest.mark.capability("NOD-16", "HUB-32")
async def test_what_threads_emit_keeps_their_order_and_stands_before_their_end() -> None:
    def worker(ctx: Context) -> None:
        for number in range(1_500):
            ctx.emit(number, scope=ctx.node_id)

    graph = Graph("g").node(nothing(), id="start")
    for number in range(4):
        graph.node(worker, id=f"w{number}").edge("start", f"w{number}")

    done = await course(graph)

    for number in range(4):
        mine = [int(bytes(e.data.message)) for e in done.of("node_message") if e.node_id == f"w{number}"]
        assert mine == list(range(1_500))
        last = max(e.seq for e in done.of("node_message") if e.node_id == f"w{number}")
        assert last < next(e.seq for e in done.of("node_completed") if e.node_id == f"w{number}")


@pytest.mark.bad_input(95)
async def test_emissions_over_the_bound_are_dropped_and_counted_exactly() -> None:
    async def chatty(ctx: Context) -> None:
        for number in range(25):
            await ctx.emit(number)

    done = await course(Graph("g", limits={"max_events_per_activation": 10}).node(chatty))

    assert len(done.of("node_message")) == 10
    assert done.one("events_dropped").count == 15
    assert done.types()[-4:] == ["events_dropped", "node_completed", "execution_completed", "stream_end"]


async def test_what_is_emitted_after_the_end_of_the_attempt_is_discarded() -> None:
    kept: list[Context] = []

    async def early(ctx: Context) -> None:
        kept.append(ctx)

    async def late() -> None:
        await kept[0].emit("too late")

    done = await course(Graph("g").node(early).node(late).edge(early, late))

    assert done.of("node_message") == []


@pytest.mark.bad_input(131)
async def test_at_the_bound_an_emission_waits_and_one_that_is_not_awaited_is_dropped_and_counted() -> None:
    async def chatty(ctx: Context) -> None:
        for number in range(66_000):
            ctx.emit(number)
        await ctx.emit("awaited")

    async with hosted() as host:
        runner = await host.start(host.runner(Graph("g").node(chatty)))
        host.store.unavailable = "the disk is away"
        while runner.hub.has_room:
            await turn()
        host.store.unavailable = None
        events = await host.ended(runner)

    messages = [event for event in events if event.type == "node_message"]
    dropped = next(event.data for event in events if event.type == "events_dropped")
    assert bytes(messages[-1].data.message) == b'"awaited"'
    assert len(messages) + dropped.count == 66_001
    assert dropped.count > 0


@pytest.mark.bad_input(92)
async def test_a_coroutine_that_holds_the_loop_is_named_and_a_plain_function_does_not_hold_it() -> None:
    async def rude() -> None:
        ends = time.monotonic() + HOLD_S
        while time.monotonic() < ends:
            pass

    async def late_rude() -> None:
        await turn()
        ends = time.monotonic() + HOLD_S
        while time.monotonic() < ends:
            pass

    def polite() -> None:
        ends = time.monotonic() + HOLD_S
        while time.monotonic() < ends:
            pass

    graph = Graph("g").node(rude).node(late_rude).node(polite).edge(rude, late_rude).edge(late_rude, polite)

    done = await course(graph)

    warnings = done.of("diagnostic")
    assert [warning.node_id for warning in warnings] == ["rude", "late_rude"]
    assert {warning.data.problem for warning in warnings} == {"event_loop_blocked"}


@pytest.mark.bad_input(92)
async def test_a_chatty_execution_lets_others_run() -> None:
    async def chatty(ctx: Context) -> None:
        for number in range(20_000):
            await ctx.emit(number)

    async with others() as counted:
        await course(Graph("g").node(chatty))

    assert counted.turns > 20


async def test_a_long_chain_lets_others_run() -> None:
    graph = Graph("g", limits={"max_steps": 5_000}).entry("a").node(count_up, id="a")
    graph.edge("a", "a", when="state.n < 3000")

    async with others() as counted:
        done = await course(graph, {"n": 0})

    assert done.state == {"n": 3000}
    assert counted.turns > 5


async def count_up(n: int) -> dict[str, int]:
    return {"n": n + 1}


def noisy() -> Graph:
    """Parallel branches whose nodes finish and speak in an order that differs from run to run."""

    async def speak(ctx: Context) -> dict[str, Any]:
        for number in range(3):
            await ctx.emit([ctx.node_id, number])
            await turn()
        return {"last": ctx.node_id, ctx.node_id: ctx.random.random()}

    def thread(ctx: Context) -> dict[str, Any]:
        ctx.emit("from a thread")
        return {"last": "thread"}

    async def fail() -> None:
        raise ValueError("always")

    graph = Graph("g", reducers={"list": "append"}, state={"items": [3, 1, 2]}).node(nothing(), id="start")
    graph.node(speak, id="a").node(speak, id="b").node(thread, id="c").node(fail, id="d", on_error="continue")
    body = {"id": "item", "type": "function", "config": {"function": speak}}
    graph.node("e", "foreach", {"items": "state.items", "body": body, "max_parallelism": 2})
    graph.node("f", "delay", {"seconds": 0.001})
    graph.node(nothing(), id="join")
    for name in "abcdef":
        graph.edge("start", name).edge(name, "join")
    return graph


@pytest.mark.capability("SCH-07", "SCH-01")
async def test_in_deterministic_order_two_runs_tell_the_same_events() -> None:
    runs = [await course(noisy(), ordering="deterministic") for _ in range(5)]

    for later in runs[1:]:
        assert without_times(later.events) == without_times(runs[0].events)
    assert runs[0].finished.status == "completed"


async def test_in_deterministic_order_results_commit_in_dispatch_order_and_output_is_held() -> None:
    second_done = asyncio.Event()

    async def slow(ctx: Context) -> None:
        await second_done.wait()
        await ctx.emit("slow")

    async def quick(ctx: Context) -> None:
        await ctx.emit("quick")
        second_done.set()

    graph = Graph("g").node(nothing(), id="start").node(slow).node(quick).edge("start", slow).edge("start", quick)

    done = await course(graph, ordering="deterministic")

    assert done.nodes() == ["start", "slow", "quick"]
    assert [bytes(event.data.message) for event in done.of("node_message")] == [b'"slow"', b'"quick"']


async def test_in_deterministic_order_parallelism_is_bounded_and_real() -> None:
    both = asyncio.Barrier(2)

    async def meet() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await both.wait()

    graph = Graph("g", limits={"max_parallelism": 2}).node(nothing(), id="start")
    for name in ("a", "b", "c", "d"):
        graph.node(meet, id=name).edge("start", name)

    done = await course(graph, ordering="deterministic")

    assert done.nodes() == ["start", "a", "b", "c", "d"]


@pytest.mark.capability("EXE-24", "EVT-53")
async def test_progress_ends_at_a_hundred_percent_directly_before_the_terminal_event() -> None:
    async with hosted() as host:
        runner = await host.start(
            host.runner(Graph("g").node(nothing(), id="a").node(nothing(), id="b").edge("a", "b"))
        )
        await host.ended(runner)

    notice = runner.hub.notice
    assert isinstance(notice, ExecutionProgress)
    assert notice.percent == 100.0


async def test_under_sync_a_node_runs_when_what_it_follows_from_is_stored() -> None:
    seen: list[tuple[int, int]] = []

    async with hosted() as host:

        async def look() -> None:
            seen.append((runner.hub.stored, runner.hub.visible))

        graph = Graph("g").node(look, id="a").node(look, id="b").edge("a", "b")
        runner = host.runner(graph, durability="sync")
        events = await host.ended(await host.start(runner))

    completed = next(event.seq for event in events if event.node_id == "a" and event.type == "node_completed")
    assert seen[1][0] >= completed
    assert seen[1][1] == seen[1][0]


async def test_a_node_with_effects_waits_until_its_past_is_stored() -> None:
    stored: list[int] = []

    async with hosted() as host:

        async def charge() -> None:
            stored.append(runner.hub.stored)

        graph = Graph("g").node(nothing(), id="a").node(charge, effects=True).edge("a", charge)
        runner = host.runner(graph, options=Options(seed=1))
        events = await host.ended(await host.start(runner))

    completed = next(event.seq for event in events if event.node_id == "a" and event.type == "node_completed")
    assert stored[0] >= completed


async def test_a_start_that_cannot_be_stored_is_refused_and_leaves_nothing() -> None:
    async with hosted() as host:
        host.store.unavailable = "the disk is away"
        runner = host.runner(Graph("g").node(nothing(), id="a"))
        with pytest.raises(StorageUnavailable, match="the disk is away"):
            await runner.accept()
        assert host.store.start_of(runner.id) is None


async def test_the_end_is_shown_only_once_it_is_stored() -> None:
    async with hosted() as host:
        async with over_but_not_stored(host) as runner:
            early = runner.status
            assert runner.hub.visible < runner.hub.published - 1

        assert (early, runner.status) == ("running", "completed")


async def test_under_sync_nothing_is_told_ahead_of_what_is_visible() -> None:
    gate = asyncio.Event()

    async def wait() -> None:
        await gate.wait()

    async def count(n: int) -> dict[str, int]:
        return {"n": n + 1}

    async with hosted() as host:
        graph = Graph("g", state={"n": 0}).node(wait).node(count).edge(wait, count)
        runner = await host.start(host.runner(graph, durability="sync"))
        await heard(runner, "node_started")
        host.store.unavailable = "the disk is away"
        gate.set()
        while runner.hub.published < 3:
            await turn()
        early = runner.look()
        host.store.unavailable = None
        await host.ended(runner)

    assert early.steps <= 1
    assert early.progress.completed == 0
    assert early.state().state == b'{"n":0}'
    assert early.seq <= 2
