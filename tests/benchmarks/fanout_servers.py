"""Servers of one stream that any number of readers share: what the service's fan-out is compared with.

Run as ``python -m tests.benchmarks.fanout_servers raw|sse-starlette <socket>``: it prints its address, and publishes as
many events as it is told through the Unix socket. The events are those of the service, encoded once for all readers.

- ``raw`` is an asyncio protocol and nothing else: what is published together is framed once, and each connection is
  given the same bytes. It knows one address, one execution, no history, and readers that always read.
- ``sse-starlette`` is the ordinary use of that library: a queue per reader, and a dict per event.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import uvicorn
import uvloop
from sse_starlette.sse import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from app.transports.server import StreamServer
from tests.benchmarks.graphs.told import TEXT, orders

_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-store, no-transform\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
_encode = msgspec.json.Encoder().encode


def event(seq: int) -> bytes:
    """Encode an event as long as one of the service."""
    return _encode(
        {
            "seq": seq,
            "type": "node_message",
            "code": 34,
            "execution_id": "019aa8f8-6ae3-7c0b-9d1a-2f7a7a3f9d7e",
            "graph_id": "told",
            "node_id": "tell",
            "activation": "a0610f249c291666",
            "pass": 1,
            "ts": "2026-11-21T18:34:53.219919Z",
            "mono_ns": 48_123_456 + seq,
            "data": {"scope": "emit", "message": {"number": seq, "text": TEXT}, "metadata": {}},
        }
    )


class RawServer(asyncio.Protocol):
    """One connection, which is a reader as soon as it has asked for anything."""

    readers: dict["RawServer", asyncio.Transport]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as loops call it
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(_HEAD)
        self.readers[self] = self._transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.readers.pop(self, None)


async def serve_raw(path: str) -> None:
    """Serve until the process is ended."""
    readers: dict[RawServer, asyncio.Transport] = {}
    RawServer.readers = readers
    server = await asyncio.get_running_loop().create_server(RawServer, "127.0.0.1", 0, backlog=4_096)
    _announce(server.sockets[0].getsockname()[1])
    last = 0
    async for count in orders(path):
        numbers = range(last + 1, last + 1 + count)
        burst = b"".join([b"event: node_message\ndata: %b\nid: %d\n\n" % (event(seq), seq) for seq in numbers])
        last += count
        chunk = b"%x\r\n%b\r\n" % (len(burst), burst)
        for transport in readers.values():
            transport.write(chunk)


async def serve_library(path: str) -> None:
    """Serve until the process is ended."""
    readers: set[asyncio.Queue[tuple[str, str]]] = set()

    async def stream() -> AsyncIterator[dict[str, Any]]:
        mine: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        readers.add(mine)
        try:
            while True:
                number, line = await mine.get()
                yield {"event": "node_message", "data": line, "id": number}
        finally:
            readers.discard(mine)

    async def events(request: Request) -> EventSourceResponse:
        return EventSourceResponse(stream(), sep="\n")

    async def publish() -> None:
        seq = 0
        async for count in orders(path):
            for _ in range(count):
                seq += 1
                item = (str(seq), event(seq).decode())
                for reader in readers:
                    reader.put_nowait(item)

    app = Starlette(routes=[Route("/", events)])
    config = uvicorn.Config(app, port=0, log_level="error", http="httptools", ws="none", backlog=4_096)
    server = StreamServer(config, drain=lambda: None, ready=lambda _, port: _announce(port))
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(server.serve())
        publishing = group.create_task(publish())
        await serving
        publishing.cancel()


def _announce(port: int) -> None:
    sys.stdout.write(f"http://127.0.0.1:{port}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    kind, socket_path = sys.argv[1:]
    uvloop.run({"raw": serve_raw, "sse-starlette": serve_library}[kind](socket_path))
