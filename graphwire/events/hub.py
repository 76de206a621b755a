"""The events of one execution on their way to its readers: a ring, three marks, and a cursor per reader.

Pure: no task, no lock, no clock. Everything is called on one thread; what waits leaves a callback.
"""

from collections import deque
from heapq import heappop, heappush
from typing import Final, Self, TypeAlias

from msgspec import Struct

from graphwire.events.filters import Filter
from graphwire.events.notices import Notice
from graphwire.events.ring import Published as Published, Ring
from graphwire.events.room import Callback, Room
from graphwire.events.types import TERMINAL_TYPES
from graphwire.types import Durability

MAX_UNSTORED_EVENTS: Final = 65_536
"""Visible is never further ahead of stored; numbering after a crash relies on it."""
PAGE_BYTES: Final = 65_536
_MAX_EXAMINED: Final = 10_000


class Page(Struct, frozen=True):
    """Events that are next, in order. Empty where a filter left out all of the many that were looked at.

    Attributes:
        cursor: Where the reader stands now; may lie behind the last item, since a filter may have left out more.
    """

    items: list[Published]
    cursor: int


class Behind(Struct, frozen=True):
    """The ring no longer holds what comes next: ``after < seq <= upto`` is read from the store.

    The reader says with ``Subscription.advance`` how far it came: to the last event that it got from the store, or
    to ``upto`` when the store has no more of them.
    """

    after: int
    upto: int


class NoticeItem(Struct, frozen=True):
    """A notice for this reader; ``after`` is its cursor."""

    notice: Notice
    after: int


class End(Struct, frozen=True):
    """The reader has the sentinel, or stands where it stood: nothing ever follows."""


Item: TypeAlias = Page | Behind | NoticeItem | End

_END: Final = End()


