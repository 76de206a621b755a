"""A graph that says something as often as it is told."""

import asyncio
from collections.abc import AsyncIterator

from graphwire import Context, Graph

TEXT = "x" * 30


async def orders(path: str) -> AsyncIterator[int]:
    """Listen on a Unix socket, and give the whole numbers that come, a line each, up to a zero."""
    heard: asyncio.Queue[int] = asyncio.Queue()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            heard.put_nowait(int(line))
        writer.close()

    async with await asyncio.start_unix_server(listen, path):
        while count := await heard.get():
            yield count


told = Graph("told", description="Says something as often as it is told.", state={"path": ""})


@told.node()
async def tell(ctx: Context, path: str) -> None:
    """Emit."""
    number = 0
    async for count in orders(path):
        for _ in range(count):
            await ctx.emit({"number": number, "text": TEXT})
            number += 1
