"""``ordering: deterministic`` while the store takes nothing, and while scopes fail."""

import asyncio
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
from hypothesis import example, given, settings, strategies as st

from graphwire import Context, Graph
from graphwire.engine.options import Options
from tests.engine.hosting import hosted
from tests.engine.running import course, turn, without_times
from tests.waiting import PATIENCE_S

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


@dataclass(frozen=True)
class Item:
    """What a node of an item does, whenever it does it."""

    emits: int
    fails: bool
    emits_at_its_end: bool


def failing_items(items: list[Item], pauses: Random, *, collects: bool, depth: int) -> Graph:
    """Return a graph whose items pause as ``pauses`` says, and otherwise do the same each time."""

    async def pause() -> None:
        for _ in range(pauses.randrange(6)):
            await turn()

    async def do(ctx: Context, item: int) -> None:
        does = items[item]
        try:
            for number in range(does.emits):
                await pause()
                await ctx.emit([item, number])
            await pause()
        finally:
            if does.emits_at_its_end:
                ctx.emit([item, "end"])
        if does.fails:
            raise ValueError(str(item))

    body: dict[str, Any] = {"id": "do", "type": "function", "config": {"function": do}}
    on_item_error = "collect" if collects else "fail"
    for level in range(depth):
        config = {"items": "[state.item]", "body": body, "on_item_error": "fail"}
        body = {"id": f"level{level}", "type": "foreach", "config": config}
    graph = Graph("g", state={"items": list(range(len(items)))})
    return graph.node(
        "each", "foreach", {"items": "state.items", "body": body, "on_item_error": on_item_error}, on_error="continue"
    )


@given(
    items=st.lists(st.builds(Item, st.integers(0, 3), st.booleans(), st.booleans()), min_size=2, max_size=4),
    seeds=st.lists(st.integers(0, 1 << 30), min_size=2, max_size=3, unique=True),
    collects=st.booleans(),
    depth=st.integers(0, 2),
)
@example(items=[Item(0, True, False), Item(1, False, True)], seeds=[1, 2, 3], collects=False, depth=0)
@settings(max_examples=60)
def test_whatever_fails_the_same_is_told_however_the_timing_falls(
    items: list[Item], seeds: list[int], collects: bool, depth: int
) -> None:
    def told(seed: int) -> list[tuple[Any, ...]]:
        graph = failing_items(items, Random(seed), collects=collects, depth=depth)
        return without_times(asyncio.run(course(graph, ordering="deterministic")).events)

    first = told(seeds[0])

    for seed in seeds[1:]:
        assert told(seed) == first


@pytest.mark.parametrize("speaks_first", [True, False])
async def test_what_an_attempt_emitted_before_its_scope_failed_is_not_told_unless_it_had_its_turn(
    speaks_first: bool,
) -> None:
    spoken = asyncio.Event()

    async def do(ctx: Context, item: int) -> None:
        if item == 0:
            await ctx.emit("first")
            if speaks_first:
                await spoken.wait()
            raise ValueError("always")
        try:
            if speaks_first:
                await ctx.emit("second")
                spoken.set()
            await asyncio.Event().wait()
        finally:
            ctx.emit("cleaned up")

    body = {"id": "do", "type": "function", "config": {"function": do}}
    graph = Graph("g").node("each", "foreach", {"items": "[0, 1, 2]", "body": body})

    done = await course(graph, ordering="deterministic")

    assert [bytes(event.data.message) for event in done.of("node_message")] == [b'"first"']
    assert len(done.of("node_cancelled")) == 2