class Hub:
    """Numbers *published*, *stored* and *visible* of one execution, and the ring of its latest events.

    ``visible`` follows ``published`` (``async``) or ``stored`` (``sync``), stops before a barrier that is not stored,
    and is never more than ``MAX_UNSTORED_EVENTS`` ahead of ``stored``. An event that is not stored is never evicted.

    Callbacks are called once, in the order in which they came, after all marks are set; they must not raise. Whoever
    still waits asks again: so a publish costs nothing per reader that has nothing to do.

    Attributes:
        published: Number of the newest event; ``first_seq - 1`` while there is none.
        stored: All events up to this one are on disk.
        visible: All events up to this one may be told; so may everything else about the execution.
        taken_bytes: Bytes of the events that were handed over and are not stored yet.
        began_after: The number before its first event: everything up to it was told before there was this hub.
        is_lost: It was ended because the execution goes on, or has ended, elsewhere: what is published is dropped.
    """

    def __init__(
        self,
        *,
        ring_events: int = 1024,
        ring_bytes: int = 4 * 1024 * 1024,
        durability: Durability = "async",
        first_seq: int = 1,
        room: Room | None = None,
    ) -> None:
        """Make an empty hub.

        Args:
            ring_events: Stored events beyond so many are evicted, oldest first.
            ring_bytes: The same, in bytes of lines.
            durability: Whether ``visible`` follows ``published`` or ``stored``.
            first_seq: Number of the first event; everything below counts as stored and is read from the store.
            room: Shared bound on unstored bytes; one of its own by default.
        """
        self.published = self.stored = self.visible = first_seq - 1
        self.began_after = first_seq - 1
        self._is_sync = durability == "sync"
        self._ring = Ring(first_seq, max_events=ring_events, max_bytes=ring_bytes)
        self.taken_bytes = 0
        self._taken = first_seq - 1
        self._unstored_bytes = 0
        self._room = Room() if room is None else room
        self._barriers: deque[int] = deque()
        self._terminal: int | None = None
        self._sentinel: int | None = None
        self._notice: Notice | None = None
        self._notice_at = 0
        self._notice_number = 0
        self._visible_waiting: dict[Callback, None] = {}
        self._room_waiting: dict[Callback, None] = {}
        self._stored_waiting: list[tuple[int, int, Callback]] = []
        self._stored_waiting_number = 0
        self.is_lost = False
        self._move_horizon()

    @classmethod
    def ended(cls, last_seq: int) -> Self:
        """Make the hub of a finished execution: closed and empty, everything is in the store."""
        hub = cls(first_seq=last_seq + 1)
        hub._sentinel = last_seq
        return hub

    @property
    def first(self) -> int:
        """Number of the oldest event in the ring; of the next event when it is empty."""
        return self._ring.first

    @property
    def closed(self) -> bool:
        """Whether the sentinel is visible: nothing follows."""
        return self._sentinel is not None and self.visible >= self._sentinel

    @property
    def unstored_bytes(self) -> int:
        """Bytes of this hub's events that are still to be stored."""
        return self._unstored_bytes

    @property
    def has_room(self) -> bool:
        """Whether more may be dispatched. Publishing works either way."""
        return self.published - self.stored < MAX_UNSTORED_EVENTS and self._room.used_bytes < self._room.limit_bytes

    def publish(self, published: Published) -> None:
        """Add the next event and make it visible if it may be.

        Raises:
            ValueError: Its number is not the next one, or the sentinel was published.
        """
        seq = published.seq
        if seq != self.published + 1 or self._sentinel is not None:
            if self.is_lost:
                return
            due = self.published + 1 if self._sentinel is None else "nothing"
            raise ValueError(f"event {seq} published where {due} comes next")
        self.published = seq
        ring = self._ring
        if published.whole is None:  # as ``Ring.append``, but without a call: the commonest case
            size = len(published.line)
            ring.items.append(published)
            ring.size += size
        else:
            size = ring.append(published)
        self._unstored_bytes += size
        self._room.used_bytes += size
        if published.is_barrier:
            self._add_barrier(published)
        if seq <= self._horizon:
            self.visible = seq
            if self._visible_waiting:
                self._wake()

    def take_unstored(self, max_bytes: int, *, upto: int | None = None) -> list[Published]:
        """Hand over what is to be stored next, in order, each event once over the hub's life.

        Stops at ``max_bytes``, but never before the first event, and after the event ``upto``.
        """
        taken = self._ring.after(self._taken)
        size = self._unstored_bytes - self.taken_bytes
        if size > max_bytes or upto is not None:
            taken, size = _first(taken, max_bytes, self.published if upto is None else upto)
        if taken:
            self._taken = taken[-1].seq
            self.taken_bytes += size
        return taken

    def mark_stored(self, seq: int) -> None:
        """Say that all events up to ``seq`` are on disk. Saying it again, or a lower number, changes nothing.

        Raises:
            ValueError: The event was not published.
        """
        if seq > self.published:
            raise ValueError(f"event {seq} stored, but {self.published} is the last that was published")
        if seq <= self.stored:
            return
        if seq == self._taken:
            released = self.taken_bytes
        else:
            released = self._unstored_bytes - sum(item.size for item in self._ring.after(seq))
        self._unstored_bytes -= released
        self.taken_bytes = max(0, self.taken_bytes - released)
        self.stored = seq
        self._taken = max(self._taken, seq)
        while self._barriers and self._barriers[0] <= seq:
            self._barriers.popleft()
        self._ring.shrink(stored=seq, shown=self.visible)
        self._move_horizon()
        visible = min(self.published, self._horizon)
        has_news = visible > self.visible
        self.visible = visible
        if has_news and self._visible_waiting:
            self._wake()
        self._wake_stored()
        self._room.release(released)

    def skip(self, seq: int) -> None:
        """Say that all events up to ``seq`` are on disk, and that readers find them there. A lower number does nothing.

        Raises:
            ValueError: What was published is still to be stored, or the sentinel was published.
        """
        if seq <= self.published:
            return
        if self.stored < self.published or self._sentinel is not None:
            raise ValueError(f"skipped to {seq}, but {self.published} is to be stored, or was the last")
        self._ring.restart(seq + 1)
        self.published = self.stored = self.visible = self._taken = seq
        self._move_horizon()
        self._wake()
        self._wake_stored()

    def discard(self) -> None:
        """Drop everything that is not stored and end the hub: the start was refused, or the execution is lost."""
        self._unstored_bytes = self.taken_bytes = 0
        released = self._ring.cut(self.stored)
        self.published = self._taken = self._sentinel = self.visible = self.stored
        self._barriers.clear()
        self._wake()
        self._room.release(released)

    @property
    def notice(self) -> Notice | None:
        """The latest notice to all readers that are up to date; a later one replaces an earlier one."""
        return self._notice

    @notice.setter
    def notice(self, notice: Notice) -> None:
        self._notice = notice
        self._notice_at = self.published
        self._notice_number += 1
        if self.visible == self.published:
            self._wake()

    def when_visible(self, callback: Callback) -> None:
        """Call once when ``visible`` moves next, or a notice may be told. Idempotent until then."""
        self._visible_waiting[callback] = None

    def when_stored(self, seq: int, callback: Callback) -> None:
        """Call once as soon as ``stored`` reaches ``seq``: at once if it has."""
        if seq <= self.stored:
            callback()
            return
        self._stored_waiting_number += 1
        heappush(self._stored_waiting, (seq, self._stored_waiting_number, callback))

    def wait_room(self, callback: Callback) -> None:
        """Call once as soon as ``has_room``: at once if it is so. Others may have taken the room by then."""
        if self.has_room:
            callback()
            return
        self._room_waiting[callback] = None
        self._room.wait(self._wake_room)

    def forget(self, callback: Callback) -> None:
        """Do not call it any more for ``when_visible`` or ``wait_room``. Idempotent."""
        self._visible_waiting.pop(callback, None)
        self._room_waiting.pop(callback, None)

    def subscribe(self, after: int = 0, filter: Filter | None = None) -> "Subscription":
        """Make a cursor for a reader that has everything up to ``after``."""
        return Subscription(self, after, filter)

    def get(self, seq: int) -> Published | None:
        """Return a visible event that is still in the ring."""
        return self._ring.get(seq) if seq <= self.visible else None

    def read(self, *, after: int, upto: int, limit: int, max_bytes: int) -> list[Published]:
        """Return visible events: see ``Ring.read``."""
        return self._ring.read(after=after, upto=min(upto, self.visible), limit=limit, max_bytes=max_bytes)

    def _add_barrier(self, published: Published) -> None:
        self._barriers.append(published.seq)
        self._move_horizon()
        if published.type in TERMINAL_TYPES:
            self._terminal = published.seq
        elif published.type == "stream_end":
            self._sentinel = published.seq

    def _move_horizon(self) -> None:
        if self._is_sync:
            self._horizon = self.stored
        else:
            self._horizon = self.stored + MAX_UNSTORED_EVENTS
            if self._barriers:
                self._horizon = min(self._horizon, self._barriers[0] - 1)

    def _wake(self) -> None:
        waiting, self._visible_waiting = self._visible_waiting, {}
        for callback in waiting:
            callback()

    def _wake_stored(self) -> None:
        while self._stored_waiting and self._stored_waiting[0][0] <= self.stored:
            heappop(self._stored_waiting)[2]()

    def _wake_room(self) -> None:
        if not self._room_waiting:
            return
        if not self.has_room:
            self._room.wait(self._wake_room)
            return
        waiting, self._room_waiting = self._room_waiting, {}
        for callback in waiting:
            callback()


