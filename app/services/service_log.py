"""The service's own events on their way to its readers: read as they are stored, while somebody reads."""

import asyncio
import logging
from contextlib import suppress
from types import TracebackType
from typing import Self

from app.storage.database import Database
from graphwire.errors import GraphwireError, HistoryDamaged
from graphwire.events.hub import PAGE_BYTES, Hub, Published

log = logging.getLogger(__name__)

READ_EVENTS = 1_024
RETRY_S = 1.0
_ALL = 2**62


class ServiceLog:
    """A hub that follows what is stored. Nothing is visible before, and while nobody listens nothing is read.

    Args:
        database: Its ``news`` say when there may be more.
    """

    def __init__(self, database: Database, *, ring_events: int, ring_bytes: int) -> None:
        self._database = database
        self._reader = database.reader()
        self._hub = Hub(ring_events=ring_events, ring_bytes=ring_bytes, durability="sync")
        self._listeners = 0
        self._reading = asyncio.Lock()
        self._has_news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._database.news.hear(self._hear)
        self._task = asyncio.get_running_loop().create_task(self._follow(), name="service-log")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._database.news.hear(None)
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._reader.close()

    async def listen(self) -> Hub:
        """Return the hub with all that is stored by now, and keep it so until ``leave``, which ends each call.

        Raises:
            StorageUnavailable: What is stored cannot be read now.
        """
        async with self._reading:
            if self._listeners:
                await self._catch_up()
            else:
                self._hub.skip(await self._reader.last_service_event())
            self._listeners += 1
        return self._hub

    def leave(self) -> None:
        """Say that one listener less is there."""
        self._listeners -= 1

    async def read_events(self, *, after: int, upto: int, limit: int, max_bytes: int) -> list[Published]:
        """See ``readers.History``."""
        return await self._reader.read_service_events(after=after, upto=upto, limit=limit, max_bytes=max_bytes)

    def _hear(self) -> None:
        # Who is about to listen may have looked before this was stored.
        if self._listeners or self._reading.locked():
            self._has_news.set()

    async def _follow(self) -> None:
        while True:
            await self._has_news.wait()
            self._has_news.clear()
            try:
                async with self._reading:
                    if self._listeners:
                        await self._catch_up()
            except GraphwireError as error:
                log.info("events of the service are told later: %s", error)
            except Exception:  # border: the top of a background task
                log.exception("events of the service could not be told")
            else:
                continue
            asyncio.get_running_loop().call_later(RETRY_S, self._has_news.set)

    async def _catch_up(self) -> None:
        hub = self._hub
        while True:
            try:
                events = await self._reader.read_service_events(
                    after=hub.published, upto=_ALL, limit=READ_EVENTS, max_bytes=PAGE_BYTES
                )
            except HistoryDamaged:
                last = await self._reader.last_service_event()
                if last <= hub.published:
                    raise  # it is the file that cannot be read, not an event
                hub.skip(last)  # each reader finds out by itself, and whoever begins behind it is not held up
                continue
            if not events:
                return
            hub.skip(events[0].seq - 1)  # where what nobody has read yet was deleted
            for event in events:
                hub.publish(event)
            hub.mark_stored(hub.published)
