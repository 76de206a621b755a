"""What stands between a browser and the service: cuts connections anywhere, and refuses what it does not know."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress

Refusal = Callable[[bytes], bool]

_PIECE = 65_536
_REFUSED = (
    b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>"
)


class Middle:
    """A proxy on a port of its own.

    Attributes:
        port: Where it listens.
        cuts: For each connection in turn, after how many bytes of answers it is cut; where there are no more it is not.
        most: So many are cut at all: of what ``cuts`` gives, connections that nobody uses any more take some.
        refuses: Whether it answers a request, whose head this is in small letters, itself.
        cut: How many connections it has cut.
        refused: How many requests it has refused.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.cuts: Iterator[int] = iter(())
        self.most = 1_000
        self.refuses: Refusal = asks_for_nothing
        self.cut = 0
        self.refused = 0

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection to its end."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with suppress(ConnectionError, asyncio.CancelledError):
            answers, upstream = await asyncio.open_connection("127.0.0.1", self._target)
            try:
                async with asyncio.TaskGroup() as group:
                    sending = group.create_task(self._requests(reader, upstream, writer))
                    await self._answers(answers, writer)
                    sending.cancel()
            except* ConnectionError:
                pass
            finally:
                upstream.transport.abort()
        writer.transport.abort()

    async def stop(self) -> None:
        """Cut whatever is open."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _requests(
        self, reader: asyncio.StreamReader, upstream: asyncio.StreamWriter, writer: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(_PIECE):
            if self.refuses(data.lower()):
                self.refused += 1
                writer.write(_REFUSED)
                writer.write_eof()
                continue
            upstream.write(data)
            await upstream.drain()
        upstream.close()

    async def _answers(self, answers: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        most: int | None = None
        while data := await answers.read(_PIECE):
            most = next(self.cuts, None) if most is None else most
            if most is not None and len(data) >= most and self.cut < self.most:
                self.cut += 1
                writer.write(data[:most])
                await writer.drain()
                return
            most = None if most is None else max(0, most - len(data))
            writer.write(data)
            await writer.drain()
        if not writer.transport.is_closing():
            writer.write_eof()


def asks_for_nothing(head: bytes) -> bool:
    """Refuse no request."""
    return False


def asks_for_socket(head: bytes) -> bool:
    """Whether a request wants to become a WebSocket."""
    return b"upgrade: websocket" in head


def asks_for_stream(head: bytes) -> bool:
    """Whether a request wants a stream of any kind."""
    return asks_for_socket(head) or b"accept: text/event-stream" in head


@asynccontextmanager
async def between(target: int) -> AsyncIterator[Middle]:
    """Have a proxy before a port of this machine."""
    middle = Middle(target)
    server = await asyncio.start_server(middle.accept, "127.0.0.1", 0)
    middle.port = server.sockets[0].getsockname()[1]
    try:
        yield middle
    finally:
        server.close()
        await middle.stop()