def _first(items: list[Published], max_bytes: int, upto: int) -> tuple[list[Published], int]:
    """Return the first of the items, as many as fit, at least one of those up to ``upto``, and their bytes."""
    size = 0
    for place, item in enumerate(items):
        if item.seq > upto or (place and size + item.size > max_bytes):
            return items[:place], size
        size += item.size
    return items, size


class Subscription:
    """A reader's place in a hub: a cursor, and what it wants to see.

    Attributes:
        cursor: The last number that was given, left out by the filter, or advanced to.
        filter: May be replaced at any time; it holds from the next poll on.
    """

    __slots__ = ("_hub", "_notice_seen", "cursor", "filter")

    def __init__(self, hub: Hub, after: int, filter: Filter | None) -> None:
        self.cursor = after
        self.filter = filter
        self._hub = hub
        # Progress is for who was there: a reader of what has ended gets the history only.
        self._notice_seen = hub._notice_number if hub.closed else 0

    @property
    def hub(self) -> Hub:
        """Where the events come from."""
        return self._hub

    def poll(self, limit: int = 1024, max_bytes: int = PAGE_BYTES) -> Item | None:
        """Return what is next for this reader and move its cursor; None when it is up to date.

        ``limit`` and ``max_bytes`` bound a page; one event is given in any case. What the filter leaves out is
        passed over in silence; a page is empty only where there is more to look at.
        """
        hub, cursor = self._hub, self.cursor
        if cursor >= hub.visible:
            if hub.closed:
                return _END
            return self._notice() if self._has_notice and cursor >= hub._notice_at else None
        if cursor < hub.first - 1:
            self._notice_seen = hub._notice_number
            return Behind(cursor, hub.first - 1)
        upto = hub.visible
        if self._has_notice and hub._terminal is not None and hub._notice_at == hub._terminal - 1:
            # The last progress is told directly before the terminal event, even if both became visible together.
            if cursor == hub._notice_at:
                return self._notice()
            if cursor < hub._notice_at:
                upto = min(upto, hub._notice_at)
        page = self._page(upto, limit, max_bytes)
        return page if page.items or page.cursor < upto else self.poll(limit, max_bytes)

    @property
    def is_current(self) -> bool:
        """Whether there is nothing to give now, and more may come."""
        hub = self._hub
        has_news = self._has_notice and self.cursor >= hub._notice_at
        return self.cursor >= hub.visible and not hub.closed and not has_news

    def fork(self) -> "Subscription":
        """Return a subscription that stands where this one does, without a filter."""
        place = Subscription(self._hub, self.cursor, None)
        place._notice_seen = self._notice_seen
        return place

    def follow(self, other: "Subscription") -> None:
        """Stand where another one of the same hub stands: its reader got all that the other gave."""
        self.cursor = other.cursor
        self._notice_seen = other._notice_seen

    def advance(self, cursor: int) -> None:
        """Say that the reader got everything up to ``cursor`` from elsewhere. Never goes back."""
        self.cursor = max(self.cursor, cursor)

    @property
    def _has_notice(self) -> bool:
        return self._notice_seen != self._hub._notice_number and (self.filter is None or self.filter.shows_progress)

    def _notice(self) -> NoticeItem:
        notice = self._hub.notice
        assert notice is not None
        self._notice_seen = self._hub._notice_number
        return NoticeItem(notice, self.cursor)

    def _page(self, upto: int, limit: int, max_bytes: int) -> Page:
        if self.filter is None:
            items = self._hub.read(after=self.cursor, upto=upto, limit=limit, max_bytes=max_bytes)
            self.cursor = items[-1].seq
            return Page(items, self.cursor)
        passing: list[Published] = []
        size = 0
        upto = min(upto, self.cursor + _MAX_EXAMINED)
        for item in self._hub.read(after=self.cursor, upto=upto, limit=_MAX_EXAMINED, max_bytes=1 << 62):
            if self.filter.passes(item.type, item.node_id):
                size += len(item.line)
                if passing and (len(passing) >= limit or size > max_bytes):
                    return self._moved(passing, item.seq - 1)
                passing.append(item)
        return self._moved(passing, upto)

    def _moved(self, items: list[Published], cursor: int) -> Page:
        self.cursor = cursor
        return Page(items, cursor)
