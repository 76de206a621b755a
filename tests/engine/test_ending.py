"""Ends that are hard to reach: cancelled, late, queued, given up, and what must not be left behind."""

import asyncio
import gc
import threading
import weakref
from typing import Any

import pytest

from graphwire import Context, Graph, run
from graphwire.engine.options import Options
from graphwire.engine.supervisor import Supervisor
from graphwire.errors import StorageUnavailable
from tests.engine.hosting import Host, heard, hosted, over_but_not_stored
from tests.engine.running import course, nothing, others, stubborn_until, turn
from tests.waiting import PATIENCE_S


async def test_an_item_over_its_steps_ends_the_run_if_it_was_the_last_thing() -> None:
    body = {
        "nodes": [
            {"id": "a", "type": "transform", "config": {"set": {"x": "1"}}},
            {"id": "b", "type": "template", "config": {"text": ""}},
        ],
        "edges": [{"source": "a", "target": "b"}, {"source": "b", "target": "b"}],
    }
    config = {"items": "range(2)", "body": body, "on_item_error": "collect"}

    done = await course(Graph("g", limits={"max_steps": 3}).node("each", "foreach", config))

    assert done.finished.status == "completed"
    assert [item["code"] for item in done.state["each"]] == ["max_steps_exceeded"] * 2


@pytest.mark.bad_input(88)
async def test_a_node_that_cancels_its_own_task_fails_itself_and_nobody_else() -> None:
    async def waits_for_it() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await turn()

    async def leaves_it() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()

    async def swallows_it() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        try:
            await turn()
        except asyncio.CancelledError:
            return

    async def innocent() -> str:
        await turn()
        return "fine"

    for rude, ends_well in ((waits_for_it, False), (leaves_it, True), (swallows_it, True)):
        graph = Graph("g", on_error="continue").node(rude, id="rude").node(innocent).edge("rude", "innocent")
        done = await course(graph)
        assert done.state["innocent"] == "fine"
        assert (done.finished.outcome == "success") == ends_well


async def test_after_a_thread_that_was_given_up_the_next_node_can_be_cancelled() -> None:
    release = threading.Event()

    def slow() -> None:
        release.wait(30)

    async def endless() -> None:
        await asyncio.Event().wait()

    async with hosted() as host:
        graph = Graph("g").node(slow, timeout_s=0.01, on_error="continue").node(endless).edge(slow, endless)
        runner = await host.start(host.runner(graph, grace_s=0.05))
        while not any(attempt.node.id == "endless" for attempt in runner.execution.root.attempts):
            await turn()
        release.set()
        await runner.cancel()
        events = await host.ended(runner)

    assert [event.data.code for event in events if event.type == "diagnostic" and "endless" in event.data.message] == []


async def test_a_function_that_waits_for_a_thread_never_runs_once_it_is_cancelled() -> None:
    release, began = threading.Event(), threading.Event()
    ran: list[str] = []

    def first() -> None:
        began.set()
        release.wait(30)

    def second() -> None:
        ran.append("second")

    async with Supervisor(drain_s=0, threads=1) as supervisor:
        host = Host(supervisor)
        graph = Graph("g").node(nothing(), id="s").node(first).node(second).edge("s", first).edge("s", second)
        runner = await host.start(host.runner(graph, grace_s=0.05))
        while not began.is_set() or len(runner.execution.root.attempts) < 2:
            await turn()
        await runner.cancel()
        events = await host.ended(runner)
        release.set()

    assert ran == []
    named = [event.node_id for event in events if event.type == "diagnostic"]
    assert named == ["first"]


async def test_what_is_let_go_at_the_end_of_the_process_does_nothing_more() -> None:
    ran: list[str] = []

    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ran.append("cleaned")

    async def after() -> None:
        ran.append("after")

    async with hosted() as host:
        graph = Graph("g").node(stubborn, timeout_s=60, on_error="continue").node(after).edge(stubborn, after)
        runner = await host.start(host.runner(graph))
        await heard(runner, "node_started")
        published = runner.hub.published

    assert ran == ["cleaned"]
    assert runner.hub.published == published


