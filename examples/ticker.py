"""A node that says something at regular times.

Shows an asynchronous generator as a node: each value that it yields is an event at once, and a ``Result`` is what the
node leaves in the state. Made for trying out streams: start it, cut the connection, come back with the last id, and no
tick is missing. ``count`` and ``interval_ms`` are state keys: {"state": {"count": 10000, "interval_ms": 1}}.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from graphwire import Graph, Result
from graphwire.errors import InputError

MAX_COUNT = 1_000_000
MAX_INTERVAL_MS = 60_000

graph = Graph(
    "ticker",
    name="Ticker",
    description="An event every interval_ms, count times. For trying out streams.",
    state={"count": 100, "interval_ms": 100},
)


@graph.node()
async def tick(count: int, interval_ms: float) -> AsyncIterator[Any]:
    """Say the number of each tick when it is due, however long the listeners took for the last one."""
    if type(count) is not int or not 0 <= count <= MAX_COUNT:
        raise InputError(f"count is a whole number from 0 to {MAX_COUNT:,}")
    if type(interval_ms) not in (int, float) or not 0 <= interval_ms <= MAX_INTERVAL_MS:
        raise InputError(f"interval_ms is a number from 0 to {MAX_INTERVAL_MS:,}")
    loop = asyncio.get_running_loop()
    started = loop.time()
    for number in range(1, count + 1):
        due = started + number * interval_ms / 1000
        await asyncio.sleep(max(due - loop.time(), 0))
        yield {"tick": number, "of": count}
    yield Result({"ticks": count})
