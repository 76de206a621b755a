"""A real server on a free port, and clients that see what is really on the wire."""

import asyncio
import json
import math
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx

from app.server import make_server
from app.settings import Settings
from app.storage.migration import migrate
from app.transports.server import StreamServer
from graphwire.sinks import Sink
from tests.live.control import gates
from tests.live.description import is_as_described
from tests.waiting import PATIENCE_S

GRAPHS = Path(__file__).parent / "graphs"
DRAIN_S = 10.0
"""What a busy machine does not take for answers and executions to end that can."""


def http_client(base_url: str = "", **more: Any) -> httpx.AsyncClient:
    """Make a client for servers without TLS: it does not read the certificates of the world, which takes 50 ms."""
    return httpx.AsyncClient(base_url=base_url, timeout=PATIENCE_S, verify=False, **more)


@dataclass
class Service:
    """A server that runs, and a client of it, which compares every answer with the description of the API."""

    server: StreamServer
    client: httpx.AsyncClient
    port: int

    def drain(self) -> None:
        """Tell the application that the server stops, which it does not."""
        app: Any = self.server.config.app
        app.state.drain()

    async def start(self, graph: str, **body: Any) -> str:
        """Start an execution and return its id."""
        answer = await self.client.post(f"/graphs/{graph}/execute", json=body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    async def run(self, graph: str, **body: Any) -> dict[str, Any]:
        """Run an execution to its end and return it."""
        answer = await self.client.post(f"/graphs/{graph}/execute/wait", json=body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def events(self, execution_id: str, **query: Any) -> list["Block"]:
        """Read a stream to its end."""
        answer = await self.client.get(f"/executions/{execution_id}/events", params=query)
        assert answer.status_code == 200, answer.text
        return parse(answer.content)


@cache
def empty_database() -> bytes:
    """Return a SQLite file with the present schema, which need not be made again for each server."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "empty.db"
        migrate(path)
        return path.read_bytes()


@asynccontextmanager
async def serving(
    folder: Path, *, within_s: float = 1.5 * PATIENCE_S, sinks: Sequence[Sink] = (), **changes: Any
) -> AsyncIterator[Service]:
    """Run a server until the block ends, with a database in this folder unless another is named."""
    settings = Settings(
        **{
            "host": "127.0.0.1",
            "port": 0,
            "database_url": f"sqlite:///{folder}/graphwire.db",
            "graphs": (GRAPHS,),
            "drain_s": DRAIN_S,
            **changes,
        },
    )
    if "database_url" not in changes and not (file := folder / "graphwire.db").exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(empty_database())
    ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    server = make_server(settings, ready=lambda _, port: ready.set_result(port), sinks=sinks)
    server.config.timeout_graceful_shutdown = math.ceil(DRAIN_S)
    async with asyncio.timeout(within_s), asyncio.TaskGroup() as group:
        task = group.create_task(_serve(server))
        first: set[asyncio.Future[Any]] = {task, ready}  # a start that fails ends the task
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        port = ready.result()
        hooks = {"response": [is_as_described]}
        async with http_client(f"http://127.0.0.1:{port}", event_hooks=hooks) as client:
            try:
                yield Service(server, client, port)
            finally:
                server.should_exit = True
                if settings.drain_s == DRAIN_S:
                    for gate in gates.values():
                        gate.opened.set()  # who is still held there would be waited for


class _Brisk:
    """``asyncio`` for Uvicorn, which looks ten times a second whether to stop: a test would wait for that."""

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    async def sleep(self, delay: float) -> None:
        await asyncio.sleep(delay / 10)  # between two looks


async def _serve(server: StreamServer) -> None:
    with patch("uvicorn.server.asyncio", _Brisk()):
        await server.serve()


@dataclass
class Block:
    """A block of an event stream, as it stood on the wire."""

    fields: list[tuple[str, str]] = field(default_factory=list)
    comments: int = 0

    def __getitem__(self, name: str) -> str:
        return dict(self.fields)[name]

    def __contains__(self, name: str) -> bool:
        return name in dict(self.fields)

    @property
    def data(self) -> dict[str, Any]:
        """The event or notice."""
        return dict(json.loads(self["data"]))


def parse(text: bytes) -> list[Block]:
    """Read an event stream as the HTML Standard says, "Interpreting an event stream", but keep all fields in order.

    A last block without its empty line is dropped, as a client does.
    """
    blocks: list[Block] = []
    block = Block()
    for line in text.decode().splitlines(keepends=True):
        if not line.endswith("\n"):
            break
        line = line.removesuffix("\n")
        if not line:
            if block.fields:
                blocks.append(block)
            block = Block()
        elif line.startswith(":"):
            block.comments += 1
        else:
            name, _, value = line.partition(":")
            block.fields.append((name, value.removeprefix(" ")))
    return blocks


def numbers(blocks: list[Block]) -> list[int]:
    """Return the numbers of the events among these blocks, notices left out."""
    return [block.data["seq"] for block in blocks if "seq" in block.data]


def types(blocks: list[Block]) -> list[str]:
    """Return the types of events and notices."""
    return [block["event"] for block in blocks]


class RawConnection:
    """A plain socket that sends and receives bytes exactly as they are."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        """Send bytes."""
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> tuple[int, dict[str, str]]:
        """Read the head of an answer."""
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        return int(lines[0].split()[1]), headers

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Read an answer whose length is declared."""
        status, headers = await self.head()
        return status, headers, await self.reader.readexactly(int(headers.get("content-length", "0")))

    async def chunk(self) -> bytes:
        """Read one chunk of a chunked body; empty at its end."""
        size = int(await self.reader.readline(), 16)
        data = await self.reader.readexactly(size + 2)
        return data[:-2]


@asynccontextmanager
async def connection(port: int, *, limit: int = 2**20) -> AsyncIterator[RawConnection]:
    """Open a plain socket to a server."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=limit)
    try:
        yield RawConnection(reader, writer)
    finally:
        writer.close()


def request(method: str, path: str, body: bytes | None = None, **headers: str) -> bytes:
    """Write a request as it stands on the wire."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")
