"""Who counts as a reader."""

import asyncio
from typing import Any

import pytest

from app.services.presence import Presence
from app.services.streams import StreamService
from graphwire.clock import SystemClock
from graphwire.events.hub import Hub
from graphwire.types import ExecutionId

EXECUTION = ExecutionId("execution-1")


@pytest.mark.capability("SSE-09")
async def test_a_poll_that_waits_is_a_reader_until_it_is_answered() -> None:
    presence = Presence(grace_s=0)
    store: Any = None  # nothing is stored
    streams = StreamService(store, presence, SystemClock())
    given_up = asyncio.Event()
    presence.watch(EXECUTION, given_up.set)

    polling = asyncio.ensure_future(streams.page(EXECUTION, Hub(), after=0, filter=None, limit=1, wait_s=0.05))
    await asyncio.sleep(0)
    presence.came(EXECUTION)
    presence.went(EXECUTION, of_itself=True)
    await polling

    assert not given_up.is_set()
    async with asyncio.timeout(5):
        await given_up.wait()


async def test_a_poll_that_the_end_of_the_service_answers_gives_nothing_up() -> None:
    presence = Presence(grace_s=0)
    store: Any = None
    streams = StreamService(store, presence, SystemClock())
    given_up = asyncio.Event()
    presence.watch(EXECUTION, given_up.set)

    polling = asyncio.ensure_future(streams.page(EXECUTION, Hub(), after=0, filter=None, limit=1, wait_s=30))
    await asyncio.sleep(0)
    streams.drain()
    await polling
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert not given_up.is_set()
