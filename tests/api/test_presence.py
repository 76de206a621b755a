"""Who counts as a reader."""

import asyncio
from contextlib import closing
from typing import Any

import pytest

from app.services.presence import Presence
from app.services.streams import StreamService
from graphwire.clock import SystemClock
from graphwire.events.hub import Hub, NoticeItem
from graphwire.events.notices import StreamClosed
from graphwire.types import ExecutionId
from tests.waiting import PATIENCE_S, at_first_wait, timers_that_are_due

EXECUTION = ExecutionId("execution-1")


@pytest.mark.capability("SSE-09")
async def test_a_poll_that_waits_is_a_reader_until_it_is_answered() -> None:
    presence = Presence(grace_s=0)
    store: Any = None  # nothing is stored
    streams = StreamService(store, presence, SystemClock())
    given_up = asyncio.Event()
    presence.watch(EXECUTION, given_up.set)

    polling = await at_first_wait(streams.page(EXECUTION, Hub(), after=0, filter=None, limit=1, wait_s=0.05))
    presence.came(EXECUTION)
    presence.went(EXECUTION, of_itself=True)
    await polling

    assert not given_up.is_set()
    async with asyncio.timeout(PATIENCE_S):
        await given_up.wait()


async def test_a_poll_that_the_end_of_the_service_answers_gives_nothing_up() -> None:
    presence = Presence(grace_s=0)
    store: Any = None
    streams = StreamService(store, presence, SystemClock())
    given_up = asyncio.Event()
    presence.watch(EXECUTION, given_up.set)

    polling = await at_first_wait(streams.page(EXECUTION, Hub(), after=0, filter=None, limit=1, wait_s=30))
    streams.drain()
    await polling
    await timers_that_are_due()

    assert not given_up.is_set()


async def test_a_stream_that_is_refused_keeps_nothing_running() -> None:
    presence = Presence(grace_s=0)
    store: Any = None
    streams = StreamService(store, presence, SystemClock(), max_readers=1)
    given_up = asyncio.Event()
    presence.watch(EXECUTION, given_up.set)

    with closing(streams.open(ExecutionId("execution-2"), Hub(), after=None, filter=None)):
        with closing(streams.open(EXECUTION, Hub(), after=None, filter=None)) as refused:
            presence.came(EXECUTION)
            presence.went(EXECUTION, of_itself=True)
            async with asyncio.timeout(PATIENCE_S):
                await given_up.wait()
            told = await refused.read(5)

    assert isinstance(told, NoticeItem)
    assert isinstance(told.notice, StreamClosed)
    assert told.notice.reason == "at_capacity"
