"""A reader in a dialect that remembers: what waits for the store, and what is told when it cannot go on."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio

from app.services.readers import EventReader, ExecutionHistory
from app.services.states import States
from app.transports.cursor import START, Place
from app.transports.dialects.editor import Editor
from app.transports.dialects.folding import FoldingReader
from graphwire import Graph, prepare
from graphwire.engine.memory import MemoryStore
from graphwire.engine.ports import Deltas
from graphwire.engine.replay import Replay
from graphwire.errors import StorageUnavailable
from graphwire.events.hub import End, Hub, NoticeItem, Page, Published
from graphwire.events.notices import StreamClosed
from graphwire.types import ExecutionId
from tests.engine.hosting import hosted
from tests.waiting import PATIENCE_S

FAREWELL = StreamClosed(reason="shutting_down", detail="later")


@dataclass
class World:
    """An execution that has ended, which a test publishes and stores anew, event by event."""

    id: ExecutionId
    events: list[Published]
    store: MemoryStore
    plan_of: Callable[[], Replay]
    hub: Hub = field(default_factory=Hub)

    def publish(self, upto: int, *, stored: int) -> None:
        """Publish the events up to a number, and say that those up to another are stored."""
        while self.hub.published < upto:
            self.hub.publish(self.events[self.hub.published])
            if self.hub.published <= stored:
                self.hub.mark_stored(self.hub.published)
        self.hub.mark_stored(stored)

    def reader(self, place: Place = START, *, store: Any = None) -> tuple[EventReader, FoldingReader]:
        history = ExecutionHistory(self.store, self.id)
        inner = EventReader(self.hub, history, execution_id=self.id, after=None, filter=None, closed=lambda *_: None)

        async def states() -> States:
            return States(self.id, store or self.store, self.plan_of())

        return inner, FoldingReader(inner, Editor, states, place=place, filter=None)


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    graph = Graph("g", state={"n": 0})
    for name in ("one", "two"):
        graph.node(name, "transform", {"set": {"n": "state.n + 1"}})
    graph.edge("one", "two")
    async with hosted() as host:
        runner = await host.start(host.runner(graph))
        await host.ended(runner)
        events = await host.store.read_events(runner.id, after=0, upto=99, limit=99, max_bytes=1 << 20)
        yield World(runner.id, events, host.store, lambda: Replay(prepare(graph), {}, None))


def told(item: object) -> list[tuple[int, str]]:
    assert isinstance(item, Page)
    return [(part.seq, part.type) for part in item.items]


async def test_a_commit_is_told_when_it_is_stored_and_what_comes_before_at_once(world: World) -> None:
    _, reader = world.reader()
    world.publish(4, stored=1)

    first = await reader.read(0)
    nothing = await reader.read(0)
    world.hub.mark_stored(3)
    rest = await reader.read(0)

    assert told(first) == [(1, "start"), (2, "node_start")]
    assert nothing is None
    assert told(rest) == [(3, "node_complete"), (4, "node_start")]


async def test_a_reader_that_waits_for_a_commit_is_woken_when_it_is_stored(world: World) -> None:
    _, reader = world.reader()
    world.publish(4, stored=1)
    await reader.read(0)

    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
        reading = group.create_task(reader.read(60))
        asyncio.get_running_loop().call_soon(world.hub.mark_stored, 3)

    assert told(reading.result()) == [(3, "node_complete"), (4, "node_start")]


@pytest.mark.parametrize("last", [4, 7])
async def test_the_stream_ends_between_two_events_also_while_a_commit_is_awaited(world: World, last: int) -> None:
    inner, reader = world.reader()
    world.publish(last, stored=1)
    await reader.read(0)

    inner.dismiss(FAREWELL)
    item = await reader.read(60)

    assert isinstance(item, NoticeItem)
    assert item.notice == FAREWELL
    assert reader.place == 2
    assert isinstance(await reader.read(60), End)


async def test_a_read_that_is_cancelled_loses_nothing(world: World) -> None:
    waiting = asyncio.Event()

    class Slow:
        """A store that answers when it is let."""

        async def read_deltas(self, execution_id: ExecutionId, *, after: int = 0) -> Deltas:
            waiting.set()
            await asyncio.get_running_loop().create_future()
            raise AssertionError

    slow = Slow()
    _, reader = world.reader(store=slow)
    world.publish(7, stored=7)
    reading = asyncio.create_task(reader.read(60))
    await waiting.wait()
    reading.cancel()
    await asyncio.wait([reading])

    slow.read_deltas = world.store.read_deltas  # type: ignore[method-assign]
    seen: list[tuple[int, str]] = []
    while not isinstance(item := await reader.read(0), End):
        seen += told(item)

    assert [seq for seq, _ in seen] == [1, 2, 3, 4, 5, 7]


async def test_a_store_that_fails_ends_the_stream_behind_what_could_be_told(world: World) -> None:
    class Failing:
        """A store that gives one delta and fails."""

        async def read_deltas(self, execution_id: ExecutionId, *, after: int = 0) -> Deltas:
            if after:
                raise StorageUnavailable("not now")
            return Deltas((await world.store.read_deltas(execution_id)).items[:1], 1)

    _, reader = world.reader(store=Failing())
    world.publish(7, stored=7)

    first = await reader.read(0)
    closed = await reader.read(0)

    assert told(first) == [(1, "start"), (2, "node_start"), (3, "node_complete"), (4, "node_start")]
    assert isinstance(closed, NoticeItem)
    assert isinstance(closed.notice, StreamClosed)
    assert closed.notice.reason == "storage_unavailable"
    assert reader.place == 4
    assert isinstance(await reader.read(0), End)


async def test_commits_that_do_not_fit_are_damage(world: World) -> None:
    class Other:
        """A store that has lost the first commit."""

        async def read_deltas(self, execution_id: ExecutionId, *, after: int = 0) -> Deltas:
            return Deltas((await world.store.read_deltas(execution_id)).items[1 + after :], 1)

    _, reader = world.reader(store=Other())
    world.publish(7, stored=7)

    await reader.read(0)
    closed = await reader.read(0)

    assert isinstance(closed, NoticeItem)
    assert isinstance(closed.notice, StreamClosed)
    assert closed.notice.reason == "history_damaged"


async def test_who_left_is_told_nothing(world: World) -> None:
    _, reader = world.reader()
    world.publish(7, stored=1)

    reader.leave()

    assert isinstance(await reader.read(60), End)


async def test_a_page_has_as_many_frames_as_were_asked_for(world: World) -> None:
    _, reader = world.reader(Place(3, 0, goes_on=False))
    world.publish(4, stored=4)

    first = await reader.read(60, 1)
    place = reader.place
    none = await reader.read(0, 0)
    rest = await reader.read(0, 5)

    assert told(first) == [(3, "start")]
    assert place == 3
    assert none is None
    assert told(rest) == [(4, "node_start")]


async def test_who_is_given_credit_meanwhile_does_not_wait(world: World) -> None:
    inner, reader = world.reader()
    world.publish(4, stored=4)
    found = asyncio.Event()

    async def slowly() -> None:
        reader.wake()  # as a grant does, while the states are looked for
        found.set()

    slow = FoldingReader(inner, Editor, slowly, place=START, filter=None)
    reader = slow
    async with asyncio.timeout(PATIENCE_S):
        item = await slow.read(60, 0)

    assert found.is_set()
    assert item is None
    assert told(await slow.read(0, 1)) == [(1, "start")]


async def test_where_the_states_are_not_known_events_are_told_without_and_at_once(world: World) -> None:
    inner, _ = world.reader()

    async def unknown() -> None:
        return None

    reader = FoldingReader(inner, Editor, unknown, place=START, filter=None)
    world.publish(3, stored=1)

    item = await reader.read(0)

    assert told(item)[-1] == (3, "node_complete")
    assert isinstance(item, Page)
    assert json.loads(item.items[-1].line)["output_state"] is None
