"""pydantic-graph."""

from contextlib import AsyncExitStack
from itertools import pairwise
from typing import Any

import msgspec
from pydantic_graph import GraphBuilder, StepContext

from tests.benchmarks.measuring import Sample, Stopwatch
from tests.benchmarks.peers.engines import Peer


async def peers(stack: AsyncExitStack, nodes: int) -> list[Peer]:
    """Return pydantic-graph's ways to run the chain."""
    graph = _chain(nodes)
    return [
        Peer("pydantic-graph", _plain(graph, nodes)),
        Peer("pydantic-graph, iterated, encoded", _iterated(graph, nodes), has_events=True),
    ]


def _chain(nodes: int) -> Any:
    builder: Any = GraphBuilder(auto_instrument=False)
    steps = [builder.step(_nothing, node_id=f"n{number}") for number in range(nodes)]
    places = pairwise((builder.start_node, *steps, builder.end_node))
    builder.add(*(builder.edge_from(source).to(target) for source, target in places))
    return builder.build()


async def _nothing(context: StepContext[None, None, None]) -> None:
    return None


def _plain(graph: Any, nodes: int) -> Sample:
    async def sample() -> float:
        with Stopwatch() as watch:
            await graph.run()
        return watch.cpu_s / nodes

    return sample


def _iterated(graph: Any, nodes: int) -> Sample:
    """It tells which tasks come next: from that a started and a completed event per node are made here."""
    encode = msgspec.json.encode

    async def sample() -> float:
        lines: list[bytes] = []
        with Stopwatch() as watch:
            async with graph.iter() as run:
                before: list[str] = []
                async for tasks in run:
                    lines += [encode({"type": "node_completed", "node_id": name}) for name in before]
                    before = [str(task.node_id) for task in tasks] if isinstance(tasks, list | tuple) else []
                    lines += [encode({"type": "node_started", "node_id": name}) for name in before]
        if len(lines) < 2 * nodes:
            raise RuntimeError(f"expected two events a node, got {len(lines)}")
        return watch.cpu_s / nodes

    return sample
