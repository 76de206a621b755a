"""The ceiling: a bare asyncio server that answers a POST with an event stream, and does nothing else.

Run as ``python -m tests.benchmarks.bare_server <folder>``: the file ``<name>.ndjson`` of the folder has the events of
``POST /graphs/<name>/execute/stream``, a line each. They are encoded anew for every request, framed, and written one by
one: what any server of live events has to do, without a graph, a store, a router or a second reader. It prints its
address.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

import msgspec
import uvloop

_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-store, no-transform\r\n"
    b"location: /executions/0199\r\ntransfer-encoding: chunked\r\n\r\n"
)
_encode = msgspec.json.Encoder().encode


class BareServer(asyncio.Protocol):
    """One connection. It takes every request for a POST whose head and body come in one piece."""

    def __init__(self, answers: dict[bytes, list[Any]]) -> None:
        self._answers = answers
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as loops call it
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        name = data.split(b"/", 3)[2]
        write = self._transport.write
        write(_HEAD)
        for event in self._answers[name]:
            line = _encode(event)
            block = b"event: %b\ndata: %b\nid: %d\n\n" % (event["type"].encode(), line, event["seq"])
            write(b"%x\r\n%b\r\n" % (len(block), block))
        write(b"0\r\n\r\n")


def recorded(folder: Path) -> dict[bytes, list[Any]]:
    """Read the events of each answer."""
    return {
        path.stem.encode(): [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]
        for path in folder.glob("*.ndjson")
    }


async def serve(answers: dict[bytes, list[Any]]) -> None:
    """Serve until the process is ended."""
    server = await asyncio.get_running_loop().create_server(lambda: BareServer(answers), "127.0.0.1", 0)
    sys.stdout.write(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(recorded(Path(sys.argv[1]))))
