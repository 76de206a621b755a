"""Waiting for something on behalf of a client, as long as it is there."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

T = TypeVar("T")


async def while_there(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Return what ``work`` returns; it is cancelled as soon as the client has left. The body must have been read.

    Raises:
        ClientDisconnect: It left; nobody would read the answer.
        Exception: What ``work`` raises.
    """
    try:
        async with asyncio.TaskGroup() as group:
            working = group.create_task(work)
            leaving = group.create_task(_left(request))
            await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
            working.cancel()
            leaving.cancel()
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None  # of the work: the other only listens
    if working.cancelled():
        raise ClientDisconnect
    return working.result()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        continue
