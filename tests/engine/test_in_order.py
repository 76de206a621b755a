"""``ordering: deterministic`` while the store takes nothing."""

import asyncio

import pytest

from graphwire import Context, Graph
from graphwire.engine.options import Options
from tests.engine.hosting import PATIENCE_S, hosted
from tests.engine.running import turn

BOUND = 20
SOME_TURNS = 50


@pytest.mark.bad_input(131)
async def test_dispatch_waits_at_the_bound_of_unstored_events_and_goes_on_when_there_is_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("graphwire.events.hub.MAX_UNSTORED_EVENTS", BOUND)
    reached, release = asyncio.Event(), asyncio.Event()
    ran: list[str] = []

    async def chatty(ctx: Context) -> None:
        reached.set()
        await release.wait()
        for number in range(2 * BOUND):
            ctx.emit(number)

    async def after() -> None:
        ran.append("after")

    async with hosted() as host, asyncio.timeout(PATIENCE_S):
        graph = Graph("g").node(chatty).node(after).edge(chatty, after)
        runner = await host.start(host.runner(graph, options=Options(seed=7, in_order=True)))
        await reached.wait()
        host.store.unavailable = "the disk is away"
        release.set()
        while runner.hub.has_room or runner.execution.running:
            await turn()
        published = runner.hub.published
        for _ in range(SOME_TURNS):
            await turn()
        waiting = [attempt.node.id for attempt in runner.execution.ready]
        waited = runner.hub.published
        host.store.unavailable = None
        events = await host.ended(runner)

    assert waiting == ["after"]
    assert waited == published
    assert ran == ["after"]
    assert events[-2].type == "execution_completed"
