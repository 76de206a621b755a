"""Graphs for the soak: one that talks for a while, one that waits, and one that counts what the process holds."""

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

from graphwire import Graph

chatter = Graph("chatter", state={"count": 50, "interval_s": 0.005, "text": "x" * 200})


@chatter.node()
async def chat(count: int, interval_s: float, text: str) -> AsyncIterator[Any]:
    """Say a text so often."""
    for number in range(count):
        await asyncio.sleep(interval_s)  # the work itself
        yield {"number": number, "text": text}


chatter.node("after", "transform", {"set": {"done": "true"}}).edge("chat", "after")

endless = Graph("endless")


@endless.node()
async def wait() -> None:
    """Wait until it is cancelled."""
    await asyncio.Event().wait()


census = Graph("census")


@census.node()
async def count_what_is_held() -> dict[str, int]:
    """Count the tasks of the event loop, and the threads of the process."""
    return {"tasks": len(asyncio.all_tasks()), "threads": threading.active_count()}
