"""Events handled side by side, but never too many at once."""

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def consume(
    events: AsyncIterable[T], handler: Callable[[T], Awaitable[object]], *, max_concurrent: int = 5
) -> list[tuple[T, Exception]]:
    """Call a handler with every event, so many at once at most, and wait for all of them.

    Handlers may end in another order than their events. While all are busy nothing is read. What ends the events, such
    as ``GaveUp``, is raised when the handlers have ended that are at work then.

    Returns:
        The events whose handlers raised, each with what it raised, in the order of the events.
    """
    lost: Exception | None = None
    room = asyncio.Semaphore(max_concurrent)
    failed: list[tuple[int, T, Exception]] = []

    async def handle(number: int, event: T) -> None:
        try:
            await handler(event)
        except Exception as error:  # border: the handler is the caller's, who gets what it raised
            failed.append((number, event, error))
        finally:
            room.release()

    async with asyncio.TaskGroup() as group:
        number = 0
        try:
            async for event in events:
                await room.acquire()
                group.create_task(handle(number, event))
                number += 1
        except Exception as error:  # raised below, and not as one of a group
            lost = error
    if lost is not None:
        raise lost
    return [(event, error) for _, event, error in sorted(failed, key=lambda each: each[0])]
