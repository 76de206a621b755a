"""Readers of executions and of the service: who may read from where, and who is told when the service stops."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field

from app.services.errors import no_execution
from app.services.presence import Presence
from app.services.readers import EventReader, ExecutionHistory, Pages, deleted, draw_retry_ms
from app.services.service_log import ServiceLog
from graphwire.clock import Clock
from graphwire.engine.ports import ExecutionStore
from graphwire.errors import AtCapacity, HistoryDamaged, InvalidCursor, NotFound, ShuttingDown
from graphwire.events.filters import Filter
from graphwire.events.hub import End, Hub, NoticeItem, Page, Published
from graphwire.events.notices import StreamClosed, StreamLagged, encode_notice
from graphwire.types import ExecutionId

MAX_READERS = 20_000
EXAMINED_EVENTS = 10_000
MAX_DELETED = 1_000
"""Remembered at least as long as it takes from finding an execution to opening its stream."""
PAGE_BYTES = 65_536
"""As much as a write of a stream: who asks for a page and does not read it costs no more than a reader of one."""


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
        presence: Told of every stream of an execution that comes and goes.
        max_readers: Streams that are open at once, and polls that wait.
    """

    def __init__(
        self, store: ExecutionStore, presence: Presence, clock: Clock, *, max_readers: int = MAX_READERS
    ) -> None:
        self._store = store
        self._pages = Pages()
        self._presence = presence
        self._clock = clock
        self._max_readers = max_readers
        self._polling = 0
        self._open: set[EventReader] = set()
        self._waiting: set[asyncio.Future[None]] = set()
        self._deleted: dict[ExecutionId, None] = {}
        self._is_draining = False

    def farewell(self) -> StreamClosed:
        """Return what a stream is told when the service stops; the time differs, so that no herd comes back at once."""
        return StreamClosed(reason="shutting_down", detail="the service stops; come back", retry_ms=draw_retry_ms())

    def admit(self) -> None:
        """Refuse a stream that could only be told to come back. For clients that go by the status of an answer.

        Raises:
            ShuttingDown: The service stops.
            AtCapacity: Too many are open.
        """
        if self._is_draining:
            raise ShuttingDown("the service stops; come back")
        self._require_room()

    def open(self, execution_id: ExecutionId, hub: Hub, *, after: int | None, filter: Filter | None) -> EventReader:
        """Return a reader that has everything up to ``after``; whoever gets it closes it.

        While the service drains, where too many are open, or where the execution was just deleted, it is given one
        that says so and ends.

        Raises:
            InvalidCursor: ``after`` lies in the future.
        """
        check_cursor(after, hub)
        history = self._history(execution_id)
        if self._is_full and not self._is_draining:
            # Nobody's presence: who is sent away keeps no execution running.
            refused = EventReader(hub, history, execution_id=execution_id, after=after, filter=filter, closed=_nothing)
            refused.dismiss(self._sent_away())
            return refused
        reader = EventReader(hub, history, execution_id=execution_id, after=after, filter=filter, closed=self._left)
        self._open.add(reader)
        self._presence.came(execution_id)
        if execution_id in self._deleted:
            reader.dismiss(deleted())
        elif self._is_draining:
            reader.dismiss(self.farewell())
        return reader

    async def open_service(self, log: ServiceLog, *, after: int | None, filter: Filter | None) -> EventReader:
        """Return a reader of the service's own events, which end with the service only; see ``open``.

        Raises:
            InvalidCursor: ``after`` lies in the future.
            StorageUnavailable: It is not known now what there is.
        """
        hub = await log.listen()

        def left(reader: EventReader, _: bool) -> None:
            self._open.discard(reader)
            log.leave()

        try:
            check_cursor(after, hub)
        except InvalidCursor:
            log.leave()
            raise
        reader = EventReader(hub, log, execution_id=None, after=after, filter=filter, closed=left)
        if self._is_draining:
            reader.dismiss(self.farewell())
        elif self._is_full:
            reader.dismiss(self._sent_away())
            return reader
        self._open.add(reader)
        return reader

    def look(self, execution_id: ExecutionId, hub: Hub) -> EventReader:
        """Return a reader from the start on that is nobody's, to look at what is there."""
        history = self._history(execution_id)
        return EventReader(hub, history, execution_id=execution_id, after=0, filter=None, closed=_nothing)

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
            AtCapacity: It would wait, and too many do.
        """
        if execution_id in self._deleted:
            raise no_execution(execution_id)
        check_cursor(after, hub)
        history = self._history(execution_id)
        reader = EventReader(hub, history, execution_id=execution_id, after=after, filter=filter, closed=_nothing)
        if wait_s <= 0:
            return await self._page(reader, limit, wait_s)
        self._require_room()
        self._presence.came(execution_id)
        try:
            return await self._page(reader, limit, wait_s)
        finally:
            self._presence.went(execution_id, of_itself=not self._is_draining)

    async def page_of_service(
        self, log: ServiceLog, *, after: int, filter: Filter | None, limit: int, wait_s: float
    ) -> EventPage:
        """Return the service's own events after a place; see ``page``.

        Raises:
            InvalidCursor: ``after`` lies in the future.
            AtCapacity: It would wait, and too many do.
            StorageUnavailable: The events cannot be read now.
        """
        if wait_s > 0:
            self._require_room()
        hub = await log.listen()
        try:
            check_cursor(after, hub)
            reader = EventReader(hub, log, execution_id=None, after=after, filter=filter, closed=_nothing)
            return await self._page(reader, limit, wait_s)
        finally:
            log.leave()

    async def _page(self, reader: EventReader, limit: int, wait_s: float) -> EventPage:
        hub = reader.hub
        page = EventPage(reader.cursor, hub.visible, ended=False)
        self._polling += wait_s > 0
        deadline = asyncio.get_running_loop().time() + wait_s
        try:
            while not await self._fill(page, reader, limit):
                if page.events or not await self._sleep(hub, deadline):
                    break
        finally:
            reader.close()
            self._polling -= wait_s > 0
        page.next, page.last_seq = reader.cursor, hub.visible
        page.ended = hub.closed and not hub.is_lost and page.next >= hub.visible
        return page

    async def _fill(self, page: EventPage, reader: EventReader, limit: int) -> bool:
        """Take what is there; whether the page is finished."""
        size = 0
        while len(page.events) < limit and size < PAGE_BYTES and reader.cursor - page.next < EXAMINED_EVENTS:
            try:
                item = await reader.poll(limit - len(page.events), PAGE_BYTES - size)
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

    def _history(self, execution_id: ExecutionId) -> ExecutionHistory:
        return ExecutionHistory(self._store, execution_id, self._pages)

    @property
    def _is_full(self) -> bool:
        return len(self._open) + self._polling >= self._max_readers

    def _crowded(self) -> str:
        return f"{self._max_readers:,} streams are open (GRAPHWIRE_MAX_READERS); come back"

    def _require_room(self) -> None:
        if self._is_full:
            raise AtCapacity(self._crowded(), limit=self._max_readers)

    def _sent_away(self) -> StreamClosed:
        return StreamClosed(reason="at_capacity", detail=self._crowded(), retry_ms=draw_retry_ms())

    def _left(self, reader: EventReader, of_itself: bool) -> None:
        self._open.discard(reader)
        if reader.execution_id is not None:
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


def _nothing(reader: EventReader, of_itself: bool) -> None:
    """Nobody is told when a poll ends."""
