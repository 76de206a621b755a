"""LlamaIndex's workflow server, in memory and on SQLite, each in a process of its own."""

import importlib.util
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

from tests.benchmarks import servers
from tests.benchmarks.http_client import Answer, connected, request
from tests.benchmarks.printing import say
from tests.benchmarks.servers import Server

IN_MEMORY, ON_SQLITE = "LlamaIndex workflow server, in memory", "LlamaIndex workflow server, SQLite"


@dataclass(frozen=True, slots=True)
class Peer:
    """A server that runs the same graphs."""

    name: str
    run: Callable[[str], Awaitable[Answer]]


class _Started(msgspec.Struct):
    handler_id: str


async def find(stack: AsyncExitStack, folder: Path) -> list[Peer]:
    """Start the servers if they are installed; the stack ends them."""
    if importlib.util.find_spec("llama_agents") is None:
        say("LlamaIndex workflow server: left out, llama_agents is not installed (pip install -e '.[bench]')")
        return []
    module = f"{__package__}.workflow_server"
    in_memory = await stack.enter_async_context(servers.running(module))
    on_sqlite = await stack.enter_async_context(servers.running(module, str(folder / "workflows.db")))
    return [
        Peer(IN_MEMORY, partial(_run, in_memory)),
        Peer(ON_SQLITE, partial(_run, on_sqlite)),
    ]


async def _run(server: Server, graph: str) -> Answer:
    """Start a workflow and read its events from the first on: it takes two requests."""
    async with connected(server.port) as connection:
        started = await connection.ask(request("POST", f"/workflows/{graph}/run-nowait", b"{}"))
        handler = msgspec.json.decode(started.body, type=_Started).handler_id
        where = f"/events/{handler}?sse=true&include_internal=true&after_sequence=-1"
        answer = await connection.ask(request("GET", where))
        answer.first_s += started.total_s
        answer.total_s += started.total_s
        return answer
