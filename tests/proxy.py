"""A way to a server that can be cut, closed, slowed down, or lose an answer."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import TypeAlias
from urllib.parse import urlsplit, urlunsplit

Loss: TypeAlias = Callable[[bytes], bool]
Refusal: TypeAlias = Callable[[bytes], bytes | None]


class Proxy:
    """Forwards connections from a port of its own.

    Attributes:
        delay_s: How long each answer takes longer.
        refuses: New connections are closed at once.
        loses_request: Whether a request gets lost on its way, and its connection with it. Asked once it is true.
        loses_answer: Whether the answer to a request gets lost, and the connection with it.
        direct_url: The URL that leads past it.
        lingers: A connection that is lost stays open on the side of the server, as when a network only swallows.
        cuts: After how many bytes of answers each further connection is cut; none is, once it is at its end.
        answers: What it answers itself to a request, which then goes no further; empty closes the connection.
        holds: Waits before a request goes on.
        lost: How many requests or answers were lost.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = parts.hostname or "127.0.0.1", parts.port or 5432
        self._parts = parts
        self.direct_url = url
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._clients: set[asyncio.StreamWriter] = set()
        self._upstream: set[asyncio.StreamWriter] = set()
        self.delay_s = 0.0
        self.refuses = False
        self.loses_request: Loss | None = None
        self.loses_answer: Loss | None = None
        self.lingers = False
        self.cuts: Iterator[int] = iter(())
        self.answers: Refusal | None = None
        self.holds: Callable[[bytes], Awaitable[None]] | None = None
        self.lost = 0

    @property
    def url(self) -> str:
        """The URL that leads through it."""
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        user = self._parts.netloc.rpartition("@")[0]
        return urlunsplit(self._parts._replace(netloc=f"{user}@127.0.0.1:{port}" if user else f"127.0.0.1:{port}"))

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)

    async def stop(self) -> None:
        """Close everything."""
        assert self._server is not None
        self._server.close()
        self.lingers = False
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Cut every connection."""
        for writer in [*self._clients, *([] if self.lingers else self._upstream)]:
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            writer.transport.abort()
            return
        upstream_reader, upstream = await asyncio.open_connection(*self._target)
        self._clients.add(writer)
        self._upstream.add(upstream)
        asked = asyncio.Event()
        for coroutine in (
            self._requests(reader, upstream, writer, asked),
            self._answers(upstream_reader, upstream, writer, asked),
        ):
            task = asyncio.create_task(coroutine)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _requests(
        self,
        reader: asyncio.StreamReader,
        upstream: asyncio.StreamWriter,
        client: asyncio.StreamWriter,
        asked: asyncio.Event,
    ) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(2**20):
                if self.loses_request is not None and self.loses_request(data):
                    self.loses_request = None
                    self._lose(client, upstream)
                    return
                if self.holds is not None:
                    await self.holds(data)
                if self.loses_answer is not None and self.loses_answer(data):
                    self.loses_answer = None
                    asked.set()
                if self.answers is not None and (answer := self.answers(data)) is not None:
                    client.write(answer)
                    client.close()
                    break
                upstream.write(data)
                await upstream.drain()
        if not self.lingers:
            upstream.close()

    async def _answers(
        self,
        reader: asyncio.StreamReader,
        upstream: asyncio.StreamWriter,
        client: asyncio.StreamWriter,
        asked: asyncio.Event,
    ) -> None:
        left = next(self.cuts, None)
        with suppress(ConnectionError):
            while data := await reader.read(2**20):
                if asked.is_set():
                    self._lose(client, upstream)
                    return
                if left is not None:
                    data, left = data[:left], left - len(data)
                if left is not None and left <= 0:
                    client.write(data)
                    await client.drain()
                    self._lose(client, upstream)
                    return
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)  # the fault itself
                client.write(data)
                await client.drain()
        client.close()

    def _lose(self, client: asyncio.StreamWriter, upstream: asyncio.StreamWriter) -> None:
        self.lost += 1
        client.transport.abort()
        if not self.lingers:
            upstream.transport.abort()


@asynccontextmanager
async def proxied(url: str) -> AsyncIterator[Proxy]:
    """Have a proxy before the server of a URL."""
    proxy = Proxy(url)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
