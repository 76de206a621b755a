"""Streams over a hub and a store in memory: what does not need a socket."""

import asyncio
import json
from collections.abc import Sequence

import pytest
from starlette.types import Message, Scope, Send

from app.services.presence import Presence
from app.services.readers import EventReader, ExecutionHistory
from app.services.streams import StreamService
from app.transports.framing import MAX_WRITE_BYTES, joined, stream
from app.transports.ndjson import NdjsonForm, NdjsonResponse
from app.transports.sending import AFTERWARDS, Rest
from app.transports.sse import SseForm, SseResponse, frame
from graphwire.clock import FakeClock
from graphwire.engine.memory import MemoryStore
from graphwire.engine.ports import Batch
from graphwire.errors import InvalidCursor, NotFound
from graphwire.events.hub import Hub, Published
from graphwire.types import ExecutionId
from tests.waiting import PATIENCE_S, at_first_wait, timers_that_are_due

EXECUTION = ExecutionId("x1")


def make_event(seq: int, type: str = "node_message", text: str = "") -> Published:
    """Return an event as the hub has it."""
    line = json.dumps({"seq": seq, "type": type, "text": text}).encode()
    return Published(seq, type, None, line, None, type == "stream_end")


class Outbox:
    """Hands over what a hub has not stored."""

    def __init__(self, hub: Hub, *, kept_from: int = 1) -> None:
        self.hub = hub
        self.kept_from = kept_from

    def take(self, max_bytes: int) -> Batch | None:
        events = self.hub.take_unstored(max_bytes)
        kept = [event for event in events if event.seq >= self.kept_from]
        self.taken = events[-1].seq if events else 0
        return Batch(EXECUTION, None, kept, [], None, 0) if events else None

    def stored(self, batch: Batch) -> None:
        self.hub.mark_stored(self.taken)

    def refused(self, batch: Batch, reason: str) -> None:
        raise AssertionError(reason)


def make_world(types: Sequence[str], *, ring_events: int = 2, kept_from: int = 1) -> tuple[Hub, StreamService]:
    """Return a hub in which these events were published and stored, and the service of its streams."""
    hub, store = Hub(ring_events=ring_events), MemoryStore()
    for seq, type in enumerate(types, 1):
        hub.publish(make_event(seq, type))
    store.submit(Outbox(hub, kept_from=kept_from))
    return hub, StreamService(store, Presence(grace_s=0), FakeClock())


async def lines_of(reader: EventReader) -> list[dict[str, object]]:
    """Read a stream to its end."""
    writes = [write async for write in stream(reader, NdjsonForm(), heartbeat_s=10, clock=FakeClock())]
    reader.close()
    return [json.loads(line) for line in b"".join(writes).splitlines()]


TALK = ["node_message"] * 9 + ["stream_end"]


@pytest.mark.bad_input(66)
@pytest.mark.parametrize("after", [None, 0, 2])
async def test_where_history_was_deleted_the_reader_is_told(after: int | None) -> None:
    hub, streams = make_world(TALK, kept_from=6)

    lines = await lines_of(streams.open(EXECUTION, hub, after=after, filter=None))

    first = (after or 0) + 1
    assert lines[0]["type"] == "stream_lagged"
    assert lines[0]["data"] == {"from_seq": first, "to_seq": 5, "dropped": 6 - first}
    assert lines[0]["after"] == 5
    assert [line["seq"] for line in lines[1:]] == [6, 7, 8, 9, 10]


@pytest.mark.bad_input(66)
async def test_a_page_tells_what_was_deleted_beside_its_events() -> None:
    hub, streams = make_world(TALK, kept_from=6)

    page = await streams.page(EXECUTION, hub, after=2, filter=None, limit=3, wait_s=0)

    assert page.lagged is not None
    assert json.loads(page.lagged)["data"] == {"from_seq": 3, "to_seq": 5, "dropped": 3}
    assert [event.seq for event in page.events] == [6, 7, 8]
    assert (page.next, page.last_seq, page.ended) == (8, 10, False)


async def test_a_jump_where_a_process_died_is_no_loss() -> None:
    hub, store = Hub(first_seq=100), MemoryStore()
    hub.publish(make_event(100, "checkpoint_restored"))
    hub.publish(make_event(101, "stream_end"))
    store.submit(Outbox(hub))
    streams = StreamService(store, Presence(grace_s=0), FakeClock())

    lines = await lines_of(streams.open(EXECUTION, hub, after=50, filter=None))

    assert [line["seq"] for line in lines] == [100, 101]


async def test_a_reader_costs_nothing_once_it_is_closed() -> None:
    hub, streams = make_world(["node_message"])
    reader = streams.open(EXECUTION, hub, after=1, filter=None)
    waiting = await at_first_wait(reader.read(60))

    waiting.cancel()
    await asyncio.wait([waiting])
    reader.close()
    reader.close()
    hub.publish(make_event(2))
    streams.drain()

    assert waiting.cancelled()
    assert reader.cursor == 1


