"""The client and servers that are slow, broken or evil: what they cost is bounded, and what they say is told."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import ServerConnection, serve

from graphwire.client import (
    AsyncClient,
    ClientError,
    ConnectionFailed,
    GaveUp,
    ProblemError,
    Retry,
    StreamClosedError,
    StreamStatus,
    UnexpectedAnswer,
)
from graphwire.client.choice import Transport
from tests.waiting import PATIENCE_S

AT_ONCE = Retry(attempts=1, first_s=0.0, most_s=0.0)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nConnection: close\r\n%b\r\n"
STREAM = HEAD % (b"text/event-stream", b"")
END = (
    b'{"seq":1,"type":"stream_end","code":21,"execution_id":"e","graph_id":"g","ts":"","mono_ns":1,'
    b'"data":{"status":"completed","total_events":1,"duration_ms":1.0}}'
)
HUGE = 2**25


def document(status: bytes, media_type: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Type: %b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (
        status, media_type, len(body), body,
    )  # fmt: skip


@asynccontextmanager
async def answering(*pieces: bytes, holds: bool = False) -> AsyncIterator[str]:
    """Have a server that answers every request with these bytes, and then closes or is silent."""
    released = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            if holds:
                await released.wait()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        released.set()
        server.close()


@asynccontextmanager
async def socket(talk: Callable[[ServerConnection], Awaitable[None]]) -> AsyncIterator[str]:
    """Have a server that speaks WebSocket and nothing else."""
    async with serve(talk, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"


async def failure(address: str, transport: Transport) -> Exception:
    """Follow an execution there, and return what it was given up for."""
    async with (
        AsyncClient(address, transport=transport, retry=AT_ONCE, timeout_s=PATIENCE_S) as client,
        client.follow("e") as stream,
    ):
        with pytest.raises(ClientError) as raised:
            await stream.recv()
        cause = raised.value.__cause__
        return cause if isinstance(raised.value, GaveUp) and isinstance(cause, Exception) else raised.value


@pytest.mark.capability("CMP-07")
async def test_an_answer_that_is_huge_once_it_is_decompressed_is_refused() -> None:
    packed = gzip.compress(bytes(HUGE))
    head = HEAD % (b"application/json", b"Content-Encoding: gzip\r\n")

    async with answering(head, packed) as address, AsyncClient(address, request_attempts=1) as client:
        with pytest.raises(UnexpectedAnswer, match="beyond all measure"):
            await client.service.live()


async def test_an_answer_without_end_is_refused() -> None:
    head = HEAD % (b"application/json", b"")

    async with (
        answering(head, *[b"[" * 2**16] * 200) as address,
        AsyncClient(address, request_attempts=1, max_answer_bytes=2**20) as client,
    ):
        with pytest.raises(UnexpectedAnswer, match="more than 1,048,576 bytes"):
            await client.service.live()


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ((STREAM, *[b"data: " + b"x" * 2**20] * 8), "an event of more than"),
        ((STREAM, b"data: {}\n\n"), "neither event nor notice"),
        ((STREAM, b'data: {"seq": 1, "type": "x"}\n\n'), "neither event nor notice"),
        ((STREAM, b"data: \xff\n\n"), "neither event nor notice"),
        ((STREAM, b'data: {"seq": 1, "data": ' + b"[" * 200_000 + b"\n\n"), "neither event nor notice"),
        ((HEAD % (b"text/event-stream", b"Content-Encoding: br\r\n"), b"x"), "not asked for"),
        ((HEAD % (b"text/event-stream", b"Content-Encoding: gzip\r\n"), b"x" * 99), "broken"),
        ((HEAD % (b"text/html", b""), b"<html>"), "is no event stream"),
        ((document(b"404 Not Found", b"text/html", b"<html>"),), "none of a Graphwire service"),
    ],
)
async def test_what_is_no_event_stream_is_told(sent: tuple[bytes, ...], said: str) -> None:
    async with answering(*sent) as address:
        error = await failure(address, "sse")

    assert isinstance(error, UnexpectedAnswer)
    assert said in error.detail


@pytest.mark.parametrize("page", [b'{"events": [{}]}', b'{"events": ' + b"[" * 200_000])
async def test_a_page_that_is_none_is_told(page: bytes) -> None:
    async with answering(document(b"200 OK", b"application/json", page)) as address:
        assert isinstance(await failure(address, "poll"), UnexpectedAnswer)


@pytest.mark.parametrize("transport", ["websocket", "sse", "poll"])
async def test_a_server_that_says_nothing_is_left(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphwire.client.performing.SILENCE_S", 0.05)
    monkeypatch.setattr("graphwire.client.socket_connection.CONNECT_S", 0.05)

    async with answering(holds=True) as address, AsyncClient(address, retry=AT_ONCE, timeout_s=0.05) as client:
        async with client.follow("e", transport=transport) as stream:
            with pytest.raises(GaveUp, match="did not answer in time"):
                await stream.recv()


async def test_a_stream_that_is_held_back_leads_to_another_transport(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphwire.client.performing.SILENCE_S", 0.05)
    monkeypatch.setattr("graphwire.client.socket_connection.CONNECT_S", 0.05)
    statuses: list[StreamStatus] = []

    async with answering(STREAM, holds=True) as address, AsyncClient(address, retry=AT_ONCE, timeout_s=1) as client:
        async with client.follow("e", on_status=statuses.append) as stream:
            with pytest.raises((GaveUp, UnexpectedAnswer)):
                await stream.recv()

    assert [status.transport for status in statuses if status.name == "live"] == ["sse"]
    assert statuses[-2].transport == "poll"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (4401, StreamClosedError),
        (4404, StreamClosedError),
        (1008, UnexpectedAnswer),
        (1011, ConnectionFailed),
        (1012, ConnectionFailed),
        (1013, ConnectionFailed),
    ],
)
async def test_how_a_socket_was_closed_says_what_follows(code: int, expected: type[Exception]) -> None:
    async def close(connection: ServerConnection) -> None:
        await connection.close(code, "so it is")

    async with socket(close) as address:
        assert type(await failure(address, "websocket")) is expected


async def test_a_socket_that_is_closed_in_order_in_the_middle_has_not_ended() -> None:
    """What stands in between may close a socket with 1000; only a sentinel is an end."""
    opened: list[str] = []
    said = END.decode().replace("stream_end", "x_said")

    async def say(connection: ServerConnection) -> None:
        assert connection.request is not None
        opened.append(connection.request.path)
        event = said if len(opened) == 1 else END.decode().replace('"seq":1', '"seq":2')
        await connection.send(f'{{"method": "event", "params": {{"event": {event}}}}}')

    async with socket(say) as address, AsyncClient(address, transport="websocket", retry=AT_ONCE) as client:
        async with client.follow("e") as stream:
            assert [event.seq async for event in stream] == [1, 2]

    assert ["after=0" in opened[0], "after=1" in opened[1]] == [True, True]


async def test_the_stream_of_a_service_does_not_end_with_its_socket() -> None:
    async def end(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send('{"jsonrpc": "2.0", "id": 1, "result": {"subscription": "s1"}}')

    async with socket(end) as address, AsyncClient(address, transport="websocket", retry=AT_ONCE) as client:
        async with client.events() as stream:
            with pytest.raises(GaveUp):
                await stream.recv()


async def test_a_socket_that_ends_as_it_should_needs_no_sentinel() -> None:
    async def end(connection: ServerConnection) -> None:
        await connection.close()

    async with socket(end) as address, AsyncClient(address, transport="websocket", retry=AT_ONCE) as client:
        async with client.follow("e", after=9) as stream:
            assert [event async for event in stream] == []

    assert (stream.cursor, stream.status.name) == (9, "ended")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("{", UnexpectedAnswer),
        ("[]", UnexpectedAnswer),
        ('{"method": "event", "params": {"event": {"seq": 1}}}', UnexpectedAnswer),
        ('{"error": {"code": -32603, "message": "x"}}', UnexpectedAnswer),
        ('{"error": {"message": "x", "data": {"code": "not_found", "status": 404}}}', ProblemError),
        ("x" * 2**21, ConnectionFailed),
    ],
    ids=["cut", "batch", "no event", "error", "problem", "too large"],
)
async def test_what_a_socket_should_not_say_is_told(message: str, expected: type[Exception]) -> None:
    async def say(connection: ServerConnection) -> None:
        await connection.send(message)
        await connection.wait_closed()

    async with socket(say) as address:
        assert type(await failure(address, "websocket")) is expected


async def test_what_a_socket_says_beyond_events_is_passed_over() -> None:
    async def say(connection: ServerConnection) -> None:
        await connection.send('{"jsonrpc": "2.0", "id": 1, "result": {}}')
        await connection.send('{"jsonrpc": "2.0", "method": "later", "params": {"x": 1}}')
        await connection.send(f'{{"method": "event", "params": {{"event": {END.decode()}}}}}')
        await connection.wait_closed()

    async with socket(say) as address, AsyncClient(address, transport="websocket", retry=AT_ONCE) as client:
        async with client.follow("e") as stream:
            assert [event.type async for event in stream] == ["stream_end"]


async def test_credit_is_given_as_events_are_taken() -> None:
    asked: list[str] = []
    event = END.decode().replace("stream_end", "x_said")

    async def say(connection: ServerConnection) -> None:
        asked.append(str(await connection.recv()))
        for number in range(1, 257):
            text = event.replace('"seq":1', f'"seq":{number}')
            await connection.send(f'{{"method": "event", "params": {{"event": {text}}}}}')
        asked.append(str(await connection.recv()))
        await connection.wait_closed()

    async with socket(say) as address, AsyncClient(address, transport="websocket", retry=AT_ONCE) as client:
        async with client.follow("e") as stream:
            for _ in range(256):
                await stream.recv()
            assert await stream.next_timeout(0.01) is None
            while len(asked) < 2:
                assert await stream.next_timeout(0.01) is None

    assert '"events":256' in asked[0]
    assert sum(int(text.rpartition(":")[2].rstrip("}")) for text in asked) >= 256 + 128


async def test_notices_without_end_are_taken_in_as_they_are_read() -> None:
    """What costs no credit is bounded by how much is taken in ahead of the reader."""
    notice = '{"method": "notice", "params": {"notice": {"type": "x_told", "code": 1, "ts": "", "data": {}}}}'
    heard: list[str] = []

    async def say(connection: ServerConnection) -> None:
        for _ in range(5_000):
            await connection.send(notice)
        await connection.send(f'{{"method": "event", "params": {{"event": {END.decode()}}}}}')
        await connection.wait_closed()

    async with socket(say) as address, AsyncClient(address, transport="websocket", retry=AT_ONCE) as client:
        async with client.follow("e", on_notice=lambda each: heard.append(each.type)) as stream:
            assert [event.type async for event in stream] == ["stream_end"]

    assert heard == ["x_told"] * 5_000
