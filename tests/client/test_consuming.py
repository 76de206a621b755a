import asyncio
from collections.abc import AsyncIterator

import pytest

from graphwire.client import ConnectionFailed, GaveUp, consume

LOST = GaveUp(3, ConnectionFailed("away", was_open=False))


async def test_what_ends_the_events_is_raised_as_it_is_once_all_handlers_have_ended() -> None:
    handled: list[int] = []
    lost = asyncio.Event()

    async def events() -> AsyncIterator[int]:
        yield 1
        yield 2
        lost.set()
        raise LOST

    async def handle(event: int) -> None:
        await lost.wait()
        handled.append(event)

    with pytest.raises(GaveUp) as raised:
        await consume(events(), handle)

    assert raised.value is LOST
    assert handled == [1, 2]


async def test_cancelling_ends_the_handlers_too() -> None:
    ended: list[int] = []
    busy = asyncio.Event()

    async def events() -> AsyncIterator[int]:
        yield 1
        await asyncio.Event().wait()

    async def handle(event: int) -> None:
        busy.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(event)

    consuming = asyncio.create_task(consume(events(), handle))
    await busy.wait()
    consuming.cancel()
    with pytest.raises(asyncio.CancelledError):
        await consuming

    assert ended == [1]


async def test_no_more_handlers_than_allowed_are_at_work() -> None:
    busy, most = 0, 0

    async def events() -> AsyncIterator[int]:
        for number in range(20):
            yield number

    async def handle(event: int) -> None:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await asyncio.sleep(0)
        busy -= 1
        if event % 2:
            raise ValueError(event)

    failed = await consume(events(), handle, max_concurrent=3)

    assert most == 3
    assert [event for event, _ in failed] == list(range(1, 20, 2))
