"""One reader of a log: from its own place, what it misses from the store, and told when the service stops.

The log is an execution's, or the service's own.
"""

import random
from collections.abc import Callable
from typing import Protocol, TypeAlias

from app.services.sharing import LookUps
from graphwire.engine.ports import ExecutionStore
from graphwire.errors import HistoryDamaged, StorageUnavailable
from graphwire.events.feed import READ_EVENTS, Feed
from graphwire.events.filters import Filter
from graphwire.events.hub import Behind, End, Hub, Item, NoticeItem, Page, Published, Subscription
from graphwire.events.notices import StreamClosed, StreamLagged
from graphwire.sinks.delivery import Opener, Source
from graphwire.types import ExecutionId

READ_BYTES = 65_536
RETRY_MS = (1_000, 5_000)

_END = End()


class Reader(Protocol):
    """What a transport reads from; see ``EventReader``."""

    @property
    def execution_id(self) -> ExecutionId | None: ...

    @property
    def place(self) -> int | None: ...

    async def read(self, timeout_s: float, limit: int = READ_EVENTS) -> Page | NoticeItem | End | None: ...

    def refilter(self, filter: Filter | None) -> int: ...

    def wake(self) -> None: ...

    def leave(self) -> None: ...

    def close(self) -> None: ...


class History(Protocol):
    """What is stored of a log."""

    async def read_events(self, *, after: int, upto: int, limit: int, max_bytes: int) -> list[Published]:
        """Return events with ``after < seq <= upto`` in order: so many at most, of so many bytes, at least one.

        Raises:
            HistoryDamaged: The first of them cannot be read.
            StorageUnavailable: Not now.
        """
        ...


Pages: TypeAlias = LookUps[tuple[ExecutionId, int, int, int, int], list[Published]]


class ExecutionHistory:
    """What is stored of an execution.

    Args:
        store: Where.
        execution_id: Whose.
        pages: Those that are being read: who wants one of them waits for it.
    """

    def __init__(self, store: ExecutionStore, execution_id: ExecutionId, pages: Pages | None = None) -> None:
        self._store = store
        self._id = execution_id
        self._pages = Pages() if pages is None else pages

    async def read_events(self, *, after: int, upto: int, limit: int, max_bytes: int) -> list[Published]:
        """See ``History``."""
        return await self._pages.get(
            (self._id, after, upto, limit, max_bytes),
            lambda: self._store.read_events(self._id, after=after, upto=upto, limit=limit, max_bytes=max_bytes),
        )


class _Place(Subscription):
    """A subscription that can be told to end: with a notice, between two events, or because its reader left."""

    __slots__ = ("farewell", "has_left", "holds_back", "is_over")

    def __init__(self, hub: Hub, after: int, filter: Filter | None) -> None:
        super().__init__(hub, after, filter)
        self.farewell: StreamClosed | None = None
        self.is_over = False
        self.has_left = False
        self.holds_back = False

    def poll(self, limit: int = READ_EVENTS, max_bytes: int = READ_BYTES) -> Item | None:
        if self.has_left:
            return _END
        farewell, self.farewell = self.farewell, None
        if farewell is not None:
            self.is_over = True
            return NoticeItem(farewell, self.cursor)
        if self.is_over:
            return _END
        if not limit and (self.holds_back or not (self.hub.closed and self.cursor >= self.hub.visible)):
            return None
        item = super().poll(limit, max_bytes)
        if isinstance(item, End) and self.hub.is_lost:
            self.is_over = True
            return NoticeItem(ended_elsewhere(), self.cursor)
        return item


