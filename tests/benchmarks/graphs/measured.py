"""The graphs that the service is measured with."""

import asyncio
from collections.abc import Awaitable, Callable

from graphwire import Context, Graph

TEXT = "x" * 30
"""Makes an event about 250 bytes long."""


def _noop() -> Callable[[], Awaitable[None]]:
    async def nothing() -> None:
        return None

    return nothing


chain = Graph("chain", description="Twenty nodes that do nothing, one after the other.")
for _number in range(20):
    chain.node(_noop(), id=f"n{_number}")
    if _number:
        chain.edge(f"n{_number - 1}", f"n{_number}")

chatty = Graph("chatty", description="As many events as fast as it can.", state={"count": 1000})


@chatty.node()
async def talk(ctx: Context, count: int) -> None:
    """Emit."""
    for number in range(count):
        await ctx.emit({"number": number, "text": TEXT})


paced = Graph("paced", description="Events in bursts of ten.", state={"count": 1000, "pause_ms": 2})


@paced.node()
async def tick(ctx: Context, count: int, pause_ms: float) -> None:
    """Emit ten, pause, emit ten."""
    for number in range(count):
        await ctx.emit({"number": number, "text": TEXT})
        if number % 10 == 9:
            await asyncio.sleep(pause_ms / 1000)  # the pace is what this graph is for


waiting = Graph("waiting", description="Waits until it is cancelled.")


@waiting.node()
async def wait() -> None:
    """Wait."""
    await asyncio.Event().wait()
