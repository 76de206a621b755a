import asyncio
import gc
import json
from collections.abc import Callable
from functools import partial
from weakref import ref

import pytest
from hypothesis import given, strategies as st

from app.services.presence import Presence
from app.services.readers import EventReader
from app.services.streams import StreamService
from app.transports.broadcast import Broadcasts, SharedForm
from app.transports.compression import CODINGS, IDENTITY
from app.transports.framing import stream
from app.transports.ndjson import NdjsonForm
from app.transports.sse import SseForm
from graphwire.clock import FakeClock
from graphwire.engine.memory import MemoryStore
from graphwire.events.hub import Hub
from graphwire.events.notices import ExecutionProgress
from tests.api.test_streaming import EXECUTION, Outbox, make_event
from tests.transports.decoding import decoded
from tests.waiting import PATIENCE_S

CODING_NAMES = ["identity", *CODINGS]
FORMS: dict[str, Callable[[], SharedForm]] = {
    "sse": lambda: SseForm(comments=True, retry_ms=1),
    "ndjson": NdjsonForm,
}


class Connection:
    """A client's connection, written to by the task of its stream or past it.

    Attributes:
        shared: The chunks that were written past the task.
        stalls: The next write is the last one for a while.
    """

    def __init__(self, coding: str) -> None:
        self.coding = coding
        self.body = b""
        self.shared: list[bytes] = []
        self.stalls = False
        self._stopped: Callable[[], None] | None = None
        self._flows = asyncio.Event()
        self._flows.set()
        self._came = asyncio.Event()

    @property
    def is_stalled(self) -> bool:
        return not self._flows.is_set()

    def open(self, stopped: Callable[[], None]) -> Callable[[bytes], None] | None:
        """See ``Outlet``."""
        if self.is_stalled:
            return None
        self._stopped = stopped
        return self._write

    def close(self, written_bytes: int) -> None:
        """See ``Outlet``."""
        self._stopped = None
        assert written_bytes <= sum(map(len, self.shared))

    def _write(self, chunk: bytes) -> None:
        assert self._stopped is not None, "written after its part has ended"
        self.shared.append(chunk)
        size, _, rest = chunk.partition(b"\r\n")
        assert len(rest) == int(size, 16) + 2
        self._take(rest[:-2])

    async def send(self, data: bytes) -> None:
        """Write in the task of the stream: wait until the connection takes it."""
        await self._flows.wait()
        self._take(data)

    def _take(self, data: bytes) -> None:
        self.body += data
        self._came.set()
        if self.stalls:
            self.stalls = False
            self._flows.clear()
            if self._stopped is not None:
                self._stopped()

    def flow(self) -> None:
        """Take writes again."""
        self.stalls = False
        self._flows.set()

    def text(self) -> bytes:
        """Return what the client reads."""
        return self.body if self.coding == "identity" else decoded(self.coding, self.body)

    def numbers(self) -> list[int]:
        """Return the numbers of the events that came."""
        lines = [line.removeprefix(b"data: ") for line in self.text().splitlines()]
        return [event["seq"] for line in lines if line.startswith(b"{") and "seq" in (event := json.loads(line))]

    async def until(self, seq: int) -> None:
        """Wait until this event has come, or nothing comes any more."""
        while not self.is_stalled and seq not in self.numbers():
            await self.more()

    async def more(self) -> None:
        """Wait until anything comes."""
        self._came.clear()
        await self._came.wait()


class World:
    """A hub, its store, and readers of it."""

    def __init__(self, *, ring_events: int = 4) -> None:
        self.hub = Hub(ring_events=ring_events)
        self.store = MemoryStore()
        self.streams = StreamService(self.store, Presence(grace_s=0), FakeClock())
        self.broadcasts = Broadcasts(FakeClock())
        self.outbox = Outbox(self.hub)
        self.readers: list[EventReader] = []
        self.left: set[EventReader] = set()
        self.connections: list[Connection] = []
        self.tasks: list[asyncio.Task[None]] = []

    def publish(self, type: str = "node_message") -> None:
        """Publish an event."""
        self.hub.publish(make_event(self.hub.published + 1, type))

    def save(self) -> None:
        """Store all events: the ring then forgets the oldest."""
        self.store.submit(self.outbox)

    def join(
        self, coding: str, *, form: str = "sse", after: int | None = None, heartbeat_s: float = 60.0
    ) -> Connection:
        """Open a reader."""
        connection = Connection(coding)
        reader = self.streams.open(EXECUTION, self.hub, after=after, filter=None)
        self.readers.append(reader)
        self.connections.append(connection)
        serving = self._serve(reader, FORMS[form](), connection, heartbeat_s)
        self.tasks.append(asyncio.get_running_loop().create_task(serving))
        return connection

    async def _serve(self, reader: EventReader, form: SharedForm, connection: Connection, heartbeat_s: float) -> None:
        coding = IDENTITY if connection.coding == "identity" else CODINGS[connection.coding]
        coder = coding.coder()
        follow = partial(self.broadcasts.follow, reader, form, coding, coder, connection, heartbeat_s=heartbeat_s)
        writes = stream(reader, form, coder, heartbeat_s=heartbeat_s, clock=FakeClock(), follow=follow)
        try:
            async for write in writes:
                await connection.send(write)
        finally:
            reader.close()

    async def settle(self) -> None:
        """Wait until every reader that is there and not stalled has all that is visible."""
        for reader, connection, task in zip(self.readers, self.connections, self.tasks, strict=True):
            if not task.done() and reader not in self.left and self.hub.visible:
                await connection.until(self.hub.visible)

    async def end(self) -> None:
        """End the execution and wait for its readers."""
        self.publish("stream_end")
        self.save()
        for connection in self.connections:
            connection.flow()
        await asyncio.gather(*self.tasks)


