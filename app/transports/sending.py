"""Sending a stream, whatever its form, to a client that may leave before its end."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import aclosing
from functools import partial
from typing import Any, TypeAlias

from starlette.types import Message, Scope, Send

from app.services.readers import Reader

AFTERWARDS = "graphwire.afterwards"
"""An extension of the server's: ``scope["extensions"][AFTERWARDS](rest)`` has it await ``rest(send)`` when the
application has returned. A stream that is open then no longer holds the frames of every layer above it, and its
writes do not pass through them."""

Rest: TypeAlias = Callable[[Send], Awaitable[None]]


async def send_stream(
    scope: Scope,
    send: Send,
    start: Message,
    writes: AsyncGenerator[bytes, None],
    listening: Coroutine[Any, Any, None],
    reader: Reader,
) -> None:
    """Send the start of an answer, then its writes while a task listens whether the client leaves.

    Whatever happens, the reader and the writes are closed.
    """
    rest = partial(_send_rest, writes, listening, reader)
    try:
        await send(start)
    except BaseException:
        listening.close()
        reader.close()
        raise
    afterwards: Callable[[Rest], None] | None = scope.get("extensions", {}).get(AFTERWARDS)
    if afterwards is None:
        await rest(send)
    else:
        afterwards(rest)


async def _send_rest(
    writes: AsyncGenerator[bytes, None], listening: Coroutine[Any, Any, None], reader: Reader, send: Send
) -> None:
    listener = asyncio.get_running_loop().create_task(listening)
    try:
        async with aclosing(writes):
            async for write in writes:
                await send({"type": "http.response.body", "body": write, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    finally:
        listener.cancel()
        reader.close()
