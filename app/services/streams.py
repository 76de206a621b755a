"""Readers of executions: who may read from where, and who is told when the service stops."""

import asyncio
import random
from collections.abc import Collection
from dataclasses import dataclass, field

from app.services.presence import Presence
from app.services.readers import EventReader, deleted
from graphwire.clock import Clock
from graphwire.engine.ports import ExecutionStore
from graphwire.errors import HistoryDamaged, InvalidCursor, NotFound, quoted
from graphwire.events.filters import Filter
from graphwire.events.hub import End, Hub, NoticeItem, Page, Published
from graphwire.events.notices import StreamClosed, StreamLagged, encode_notice
from graphwire.types import ExecutionId

RETRY_MS = (1_000, 5_000)
EXAMINED_EVENTS = 10_000
MAX_DELETED = 1_000
"""Remembered at least as long as it takes from finding an execution to opening its stream."""
PAGE_BYTES = 4 * 1024 * 1024


@dataclass(slots=True)
class EventPage:
    """What a poll found.

    Attributes:
        next: The cursor to go on with; past what the filter left out.
        last_seq: The newest event that may be told.
        lagged: The notice ``stream_lagged`` as JSON, where history was deleted.
    """

    next: int
    last_seq: int
    ended: bool
    events: list[Published] = field(default_factory=list)
    lagged: bytes | None = None


class StreamService:
    """Opens readers and ends them at shutdown.

    Args:
        presence: Told of every stream that comes and goes.
    """

    def __init__(self, store: ExecutionStore, presence: Presence, clock: Clock) -> None:
        self._store = store
        self._presence = presence
        self._clock = clock
        self._open: set[EventReader] = set()
        self._waiting: set[asyncio.Future[None]] = set()
        self._deleted: dict[ExecutionId, None] = {}
        self._is_draining = False

    @property
    def is_draining(self) -> bool:
        """Whether no stream is served any more."""
        return self._is_draining

    def farewell(self) -> StreamClosed:
        """Return what a stream is told when the service stops; the time differs, so that no herd comes back at once."""
        return StreamClosed(
            reason="shutting_down", detail="the service stops; come back", retry_ms=random.randint(*RETRY_MS)
        )

    def open(self, execution_id: ExecutionId, hub: Hub, *, after: int | None, filter: Filter | None) -> EventReader:
        """Return a reader that has everything up to ``after``; whoever gets it closes it.

        While the service drains, or where the execution was just deleted, it is given one that says so and ends.

        Raises:
            InvalidCursor: ``after`` lies in the future.
        """
        check_cursor(after, hub)
        reader = EventReader(execution_id, hub, self._store, after=after, filter=filter, closed=self._left)
        self._open.add(reader)
        self._presence.came(execution_id)
        if execution_id in self._deleted:
            reader.dismiss(deleted())
        elif self._is_draining:
            reader.dismiss(self.farewell())
        return reader

    def end_deleted(self, execution_ids: Collection[ExecutionId]) -> None:
        """End the streams of executions that were deleted."""
        gone = frozenset(execution_ids)
        self._deleted |= dict.fromkeys(gone)  # a reader may have found one, and not be open yet
        while len(self._deleted) > MAX_DELETED:
            del self._deleted[next(iter(self._deleted))]
        for reader in [reader for reader in self._open if reader.execution_id in gone]:
            reader.dismiss(deleted())

    def drain(self) -> None:
        """End every stream, now and from now on. Idempotent."""
        self._is_draining = True
        for reader in list(self._open):
            reader.dismiss(self.farewell())
        for waiting in list(self._waiting):
            _wake(waiting)

    async def page(
        self,
        execution_id: ExecutionId,
        hub: Hub,
        *,
        after: int,
        filter: Filter | None,
        limit: int,
        wait_s: float,
    ) -> EventPage:
        """Return events after a place, at most ``limit``; wait so long for the first if there is none yet.

        Whoever waits is a reader of the execution meanwhile.

        Raises:
            InvalidCursor: ``after`` lies in the future.
            NotFound: The execution was just deleted.
        """
        if execution_id in self._deleted:
            raise NotFound(f"there is no execution {quoted(execution_id)}")
        check_cursor(after, hub)
        reader = EventReader(execution_id, hub, self._store, after=after, filter=filter, closed=lambda *_: None)
        waits = wait_s > 0
        if waits:
            self._presence.came(execution_id)
        page = EventPage(after, hub.visible, ended=False)
        deadline = asyncio.get_running_loop().time() + wait_s
        try:
            while not await self._fill(page, reader, limit):
                if page.events or not await self._sleep(hub, deadline):
                    break
        finally:
            reader.close()
            if waits:
                self._presence.went(execution_id, of_itself=not self._is_draining)
        page.next, page.last_seq = reader.cursor, hub.visible
        page.ended = hub.closed and not hub.is_lost and page.next >= hub.visible
        return page

    async def _fill(self, page: EventPage, reader: EventReader, limit: int) -> bool:
        """Take what is there; whether the page is finished."""
        size = 0
        while len(page.events) < limit and size < PAGE_BYTES and reader.cursor - page.next < EXAMINED_EVENTS:
            try:
                item = await reader.poll(limit - len(page.events))
            except HistoryDamaged:
                if page.events:
                    return True
                raise
            match item:
                case Page(items=items):
                    page.events += items
                    size += sum(len(item.line) for item in items)
                case NoticeItem(notice=StreamLagged() as notice, after=after):
                    wall_ns = self._clock.wall_ns()
                    page.lagged = encode_notice(notice, execution_id=reader.execution_id, wall_ns=wall_ns, after=after)
                    page.next = after
                case NoticeItem():
                    continue
                case End():
                    return True
                case None:
                    return False
        return True

    async def _sleep(self, hub: Hub, deadline: float) -> bool:
        """Wait until something is visible; False at the deadline, or when the service stops."""
        loop = asyncio.get_running_loop()
        if self._is_draining or loop.time() >= deadline:
            return False
        waiting: asyncio.Future[None] = loop.create_future()

        def news() -> None:
            _wake(waiting)

        self._waiting.add(waiting)
        hub.when_visible(news)
        try:
            async with asyncio.timeout_at(deadline):
                await waiting
        except TimeoutError:
            return False
        finally:
            self._waiting.discard(waiting)
            hub.forget(news)
        return not self._is_draining

    async def read_event(self, execution_id: ExecutionId, hub: Hub, seq: int) -> bytes:
        """Return one visible event, whole.

        Raises:
            NotFound: There is none, or it is not visible yet.
        """
        if 0 < seq <= hub.visible:
            kept = hub.get(seq)
            if kept is not None and kept.whole is not None:
                return kept.whole
            stored = await self._store.read_event(execution_id, seq) if seq <= hub.stored else None
            if stored is not None:
                return stored
            if kept is not None:
                return kept.line
        raise NotFound(f"there is no event {seq} in this execution")

    def _left(self, reader: EventReader, of_itself: bool) -> None:
        self._open.discard(reader)
        self._presence.went(reader.execution_id, of_itself=of_itself)


def check_cursor(after: int | None, hub: Hub) -> None:
    """Refuse a place that no reader can have been at.

    Raises:
        InvalidCursor: It lies in the future.
    """
    if after is not None and after > hub.visible:
        raise InvalidCursor(
            f"the cursor {after} is in the future; the last event is {hub.visible}", last_seq=hub.visible
        )


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)
