"""Waiting for a moment of the event loop that nothing tells of."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")

PATIENCE_S: Final = 60.0
"""After which a test says that what it waits for does not come. It measures nothing: no busy machine takes so long."""


async def at_first_wait(work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
    """Return a task that does this work and has come to where it first waits, or to its end."""
    begun = asyncio.Event()

    async def do() -> T:
        begun.set()  # who waits for this runs when this task waits
        return await work

    task = asyncio.create_task(do())
    await begun.wait()
    return task


async def timers_that_are_due() -> None:
    """Wait until what was to be called by now was called."""
    called = asyncio.Event()
    asyncio.get_running_loop().call_later(0, called.set)
    await called.wait()