def make_answer(reader: EventReader, form: str) -> SseResponse | NdjsonResponse:
    """Return the answer that streams what a reader gets."""
    if form == "sse":
        blocks = stream(reader, SseForm(comments=True, retry_ms=1_000), heartbeat_s=10, clock=FakeClock())
        return SseResponse(blocks, reader)
    return NdjsonResponse(stream(reader, NdjsonForm(), heartbeat_s=10, clock=FakeClock()), reader)


async def never_left() -> Message:
    """Be a client that stays."""
    await asyncio.Event().wait()
    raise AssertionError


@pytest.mark.parametrize("form", ["sse", "ndjson"])
async def test_a_server_that_sends_the_rest_afterwards_sends_the_same(form: str) -> None:
    hub, streams = make_world(TALK, ring_events=4)
    plain: list[Message] = []
    outer: list[Message] = []
    inner: list[Message] = []
    rest: list[Rest] = []

    async def answer(scope: Scope, send: Send) -> None:
        await make_answer(streams.open(EXECUTION, hub, after=0, filter=None), form)(scope, never_left, send)

    await answer({"type": "http"}, sending_to(plain))
    await answer({"type": "http", "extensions": {AFTERWARDS: rest.append}}, sending_to(inner))
    await rest[0](sending_to(outer))

    assert [message["type"] for message in inner] == ["http.response.start"]
    assert inner + outer == plain
    assert plain[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


@pytest.mark.parametrize("form", ["sse", "ndjson"])
async def test_a_client_that_leaves_ends_its_stream(form: str) -> None:
    reader, left = make_waiting_reader()

    async def leave() -> Message:
        return {"type": "http.disconnect"}

    async with asyncio.timeout(PATIENCE_S):
        await make_answer(reader, form)({"type": "http"}, leave, sending_to([]))

    assert left == ["of itself"]


@pytest.mark.parametrize("form", ["sse", "ndjson"])
async def test_a_start_that_cannot_be_sent_closes_the_reader(form: str) -> None:
    reader, left = make_waiting_reader()

    async def refuse(message: Message) -> None:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        await make_answer(reader, form)({"type": "http"}, never_left, refuse)

    assert left == ["of itself"]


def make_waiting_reader() -> tuple[EventReader, list[str]]:
    """Return a reader that has all there is, and a list that grows when it is closed."""
    left: list[str] = []
    hub, _ = make_world(["node_message"])

    def closed(reader: EventReader, of_itself: bool) -> None:
        left.append("of itself" if of_itself else "dismissed")

    return EventReader(
        hub, ExecutionHistory(MemoryStore(), EXECUTION), execution_id=EXECUTION, after=1, filter=None, closed=closed
    ), left


def sending_to(sent: list[Message]) -> Send:
    """Return what keeps all that is sent."""

    async def send(message: Message) -> None:
        sent.append(message)

    return send


@pytest.mark.bad_input(65)
async def test_the_future_is_what_is_not_visible_yet() -> None:
    hub = Hub(durability="sync")
    hub.publish(make_event(1))
    streams = StreamService(MemoryStore(), Presence(grace_s=0), FakeClock())

    with pytest.raises(InvalidCursor):
        streams.open(EXECUTION, hub, after=1, filter=None)
    with pytest.raises(NotFound):
        await streams.read_event(EXECUTION, hub, 1)


def test_an_event_is_framed_once_for_all_its_readers() -> None:
    event = make_event(1)

    one, other = (b"".join(SseForm(comments=True, retry_ms=1_000).events([event])) for _ in range(2))

    assert one == other
    assert frame(event) is event.frame


def test_frames_are_joined_up_to_the_bound_and_never_split() -> None:
    frames = [b"x" * 30_000] * 5 + [b"y" * 200_000, b"z"]

    writes = list(joined(frames))

    assert b"".join(writes) == b"".join(frames)
    assert [len(write) for write in writes] == [60_000, 60_000, 30_000, 200_000, 1]
    assert all(len(write) <= MAX_WRITE_BYTES for write in writes if b"y" not in write)


class TestPresence:
    """Giving up executions whose readers have left."""

    async def test_the_last_reader_that_leaves_of_itself_counts(self) -> None:
        presence, given_up = Presence(grace_s=0), asyncio.Event()
        presence.watch(EXECUTION, given_up.set)

        presence.came(EXECUTION)
        presence.came(EXECUTION)
        presence.went(EXECUTION, of_itself=True)
        before = given_up.is_set()
        presence.went(EXECUTION, of_itself=True)
        async with asyncio.timeout(PATIENCE_S):
            await given_up.wait()

        assert not before

    async def test_a_reader_that_the_service_ended_does_not_count(self) -> None:
        presence, given_up = Presence(grace_s=0), asyncio.Event()
        presence.watch(EXECUTION, given_up.set)

        presence.came(EXECUTION)
        presence.went(EXECUTION, of_itself=False)
        await timers_that_are_due()

        assert not given_up.is_set()

    async def test_an_execution_that_has_ended_is_not_given_up(self) -> None:
        presence, given_up = Presence(grace_s=0), asyncio.Event()
        presence.watch(EXECUTION, given_up.set)

        presence.came(EXECUTION)
        presence.went(EXECUTION, of_itself=True)
        presence.forget(EXECUTION)
        await timers_that_are_due()

        assert not given_up.is_set()