class EventReader:
    """Everything once, in order: from the store, then the ring, then live, with no seam. For one task.

    Args:
        hub: Of the log.
        history: What the hub does not hold any more.
        execution_id: Whose log it is; None for the service's own.
        after: The reader has everything up to here; None where it did not name a place.
        closed: Called once with whether the reader left of itself.
    """

    def __init__(
        self,
        hub: Hub,
        history: History,
        *,
        execution_id: ExecutionId | None,
        after: int | None,
        filter: Filter | None,
        closed: Callable[["EventReader", bool], None],
    ) -> None:
        self.execution_id = execution_id
        self.hub = hub
        self._place = _Place(hub, after or 0, filter)
        self._feed = Feed(self._place)
        self._history = history
        self._is_placed = after is not None
        self._closed: Callable[[EventReader, bool], None] | None = closed

    @property
    def cursor(self) -> int:
        """The last event that was given, or left out by the filter."""
        return self._place.cursor

    @property
    def place(self) -> int | None:
        """The cursor; None while no position is known."""
        return self.cursor if self.cursor or self._is_placed else None

    async def read(self, timeout_s: float, limit: int = READ_EVENTS) -> Page | NoticeItem | End | None:
        """Wait for what is next; None after ``timeout_s``, and at ``wake``. Cancelling it loses nothing.

        A page has at most ``limit`` events. With 0 only the word of an early end is waited for.

        Where the stored history cannot be read, the stream is over, and a notice says so.
        """
        try:
            item = await self._completed(await self._feed.read(timeout_s, limit), limit, READ_BYTES)
            if isinstance(item, NoticeItem) and isinstance(item.notice, StreamLagged):
                self._doubt(item.notice)
            return item
        except (HistoryDamaged, StorageUnavailable) as error:
            self._place.is_over = True
            return NoticeItem(farewell_for(error), self.cursor)

    async def poll(self, limit: int, max_bytes: int = READ_BYTES) -> Page | NoticeItem | End | None:
        """Return what is there already, at most so many events and bytes, but one event; None when up to date.

        Raises:
            HistoryDamaged, StorageUnavailable: The stored history cannot be read, or not now.
        """
        return await self._completed(self._place.poll(limit, max_bytes), limit, max_bytes)

    def refilter(self, filter: Filter | None) -> int:
        """Show what this filter lets pass, from the number on that is returned; before it holds what held."""
        self._place.filter = filter
        return self.cursor + 1

    @property
    def is_current(self) -> bool:
        """Whether a read would wait."""
        place = self._place
        return place.is_current and not (place.has_left or place.is_over or place.farewell)

    @property
    def is_unfiltered(self) -> bool:
        """Whether the reader sees everything."""
        return self._place.filter is None

    def fork(self) -> Subscription:
        """Return a subscription that stands where the reader does, without a filter."""
        return self._place.fork()

    def follow(self, other: Subscription) -> None:
        """Stand where a subscription of the same hub stands, which has told the reader all until there."""
        self._place.follow(other)

    async def rest(self) -> None:
        """Wait until the reader is woken, dismissed or left, whatever becomes visible."""
        await self._feed.rest()

    @property
    def holds_back(self) -> bool:
        """Whether not all that was read is given on yet: then a read with ``limit`` 0 does not tell the end."""
        return self._place.holds_back

    @holds_back.setter
    def holds_back(self, holds_back: bool) -> None:
        self._place.holds_back = holds_back

    def wake(self) -> None:
        """Let the read that is waiting return None, or the rest; without one it does nothing."""
        self._feed.wake()

    def dismiss(self, farewell: StreamClosed) -> None:
        """End the stream with this notice, between two events."""
        self._place.farewell = farewell
        self._feed.wake()

    def leave(self) -> None:
        """Let the stream end at once and without a word: there is nobody to send it to."""
        self._place.has_left = True
        self._feed.wake()

    def close(self) -> None:
        """Say that nobody reads any more. Idempotent."""
        closed, self._closed = self._closed, None
        if closed is not None:
            self._feed.close()
            closed(self, not self._place.is_over)

    def _doubt(self, lagged: StreamLagged) -> None:
        """Where nothing is left of an ended execution, its deletion is why."""
        if self.hub.closed and lagged.to_seq >= self.hub.visible:
            self._place.farewell = deleted()

    async def _completed(self, item: Item | None, limit: int, max_bytes: int) -> Page | NoticeItem | End | None:
        if not isinstance(item, Behind):
            return item
        events = await self._history.read_events(after=item.after, upto=item.upto, limit=limit, max_bytes=max_bytes)
        upto = events[0].seq - 1 if events else item.upto
        following = events[0] if events else self.hub.get(item.upto + 1)
        # A jump in the numbers is either where a process died, and says so itself, or deleted history.
        is_said = following is not None and following.type == "checkpoint_restored"
        if not events and not self.hub.closed and item.upto == self.hub.began_after:
            is_said = True  # it comes, and may not be told before it is stored
        if upto > item.after and not is_said:
            self._place.advance(upto)
            return NoticeItem(StreamLagged(from_seq=item.after + 1, to_seq=upto, dropped=upto - item.after), upto)
        self._place.advance(events[-1].seq if events else upto)
        passes = self._place.filter
        if passes is not None:
            events = [event for event in events if passes.passes(event.type, event.node_id)]
        return Page(events, self.cursor)


def draw_retry_ms() -> int:
    """Return when a reader comes back: drawn for each, so that no herd returns at once."""
    return random.randint(*RETRY_MS)


def farewell_for(error: HistoryDamaged | StorageUnavailable) -> StreamClosed:
    """Return what a reader is told whose history cannot be read."""
    if isinstance(error, HistoryDamaged):
        return StreamClosed(reason="history_damaged", detail=error.detail)
    return StreamClosed(reason="storage_unavailable", detail=error.detail, retry_ms=draw_retry_ms())


def ended_elsewhere() -> StreamClosed:
    """Return what a reader is told whose execution another server has ended. Who comes back is told that end."""
    return StreamClosed(
        reason="storage_unavailable",
        detail="another server has ended the execution",
        retry_ms=draw_retry_ms(),
    )


def deleted() -> StreamClosed:
    """Return what a reader is told whose execution was deleted. To come back would be no use."""
    return StreamClosed(reason="deleted", detail="the execution was deleted")


def opener(execution_id: ExecutionId, store: ExecutionStore) -> Opener:
    """Return what opens the history of an execution for a sink."""

    def open(hub: Hub, after: int, filter: Filter | None) -> Source:
        history = ExecutionHistory(store, execution_id)
        return EventReader(hub, history, execution_id=execution_id, after=after, filter=filter, closed=_nobody)

    return open


def _nobody(reader: EventReader, of_itself: bool) -> None:
    """A sink is no reader that anybody waits for."""
