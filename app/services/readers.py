"""One reader of an execution: from its own place, what it misses from the store, and told when the service stops."""

from collections.abc import Callable

from graphwire.engine.ports import ExecutionStore
from graphwire.events.feed import Feed
from graphwire.events.hub import Behind, End, Hub, NoticeItem, Page, Subscription
from graphwire.events.notices import StreamClosed, StreamLagged
from graphwire.types import ExecutionId

READ_EVENTS = 1_024
READ_BYTES = 65_536

_END = End()


class EventReader:
    """Everything once, in order: from the store, then the ring, then live, with no seam. For one task.

    Args:
        is_placed: Whether the reader named its place; one that did not has none before its first event.
        closed: Called once with whether the reader left of itself.
    """

    def __init__(
        self,
        execution_id: ExecutionId,
        subscription: Subscription,
        store: ExecutionStore,
        *,
        is_placed: bool,
        closed: Callable[["EventReader", bool], None],
    ) -> None:
        self.execution_id = execution_id
        self._subscription = subscription
        self._feed = Feed(subscription)
        self._store = store
        self._is_placed = is_placed
        self._closed: Callable[[EventReader, bool], None] | None = closed
        self._farewell: StreamClosed | None = None
        self._is_over = False

    @property
    def cursor(self) -> int:
        """The last event that was given, or left out by the filter."""
        return self._subscription.cursor

    @property
    def place(self) -> int | None:
        """The cursor; None while no position is known."""
        return self.cursor if self.cursor or self._is_placed else None

    @property
    def hub(self) -> Hub:
        """Where the events come from."""
        return self._subscription.hub

    async def read(self, timeout_s: float) -> Page | NoticeItem | End | None:
        """Wait for what is next; None after ``timeout_s``. Cancelling it loses nothing."""
        if (item := self._ending()) is not None:
            return item
        found = await self._feed.read(timeout_s)
        if found is None:
            return self._ending()
        if isinstance(found, Behind):
            return await self._from_store(found, READ_EVENTS)
        return found

    async def poll(self, limit: int) -> Page | NoticeItem | End | None:
        """Return what is there already, at most so many events; None when the reader is up to date."""
        found = self._subscription.poll(limit=limit)
        if isinstance(found, Behind):
            return await self._from_store(found, limit)
        return found

    def dismiss(self, farewell: StreamClosed) -> None:
        """End the stream with this notice, between two events."""
        self._farewell = farewell
        self._feed.wake()

    def close(self) -> None:
        """Say that nobody reads any more. Idempotent."""
        closed, self._closed = self._closed, None
        if closed is not None:
            self._feed.close()
            closed(self, not self._is_over)

    def _ending(self) -> NoticeItem | End | None:
        farewell, self._farewell = self._farewell, None
        if farewell is not None:
            self._is_over = True
            return NoticeItem(farewell, self.cursor)
        return _END if self._is_over else None

    async def _from_store(self, missed: Behind, limit: int) -> Page | NoticeItem:
        events = await self._store.read_events(
            self.execution_id, after=missed.after, upto=missed.upto, limit=limit, max_bytes=READ_BYTES
        )
        upto = events[0].seq - 1 if events else missed.upto
        following = events[0] if events else self.hub.get(missed.upto + 1)
        # A jump in the numbers is either where a process died, and says so itself, or deleted history.
        if upto > missed.after and (following is None or following.type != "checkpoint_restored"):
            self._subscription.advance(upto)
            dropped = upto - missed.after
            return NoticeItem(StreamLagged(from_seq=missed.after + 1, to_seq=upto, dropped=dropped), upto)
        self._subscription.advance(events[-1].seq if events else upto)
        passes = self._subscription.filter
        if passes is not None:
            events = [event for event in events if passes.passes(event.type, event.node_id)]
        return Page(events, self.cursor)