STEP = st.one_of(
    st.tuples(st.just("publish"), st.integers(1, 9)),
    st.tuples(st.just("join"), st.sampled_from(CODING_NAMES)),
    st.tuples(st.sampled_from(["stall", "flow", "leave"]), st.integers(0, 9)),
    st.tuples(st.sampled_from(["save", "settle", "notice"]), st.none()),
)


@given(steps=st.lists(STEP, max_size=25))
def test_whoever_writes_each_reader_gets_everything_once_and_in_order(
    steps: list[tuple[str, int | str | None]],
) -> None:
    async def run() -> None:
        world = World()
        for step, how in steps:
            number = how % len(world.connections) if isinstance(how, int) and world.connections else None
            if step == "publish" and isinstance(how, int):
                for _ in range(how):
                    world.publish()
            elif step == "join":
                world.join(str(how))
            elif step == "notice":
                world.hub.notice = ExecutionProgress(percent=50.0, completed=1, total=1, running=[])
            elif step == "save":
                world.save()
            elif step == "settle":
                await world.settle()
            elif number is not None and step == "stall":
                world.connections[number].stalls = True
            elif number is not None and step == "flow":
                world.connections[number].flow()
            elif number is not None:
                world.left.add(world.readers[number])
                world.readers[number].leave()
        async with asyncio.timeout(PATIENCE_S):
            await world.end()
        everything = list(range(1, world.hub.visible + 1))
        for reader, connection in zip(world.readers, world.connections, strict=True):
            read = connection.numbers()
            assert read == everything[: len(read)]
            assert reader in world.left or read == everything
        assert not world.broadcasts._open

    asyncio.run(run())


@pytest.mark.parametrize("coding", CODING_NAMES)
async def test_readers_that_are_up_to_date_are_written_the_same_bytes(coding: str) -> None:
    world = World()
    world.publish()
    one, other = world.join(coding), world.join(coding)
    await world.settle()

    for _ in range(3):
        world.publish()
    await world.settle()

    assert len(one.shared) == 1, "what is published together leaves in one write"
    assert one.shared[0] is other.shared[0]
    assert one.numbers() == other.numbers() == [1, 2, 3, 4]
    await world.end()


async def test_a_reader_that_takes_nothing_holds_up_nobody_and_is_owed_no_more_than_a_write() -> None:
    world = World()
    world.publish()
    slow, quick = world.join("identity"), world.join("identity")
    await world.settle()

    slow.stalls = True
    for _ in range(3):
        world.publish()
        await quick.until(world.hub.visible)

    assert slow.numbers() == [1, 2]
    assert quick.numbers() == [1, 2, 3, 4]
    await world.end()
    assert slow.numbers() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("coding", CODING_NAMES)
async def test_a_reader_that_comes_later_can_decode_what_is_shared_from_then_on(coding: str) -> None:
    world = World()
    world.publish()
    first = world.join(coding)
    await world.settle()
    for running in ("only for who was there", "for all"):
        world.hub.notice = ExecutionProgress(percent=50.0, completed=1, total=2, running=[running])
        while running.encode() not in first.text():
            await first.more()

    second = world.join(coding)
    await world.settle()
    world.hub.notice = ExecutionProgress(percent=51.0, completed=1, total=2, running=["only for who was there"])
    world.publish()
    await world.settle()
    await world.end()

    assert second.shared[-1] is first.shared[-1]
    assert first.numbers() == second.numbers() == [1, 2, 3]


@pytest.mark.parametrize("coding", CODING_NAMES)
@pytest.mark.parametrize("form", FORMS)
async def test_what_is_published_while_a_reader_joins_comes_once(form: str, coding: str) -> None:
    world = World()
    world.publish()
    waiting = world.join(coding, form=form, after=1)  # has had nothing yet: where a beginning is owed, it waits alone
    other = world.join(coding, form=form)
    await other.until(1)

    world.publish()
    await world.settle()
    await world.end()

    assert other.numbers() == [1, 2, 3]
    assert waiting.numbers() == [2, 3]


@pytest.mark.parametrize("coding", CODING_NAMES)
async def test_silence_is_broken_for_all_at_once_and_what_follows_can_be_read(coding: str) -> None:
    world = World()
    world.publish()
    one, other = world.join(coding, heartbeat_s=0.01), world.join(coding, heartbeat_s=0.01)
    while b"\n\n:\n" not in one.text() or not one.shared:
        await one.more()

    await world.end()

    assert one.shared[0] is other.shared[0]
    assert one.numbers() == other.numbers() == [1, 2]


async def test_nothing_is_left_of_a_broadcast_that_ends_within_its_own_heartbeat() -> None:
    world = World()
    world.publish()
    reader = world.streams.open(EXECUTION, world.hub, after=1, filter=None)
    connection = Connection("identity")
    connection.stalls = True  # at the first write, which is the heartbeat

    assert await world.broadcasts.follow(reader, NdjsonForm(), IDENTITY, IDENTITY, connection, heartbeat_s=0.01)

    assert b'"heartbeat"' in connection.body
    reader.close()
    hub = ref(world.hub)
    del world, reader, connection
    gc.collect()
    assert hub() is None


async def test_forms_and_codings_do_not_mix() -> None:
    world = World()
    world.publish()
    plain, packed = world.join("identity"), world.join("gzip")
    await world.settle()

    world.publish()
    await world.settle()
    await world.end()

    assert plain.numbers() == packed.numbers() == [1, 2, 3]
    assert NdjsonForm().continued().silence is None
