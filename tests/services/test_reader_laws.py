"""What holds of readers whatever is cancelled, woken, dismissed or left at whichever await."""

import asyncio
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import pytest
from hypothesis import example, given, settings, strategies as st

from app.services.presence import Presence
from app.services.readers import EventReader
from app.services.streams import StreamService
from graphwire.clock import FakeClock
from graphwire.engine.memory import MemoryStore
from graphwire.engine.ports import Batch
from graphwire.events.hub import End, Hub, NoticeItem, Page
from graphwire.events.ring import Published
from graphwire.types import ExecutionId
from tests.waiting import PATIENCE_S

EXECUTION = ExecutionId("x1")
READERS = 3

Step: TypeAlias = (
    tuple[Literal["publish", "store", "turn", "hold", "let go"], int]
    | tuple[Literal["cancel", "leave", "dismiss", "close", "wake and cancel"], int]
)

steps = st.one_of(
    st.tuples(st.sampled_from(["publish", "publish", "store", "turn", "turn", "hold", "let go"]), st.integers(1, 4)),
    st.tuples(st.sampled_from(["cancel", "wake and cancel"]), st.integers(0, READERS - 1)),
    st.tuples(st.sampled_from(["leave", "dismiss", "close"]), st.just(0)),
)


class SlowStore(MemoryStore):
    """A store whose answers wait while it is held, so that a reader can be cancelled in the middle of one."""

    def __init__(self) -> None:
        super().__init__()
        self.open = asyncio.Event()
        self.open.set()

    async def read_events(
        self, execution_id: ExecutionId, *, after: int, upto: int, limit: int, max_bytes: int
    ) -> list[Published]:
        await self.open.wait()
        return await super().read_events(execution_id, after=after, upto=upto, limit=limit, max_bytes=max_bytes)


@dataclass
class Client:
    """A task that reads; when it is cancelled another goes on with the same reader."""

    reader: EventReader
    read: list[int] = field(default_factory=list)
    ended: bool = False
    task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self.task = asyncio.get_running_loop().create_task(self._follow())

    async def _follow(self) -> None:
        while True:
            match await self.reader.read(60):
                case Page(items=items):
                    self.read += [item.seq for item in items]
                case End():
                    self.ended = True
                    return
                case NoticeItem() | None:
                    continue

    async def cancel(self) -> None:
        assert self.task is not None
        self.task.cancel()
        await asyncio.wait([self.task])


class Outbox:
    """Hands over what the hub has not stored."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._taken = 0

    def take(self, max_bytes: int) -> Batch | None:
        events = self._hub.take_unstored(max_bytes)
        self._taken = events[-1].seq if events else 0
        return Batch(EXECUTION, None, events, [], None, 0) if events else None

    def stored(self, batch: Batch) -> None:
        self._hub.mark_stored(self._taken)

    def refused(self, batch: Batch, reason: str) -> None:
        raise AssertionError(reason)


class World:
    """Some readers of one hub, of which the first may be ended in any way, and the others must not notice."""

    def __init__(self, ring: int) -> None:
        self.hub = Hub(ring_events=ring, ring_bytes=ring * 20)
        self.store = SlowStore()
        self.streams = StreamService(self.store, Presence(grace_s=0), FakeClock())
        self.clients = [Client(self.streams.open(EXECUTION, self.hub, after=None, filter=None)) for _ in range(READERS)]

    async def do(self, step: Step) -> None:
        match step:
            case "publish", count:
                for _ in range(count):
                    self.publish("node_log")
            case "store", _:
                self.store.submit(Outbox(self.hub))
            case "turn", count:
                for _ in range(count):
                    await turn()
            case "hold", _:
                self.store.open.clear()
            case "let go", _:
                self.store.open.set()
            case "cancel", which:
                await self.again(which)
            case "wake and cancel", which:
                self.publish("node_log")  # it is woken, and cancelled before it runs
                await self.again(which)
            case "leave", _:
                self.clients[0].reader.leave()
            case "dismiss", _:
                self.clients[0].reader.dismiss(self.streams.farewell())
            case "close", _:
                self.clients[0].reader.close()

    def publish(self, type: str) -> None:
        barrier = type != "node_log"
        self.hub.publish(Published(self.hub.published + 1, type, None, b"x" * 10, is_barrier=barrier))

    async def again(self, which: int) -> None:
        client = self.clients[which]
        await client.cancel()
        if not client.ended:
            client.start()

    async def end(self) -> None:
        self.publish("execution_completed")
        self.publish("stream_end")
        self.store.open.set()
        self.store.submit(Outbox(self.hub))
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.wait([client.task for client in self.clients[1:] if client.task is not None])
        await self.clients[0].cancel()
        for client in self.clients:
            client.reader.close()


async def turn() -> None:
    """Let the loop go round once."""
    done = asyncio.Event()
    asyncio.get_running_loop().call_soon(done.set)
    await done.wait()


async def run(script: list[Step], ring: int) -> World:
    """Carry a script out."""
    world = World(ring)
    for client in world.clients:
        client.start()
    for step in script:
        await world.do(step)
    await world.end()
    return world


@pytest.mark.bad_input(78)
@pytest.mark.capability("HUB-26")
@settings(deadline=None)
@given(script=st.lists(steps, max_size=40), ring=st.integers(1, 4))
@example(script=[("turn", 1), ("wake and cancel", 0), ("wake and cancel", 1), ("turn", 1)], ring=1)
@example(script=[("publish", 4), ("store", 1), ("hold", 1), ("turn", 2), ("cancel", 1), ("publish", 1)], ring=1)
@example(script=[("turn", 1), ("leave", 0), ("publish", 1), ("close", 0), ("cancel", 1)], ring=2)
def test_no_reader_that_is_cancelled_or_leaves_costs_itself_or_another_an_event(script: list[Step], ring: int) -> None:
    world = asyncio.run(run(script, ring))

    everything = list(range(1, world.hub.published + 1))
    for client in world.clients[1:]:
        assert client.ended
        assert client.read == everything
    first = world.clients[0].read
    assert first == everything[: len(first)]