async def test_timers_of_what_was_cancelled_keep_nothing_alive() -> None:
    async with hosted() as host:
        graph = (
            Graph("g")
            .node("wait", "delay", {"seconds": 3_600})
            .node(
                "each",
                "foreach",
                {"items": "range(1)", "body": {"id": "inner", "type": "delay", "config": {"seconds": 3_600}}},
                timeout_s=3_600,
            )
        )
        runner = await host.start(host.runner(graph))
        await heard(runner, "node_started")
        await runner.cancel()
        await host.ended(runner)
        host.store.forget(runner.id)
        await turn()
        gone = weakref.ref(runner.execution)
        del runner
        gc.collect()

        assert gone() is None


@pytest.mark.bad_input(131)
async def test_waiting_for_the_store_uses_up_no_time_of_the_node() -> None:
    async def charge() -> str:
        return "charged"

    async with hosted() as host:
        graph = Graph("g").node(nothing(), id="a").node(charge, effects=True, timeout_s=0.05).edge("a", charge)
        runner = await host.start(host.runner(graph))
        host.store.unavailable = "the disk is away"
        await asyncio.to_thread(threading.Event().wait, 0.2)
        host.store.unavailable = None
        await host.ended(runner)

    assert runner.status == "completed"


async def test_under_sync_a_node_waits_for_the_commit_that_made_it_ready_whoever_takes_it() -> None:
    seen: list[tuple[str, int]] = []
    both = asyncio.Barrier(2)

    async with hosted() as host:

        async def meet(ctx: Context) -> None:
            seen.append((ctx.node_id, runner.hub.stored))
            async with asyncio.timeout(PATIENCE_S):
                await both.wait()

        graph = Graph("g").node(nothing(), id="s")
        for name in ("a", "b", "c", "d"):
            graph.node(meet, id=name)
        graph.edge("s", "a").edge("s", "b").edge("a", "c").edge("b", "d")
        runner = host.runner(graph, durability="sync")
        events = await host.ended(await host.start(runner))

    commits = {event.node_id: event.seq for event in events if event.type == "node_completed"}
    for node, stored in seen:
        assert stored >= commits[{"a": "s", "b": "s", "c": "a", "d": "b"}[node]]


async def test_a_status_never_goes_back() -> None:
    release = asyncio.Event()

    async with hosted() as host:
        runner = await host.start(host.runner(Graph("g").node(stubborn_until(release), id="stubborn"), grace_s=30))
        await heard(runner, "node_started")
        await runner.cancel()
        again = asyncio.ensure_future(runner.cancel())
        statuses = {runner.status}
        while not again.done():
            await turn()
            statuses.add(runner.status)
        release.set()
        await host.ended(runner)

    assert statuses == {"stopping"}


async def test_a_cancel_while_the_store_is_down_is_refused_even_at_the_very_end() -> None:
    async with hosted() as host, over_but_not_stored(host) as runner:
        with pytest.raises(StorageUnavailable):
            await runner.cancel()


async def test_a_local_run_can_be_cancelled_keeps_its_time_limit_and_has_keys_of_its_own() -> None:
    keys: list[str] = []
    began = asyncio.Event()
    ended = asyncio.Event()

    async def endless() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def key(ctx: Context) -> None:
        keys.append(ctx.idempotency_key)

    task = asyncio.ensure_future(run(Graph("g").node(endless)))
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()

    limited = await run(Graph("g", limits={"timeout_s": 0.01}).node(endless))
    assert limited.error is not None
    assert limited.error.code == "timeout"

    for _ in range(2):
        await run(Graph("g").node(key))
    assert len(set(keys)) == 2


async def test_what_a_nodes_own_thread_emits_stands_before_its_end() -> None:
    async def node(ctx: Context) -> None:
        await asyncio.to_thread(lambda: [ctx.emit(number) for number in range(5)])

    done = await course(Graph("g").node(node))

    assert [bytes(event.data.message) for event in done.of("node_message")] == [b"0", b"1", b"2", b"3", b"4"]


async def test_in_deterministic_order_many_attempts_that_end_as_they_begin_let_others_run() -> None:
    graph = (
        Graph("g", limits={"max_steps": 3_000})
        .entry("a")
        .node("a", "foreach", {"items": "range(0)", "body": {"id": "x", "type": "delay", "config": {"seconds": 0}}})
    )
    graph.edge("a", "a")

    for in_order in (False, True):
        async with others() as counted, hosted() as host:
            runner = host.runner(graph, options=Options(in_order=in_order))
            events: list[Any] = await host.ended(await host.start(runner))
        assert events[-2].data.error.code == "max_steps_exceeded"
        assert counted.turns > 10
