"""One reader of an execution: from its own place, what it misses from the store, and told when the service stops."""

from collections.abc import Callable

from graphwire.engine.ports import ExecutionStore
from graphwire.errors import HistoryDamaged, StorageUnavailable
from graphwire.events.feed import Feed
from graphwire.events.filters import Filter
from graphwire.events.hub import Behind, End, Hub, Item, NoticeItem, Page, Subscription
from graphwire.events.notices import StreamClosed, StreamLagged
from graphwire.types import ExecutionId

READ_EVENTS = 1_024
READ_BYTES = 65_536
RETRY_MS = 5_000

_END = End()


class _Place(Subscription):
    """A subscription that can be told to end: with a notice, between two events, or because its reader left."""

    __slots__ = ("farewell", "has_left", "is_over")

    def __init__(self, hub: Hub, after: int, filter: Filter | None) -> None:
        super().__init__(hub, after, filter)
        self.farewell: StreamClosed | None = None
        self.is_over = False
        self.has_left = False

    def poll(self, limit: int = READ_EVENTS, max_bytes: int = READ_BYTES) -> Item | None:
        if self.has_left:
            return _END
        farewell, self.farewell = self.farewell, None
        if farewell is not None:
            self.is_over = True
            return NoticeItem(farewell, self.cursor)
        if self.is_over:
            return _END
        item = super().poll(limit, max_bytes)
        if isinstance(item, End) and self.hub.is_lost:
            self.is_over = True
            return NoticeItem(ended_elsewhere(), self.cursor)
        return item


class EventReader:
    """Everything once, in order: from the store, then the ring, then live, with no seam. For one task.

    Args:
        after: The reader has everything up to here; None where it did not name a place.
        closed: Called once with whether the reader left of itself.
    """

    def __init__(
        self,
        execution_id: ExecutionId,
        hub: Hub,
        store: ExecutionStore,
        *,
        after: int | None,
        filter: Filter | None,
        closed: Callable[["EventReader", bool], None],
    ) -> None:
        self.execution_id = execution_id
        self.hub = hub
        self._place = _Place(hub, after or 0, filter)
        self._feed = Feed(self._place)
        self._store = store
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

    async def read(self, timeout_s: float) -> Page | NoticeItem | End | None:
        """Wait for what is next; None after ``timeout_s``. Cancelling it loses nothing.

        Where the stored history cannot be read, the stream is over, and a notice says so.
        """
        try:
            item = await self._completed(await self._feed.read(timeout_s), READ_EVENTS)
            if isinstance(item, NoticeItem) and isinstance(item.notice, StreamLagged):
                self._doubt(item.notice)
            return item
        except HistoryDamaged as error:
            farewell = StreamClosed(reason="history_damaged", detail=error.detail)
        except StorageUnavailable as error:
            farewell = StreamClosed(reason="storage_unavailable", detail=error.detail, retry_ms=RETRY_MS)
        self._place.is_over = True
        return NoticeItem(farewell, self.cursor)

    async def poll(self, limit: int) -> Page | NoticeItem | End | None:
        """Return what is there already, at most so many events; None when the reader is up to date.

        Raises:
            HistoryDamaged, StorageUnavailable: The stored history cannot be read, or not now.
        """
        return await self._completed(self._place.poll(limit), limit)

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

    async def _completed(self, item: Item | None, limit: int) -> Page | NoticeItem | End | None:
        if not isinstance(item, Behind):
            return item
        events = await self._store.read_events(
            self.execution_id, after=item.after, upto=item.upto, limit=limit, max_bytes=READ_BYTES
        )
        upto = events[0].seq - 1 if events else item.upto
        following = events[0] if events else self.hub.get(item.upto + 1)
        # A jump in the numbers is either where a process died, and says so itself, or deleted history.
        if upto > item.after and (following is None or following.type != "checkpoint_restored"):
            self._place.advance(upto)
            return NoticeItem(StreamLagged(from_seq=item.after + 1, to_seq=upto, dropped=upto - item.after), upto)
        self._place.advance(events[-1].seq if events else upto)
        passes = self._place.filter
        if passes is not None:
            events = [event for event in events if passes.passes(event.type, event.node_id)]
        return Page(events, self.cursor)


def ended_elsewhere() -> StreamClosed:
    """Return what a reader is told whose execution another server has ended. Who comes back is told that end."""
    return StreamClosed(
        reason="storage_unavailable", detail="another server has ended the execution", retry_ms=RETRY_MS
    )


def deleted() -> StreamClosed:
    """Return what a reader is told whose execution was deleted. To come back would be no use."""
    return StreamClosed(reason="deleted", detail="the execution was deleted")
