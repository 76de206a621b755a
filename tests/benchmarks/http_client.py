"""A client that reads an event stream as a program would: chunk by chunk, block by block, each event decoded."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec

_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)
_LOCATION = re.compile(rb"\r\nlocation: (\S+)", re.IGNORECASE)


class Event(msgspec.Struct):
    """What is looked at of an event; notices have no number."""

    seq: int = 0
    type: str = ""


_decode = msgspec.json.Decoder(Event).decode


@dataclass(slots=True)
class Answer:
    """A whole answer.

    Attributes:
        first_s: When the first event had come, counted from the request; 0 if there was none.
        total_s: When the end had come.
        body: Of an answer that is no event stream.
    """

    first_s: float = 0.0
    total_s: float = 0.0
    head: bytes = b""
    body: bytes = b""
    events: list[Event] = field(default_factory=list)

    @property
    def location(self) -> str:
        found = _LOCATION.search(self.head)
        if found is None:
            raise RuntimeError(f"no Location in {self.head!r}")
        return found[1].decode()

    def numbers(self) -> list[int]:
        """Return the numbers of the events, in order; notices have none."""
        return [event.seq for event in self.events if event.seq]

    def check_whole(self) -> None:
        """Refuse a stream that lost an event, repeats one, or does not end with the sentinel."""
        numbers = self.numbers()
        if numbers != list(range(1, len(numbers) + 1)) or self.events[-1].type != "stream_end":
            raise RuntimeError(f"the stream is not whole: {self.head!r}, {len(numbers)} events")


class Connection(asyncio.Protocol):
    """One connection, one request at a time.

    Attributes:
        begun: Set when the first event of the request has come.
    """

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self.begun = asyncio.Event()
        self._answer = Answer()
        self._started = 0.0
        self._done: asyncio.Future[None] | None = None
        self._buffer = b""
        self._text = b""
        self._length: int | None = None
        self._cut_after: int | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as loops call it
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish()

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        if not self._answer.head:
            head, found, rest = buffer.partition(b"\r\n\r\n")
            if not found:
                self._buffer = buffer
                return
            self._answer.head, buffer = head, rest
            length = _LENGTH.search(head)
            self._length = int(length[1]) if length else 0 if head.startswith(b"HTTP/1.1 204") else None
        if self._length is not None:
            self._buffer = buffer
            if len(buffer) >= self._length:
                self._answer.body = buffer
                self._finish()
            return
        self._chunks(buffer)

    def _chunks(self, buffer: bytes) -> None:
        """Take chunks off (RFC 9112 §7.1), then blocks."""
        place = 0
        parts = [self._text]
        is_over = False
        while (line_end := buffer.find(b"\r\n", place)) >= 0:
            size = int(buffer[place:line_end], 16)
            upto = line_end + 2 + size
            if len(buffer) < upto + 2:
                break
            place = upto + 2
            if not size:
                is_over = True
                break
            parts.append(buffer[line_end + 2 : upto])
        self._buffer = buffer[place:]
        *blocks, self._text = b"".join(parts).split(b"\n\n")
        for block in blocks:
            self._block(block)
            if self._cut_after is not None and len(self._answer.events) >= self._cut_after:
                self.transport.abort()
                return
        if is_over:
            self._finish()

    def _block(self, block: bytes) -> None:
        for line in block.split(b"\n"):
            name, _, value = line.partition(b": ")
            if name == b"data":
                self._answer.events.append(_decode(value))
                if len(self._answer.events) == 1:
                    self._answer.first_s = time.perf_counter() - self._started
                    self.begun.set()

    def _finish(self) -> None:
        if self._done is not None and not self._done.done():
            self._answer.total_s = time.perf_counter() - self._started
            self._done.set_result(None)

    async def ask(self, request: bytes, *, started: float | None = None, cut_after: int | None = None) -> Answer:
        """Send a request and wait for the whole answer.

        Args:
            started: When the time begins to count; now if it is not given.
            cut_after: Break the connection off once so many events have come.
        """
        self._answer, self._buffer, self._text, self._length = Answer(), b"", b"", None
        self._cut_after = cut_after
        self.begun.clear()
        self._done = asyncio.get_running_loop().create_future()
        self._started = time.perf_counter() if started is None else started
        self.transport.write(request)
        await self._done
        return self._answer


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Connection]:
    """Connect to a server on this machine."""
    loop = asyncio.get_running_loop()
    transport, connection = await loop.create_connection(Connection, "127.0.0.1", port)
    try:
        yield connection
    finally:
        transport.abort()


async def ask(port: int, text: bytes, *, cut_after: int | None = None) -> Answer:
    """Send a request on a connection of its own; connecting counts."""
    started = time.perf_counter()
    async with connected(port) as connection:
        return await connection.ask(text, started=started, cut_after=cut_after)


def request(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    """Write a request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if method != "GET":
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def run_and_stream(graph: str, **state: object) -> bytes:
    """Write the request that starts an execution and streams its events."""
    body = msgspec.json.encode({"state": state}) if state else b""
    return request("POST", f"/graphs/{graph}/execute/stream", body)
