"""Sending a stream, whatever its form, to a client that may leave before its end."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from typing import Any

from starlette.types import Message, Send

from app.services.readers import EventReader


async def send_writes(start: Message, writes: AsyncGenerator[bytes, None], send: Send) -> None:
    """Send the start of an answer, each write, and the end. The writes are closed, whatever happens."""
    async with aclosing(writes):
        await send(start)
        async for write in writes:
            await send({"type": "http.response.body", "body": write, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def attended(
    sending: Coroutine[Any, Any, None], listening: Coroutine[Any, Any, None], reader: EventReader
) -> None:
    """Send to the end while a task listens whether the client leaves, then close the reader."""
    listener = asyncio.get_running_loop().create_task(listening)
    try:
        await sending
    finally:
        listener.cancel()
        reader.close()
