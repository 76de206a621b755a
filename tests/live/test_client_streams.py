"""The client's streams against a real server: cut, blocked, left alone, restarted."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from graphwire.client import (
    AsyncClient,
    Events,
    EventStream,
    GaveUp,
    NothingYet,
    ProblemError,
    Retry,
    StreamOver,
    StreamStatus,
    Timing,
    Transport,
    consume,
)
from graphwire.events.encoding import Envelope
from graphwire.events.notices import ExecutionProgress, NoticeEnvelope
from graphwire.events.types import NodeStarted
from tests.live.control import gates
from tests.live.serving import Service, serving
from tests.proxy import Proxy, proxied

TRANSPORTS: tuple[Transport, ...] = ("websocket", "sse", "poll")
AT_ONCE = Retry(attempts=None, first_s=0.0, most_s=0.0)
PAGE = b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"


@asynccontextmanager
async def client_through_proxy(service: Service) -> AsyncIterator[tuple[AsyncClient, Proxy]]:
    """Have a client whose way to the server leads through a proxy."""
    async with (
        proxied(f"http://127.0.0.1:{service.port}") as proxy,
        AsyncClient(proxy.url, retry=AT_ONCE) as client,
    ):
        yield client, proxy


async def whole(service: Service, execution_id: str) -> list[int]:
    """Return the numbers of all events of an execution, as the service has them."""
    return [block.data["seq"] for block in await service.events(execution_id)]


@pytest.mark.capability("CLN-03")
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_stream_that_is_cut_at_random_bytes_twenty_times_has_every_event_once(
    service: Service, transport: Transport
) -> None:
    chance = random.Random(20)
    execution = (await service.run("talk", state={"count": 2_000, "text": "word " * 20}))["id"]
    statuses: list[StreamStatus] = []

    async with client_through_proxy(service) as (client, proxy):
        proxy.cuts = iter([chance.randrange(0, 30_000 if transport == "poll" else 2_000) for _ in range(20)])
        async with client.follow(execution, transport=transport, on_status=statuses.append) as stream:
            seen = [event.seq async for event in stream]

    assert seen == await whole(service, execution)
    assert (proxy.lost, stream.cursor) == (20, seen[-1])
    assert statuses[-1].name == "ended"


@pytest.mark.capability("CLN-03")
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_live_stream_that_is_cut_goes_on_where_it_was(service: Service, transport: Transport) -> None:
    async with (
        client_through_proxy(service) as (client, proxy),
        client.stream("talk", transport=transport, state={"count": 3, "gate": "gate"}) as stream,
    ):
        seen = [(await stream.recv()).seq for _ in range(5)]
        proxy.cut()
        gates["gate"].opened.set()
        seen += [event.seq async for event in stream]

    assert seen == await whole(service, stream.execution_id)


@pytest.mark.capability("POL-04")
@pytest.mark.parametrize(
    ("blocked", "transport"),
    [((b"Upgrade: websocket",), "sse"), ((b"Upgrade: websocket", b"text/event-stream"), "poll")],
)
@pytest.mark.parametrize("answer", [PAGE, b""], ids=["answers", "closes"])
async def test_a_proxy_that_blocks_a_transport_leads_to_the_next(
    service: Service, blocked: tuple[bytes, ...], transport: Transport, answer: bytes
) -> None:
    statuses: list[StreamStatus] = []
    async with client_through_proxy(service) as (client, proxy):
        proxy.answers = lambda request: answer if any(each.lower() in request.lower() for each in blocked) else None
        async with client.stream("chain", on_status=statuses.append) as stream:
            seen = [event.seq async for event in stream]

    assert seen == list(range(1, 10))
    assert [status.transport for status in statuses if status.name == "live"] == [transport]


@pytest.mark.capability("CLN-03", "CLN-04")
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_server_that_is_away_for_ever_is_given_up(service: Service, transport: Transport) -> None:
    statuses: list[StreamStatus] = []
    retry = Retry(attempts=3, first_s=0.0, most_s=0.0)
    async with client_through_proxy(service) as (client, proxy):
        stream = client.stream(
            "gated", transport=transport, retry=retry, on_status=statuses.append, state={"gate": "gate"}
        )
        async with stream:
            await stream.recv()
            await stream.recv()
            proxy.refuses = True
            proxy.cut()
            with pytest.raises(GaveUp, match="gave up after 3 attempts"):
                await stream.recv()

    assert [status.name for status in statuses] == ["connecting", "live", *["reconnecting"] * 3, "failed"]
    assert [status.attempt for status in statuses if status.name == "reconnecting"] == [1, 2, 3]
    gates["gate"].opened.set()


@pytest.mark.capability("CLN-03")
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_stream_outlives_a_restart_of_the_server(tmp_path: Path, transport: Transport) -> None:
    waiting, back = asyncio.Event(), asyncio.Event()

    async def sleep(seconds: float) -> None:
        waiting.set()
        await back.wait()

    async with AsyncExitStack() as stack:
        async with serving(tmp_path, drain_s=0.1) as first:
            address = f"http://127.0.0.1:{first.port}"
            client = await stack.enter_async_context(AsyncClient(address, timing=Timing(sleep=sleep)))
            start = client.stream("gated", transport=transport, state={"gate": "gate"})
            stream = await stack.enter_async_context(start)
            seen = [(await stream.recv()).type for _ in range(2)]
            rest = asyncio.create_task(types_of(stream))
        await waiting.wait()
        gates["gate"].opened.set()  # for the node that runs again
        async with serving(tmp_path, port=first.port) as second:
            back.set()
            seen += await rest
            stored = [block["event"] for block in await second.events(stream.execution_id)]

    assert seen == stored
    assert seen[-1] == "stream_end"


async def types_of(events: Events) -> list[str]:
    """Read to the end."""
    return [event.type async for event in events]


async def test_an_execution_that_is_deleted_before_its_reader_comes_back_ends_the_stream(service: Service) -> None:
    execution = (await service.run("talk", state={"count": 2_000, "text": "word " * 20}))["id"]
    async with client_through_proxy(service) as (client, proxy):
        proxy.cuts = iter([1_000])
        async with client.follow(execution, transport="sse") as stream:
            await stream.recv()
            await service.client.delete(f"/executions/{execution}")
            with pytest.raises(ProblemError) as refused:
                await types_of(stream)

    assert (refused.value.code, refused.value.status) == ("not_found", 404)
    assert stream.status.name == "failed"


@pytest.mark.capability("HUB-15")
async def test_batches_hold_every_event(service: Service) -> None:
    async with AsyncClient(f"http://127.0.0.1:{service.port}") as client:
        execution = await client.run("talk", state={"count": 25})
        async with client.follow(execution.id) as stream:
            sizes = [len(batch) async for batch in stream.filter("node_message").batches(10, max_wait_s=5)]

    assert sizes == [10, 10, 5]


async def test_an_event_that_comes_alone_is_a_batch_at_once_and_the_stream_goes_on(service: Service) -> None:
    async with AsyncClient(f"http://127.0.0.1:{service.port}") as client:
        async with client.stream("talk", state={"count": 1, "gate": "gate"}) as stream:
            seen: list[int] = []
            async for batch in stream.batches(10, max_wait_s=0.01):
                seen += [event.seq for event in batch]
                if len(seen) == 3:
                    assert await stream.next_timeout(0.01) is None
                    gates["gate"].opened.set()

    assert seen == list(range(1, 8))


@pytest.mark.capability("HUB-05")
async def test_each_way_of_reading_gives_the_same_events_and_then_ends(service: Service) -> None:
    async with AsyncClient(f"http://127.0.0.1:{service.port}") as client:
        execution = (await client.run("chain")).id

        async with client.follow(execution) as stream:
            iterated = [event.seq async for event in stream]
        async with client.follow(execution) as stream:
            received = [(await stream.recv()).seq for _ in iterated]
            with pytest.raises(StreamOver):
                await stream.recv()
            with pytest.raises(StreamOver):
                await stream.try_recv()
            assert await stream.next_timeout(1) is None
        async with client.follow(execution) as stream:
            with pytest.raises(NothingYet):
                await stream.try_recv()
            timed = []
            while (event := await stream.next_timeout(5)) is not None:
                timed.append(event.seq)

    assert iterated == received == timed == list(range(1, 10))


@pytest.mark.capability("HUB-11", "HUB-12", "HUB-13", "HUB-14", "CLN-02")
async def test_choices_narrow_each_other(service: Service) -> None:
    async with AsyncClient(f"http://127.0.0.1:{service.port}") as client:
        execution = (await client.run("chain")).id

        async def seen(choose: Callable[[EventStream], Events]) -> list[tuple[str, str | None]]:
            async with client.follow(execution) as stream:
                return [(event.type, event.node_id) async for event in choose(stream)]

        pairs = [(kind, node) for node in ("first", "second", "third") for kind in ("node_started", "node_completed")]
        assert await seen(lambda s: s.filter(NodeStarted, "node_completed")) == pairs
        assert await seen(lambda s: s.filter_by_node("f*", "third")) == pairs[:2] + pairs[4:]
        assert await seen(lambda s: s.filter_node_events().filter_by_node("first").filter("node_started")) == pairs[:1]
        assert [kind for kind, _ in await seen(lambda s: s.filter_execution_events())] == [
            "execution_started", "execution_completed", "stream_end",
        ]  # fmt: skip
        assert await seen(lambda s: s.where(lambda event: event.seq == 3)) == [("node_completed", "first")]


async def test_what_the_service_chooses_is_all_that_is_sent(service: Service) -> None:
    async with AsyncClient(f"http://127.0.0.1:{service.port}") as client:
        execution = (await client.run("chain")).id
        for transport in TRANSPORTS:
            async with client.follow(execution, types=["node_failed"], nodes=["first"], transport=transport) as stream:
                assert await types_of(stream) == ["execution_completed", "stream_end"]
            assert stream.cursor == 9


async def test_a_stream_knows_how_its_execution_ended(service: Service) -> None:
    async with AsyncClient(f"http://127.0.0.1:{service.port}") as client:
        async with client.stream("chain") as stream:
            await stream.recv()
            result = await stream.result()
        async with client.stream("failing") as stream:
            failed = await stream.result()

    assert (result.status, result.state) == ("completed", {"count": 3})
    assert failed.error is not None
    assert (failed.status, failed.error.message) == ("failed", "no luck")


async def test_notices_are_told_where_they_stand(service: Service) -> None:
    notices: list[NoticeEnvelope] = []
    async with AsyncClient(f"http://127.0.0.1:{service.port}", transport="sse") as client:
        async with client.stream("gated", on_notice=notices.append, state={"gate": "gate"}) as stream:
            await stream.recv()
            await stream.recv()
            gates["gate"].opened.set()
            await stream.result()

    assert {type(notice.data) for notice in notices} == {ExecutionProgress}
    assert notices[-1].after == 3


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_slow_reader_waits_alone_and_gets_everything(service: Service, transport: Transport) -> None:
    async with AsyncClient(f"http://127.0.0.1:{service.port}", transport=transport) as client:
        async with client.stream("talk", state={"count": 3_000, "text": "word " * 100}) as slow:
            first = await slow.recv()
            result = await client.executions.wait(slow.execution_id)
            seen = [first.seq, *[event.seq async for event in slow]]

    assert seen == list(range(1, result.last_seq + 1))


@pytest.mark.capability("HUB-21")
async def test_events_are_handled_side_by_side(service: Service) -> None:
    handled: list[int] = []

    async def handle(event: Envelope) -> None:
        handled.append(event.seq)
        if event.type == "node_started":
            raise ValueError(event.seq)

    async with AsyncClient(f"http://127.0.0.1:{service.port}") as client, client.stream("chain") as stream:
        failed = await consume(stream, handle)

    assert sorted(handled) == list(range(1, 10))
    assert [event.seq for event, _ in failed] == [2, 4, 6]
