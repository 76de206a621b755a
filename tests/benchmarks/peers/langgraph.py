"""LangGraph."""

import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Literal, TypedDict
from uuid import uuid4

import aiosqlite
import msgspec
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph

from tests.benchmarks.measuring import Sample, Stopwatch
from tests.benchmarks.peers.engines import Peer


class _State(TypedDict, total=False):
    count: int


async def peers(stack: AsyncExitStack, nodes: int) -> list[Peer]:
    """Return LangGraph's ways to run the chain."""
    bare = _chain(nodes).compile()
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="graphwire-bench-"))
    connection = await stack.enter_async_context(aiosqlite.connect(Path(folder) / "langgraph.db"))
    await connection.execute("PRAGMA synchronous=FULL")
    stored = _chain(nodes).compile(checkpointer=AsyncSqliteSaver(connection))
    return [
        Peer("LangGraph", _plain(bare, nodes)),
        Peer("LangGraph, streamed tasks, encoded", _streamed(bare, nodes), has_events=True),
        Peer("LangGraph, SQLite, async", _durable(stored, nodes, "async"), is_durable=True),
        Peer("LangGraph, SQLite, sync", _durable(stored, nodes, "sync"), is_durable=True),
    ]


def _chain(nodes: int) -> Any:
    async def nothing(state: _State) -> _State:
        return {}

    builder: Any = StateGraph(_State)
    for number in range(nodes):
        builder.add_node(f"n{number}", nothing)
        builder.add_edge(f"n{number - 1}" if number else START, f"n{number}")
    builder.add_edge(f"n{nodes - 1}", END)
    return builder


def _plain(graph: Any, nodes: int) -> Sample:
    async def sample() -> float:
        with Stopwatch() as watch:
            await graph.ainvoke({"count": 0}, {"recursion_limit": nodes + 5})
        return watch.cpu_s / nodes

    return sample


def _streamed(graph: Any, nodes: int) -> Sample:
    encode = msgspec.json.Encoder(enc_hook=str).encode

    async def sample() -> float:
        with Stopwatch() as watch:
            events = graph.astream({"count": 0}, {"recursion_limit": nodes + 5}, stream_mode="tasks")
            lines = [encode(event) async for event in events]
        if len(lines) != 2 * nodes:
            raise RuntimeError(f"expected two events a node, got {len(lines)}")
        return watch.cpu_s / nodes

    return sample


def _durable(graph: Any, nodes: int, durability: Literal["async", "sync"]) -> Sample:
    async def sample() -> float:
        config = {"recursion_limit": nodes + 5, "configurable": {"thread_id": str(uuid4())}}
        with Stopwatch() as watch:
            await graph.ainvoke({"count": 0}, config, durability=durability)
        return watch.seconds / nodes

    return sample
