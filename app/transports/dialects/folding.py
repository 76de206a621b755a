"""A reader in a dialect that remembers: its events are told after all that came before them."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

from app.services.readers import EventReader, farewell_for
from app.services.states import States
from app.transports.cursor import Place
from app.transports.dialects.frames import TRUE, Folding, Frame, read_line, read_members
from app.transports.dialects.reader import as_events, preamble
from graphwire.engine.replay import Replay
from graphwire.errors import HistoryDamaged, StorageUnavailable
from graphwire.events.feed import READ_EVENTS
from graphwire.events.filters import Filter
from graphwire.events.hub import End, NoticeItem, Page, Published
from graphwire.events.notices import ExecutionProgress, StreamClosed
from graphwire.types import ExecutionId

PAUSE_EVENTS = 64
"""After so many events, which may each cost a merge of states, others have their turn."""

END: Final = End()
COMMITTING: Final = frozenset({"node_completed", "node_failed", "variable_changed"})


class FoldingReader:
    """Gives frames where its reader gives events, from any place on.

    A commit is told when it is stored, since the state behind it is made again from what is stored.

    Attributes:
        seen: The last event that was told, or only looked at.

    Args:
        reader: Stands at the start of the execution and leaves nothing out.
        dialect: Makes one, given the execution at its start.
        states: Finds them; None where they cannot be made again.
        place: Where the client stands. Unless it goes on there, it is first told what it needs to join.
        filter: What of the events is told.
    """

    def __init__(
        self,
        reader: EventReader,
        dialect: Callable[[Replay | None], Folding],
        states: Callable[[], Awaitable[States | None]],
        *,
        place: Place,
        filter: Filter | None,
    ) -> None:
        self._reader = reader
        self._make = dialect
        self._dialect: Folding | None = None
        self._find_states = states
        self._states: States | None = None
        self._from = place.after or 0
        self._had = place.had
        self._joins = self._from > 0 and not place.goes_on
        self._filter = filter
        self.seen = 0
        self._has_place = place.after is not None
        self._waiting: deque[Published | NoticeItem | End] = deque()
        self._ready: list[Published] = []  # kept here: a read that is cancelled loses nothing
        self._awaited = 0
        self._has_left = False
        self._is_woken = False

    @property
    def execution_id(self) -> ExecutionId | None:
        """Whose events they are."""
        return self._reader.execution_id

    @property
    def place(self) -> int | None:
        """The last event that was told whole, or left out; None while no position is known."""
        told = self._ready[0].seq - 1 if self._ready else self.seen
        place = max(told, self._from)
        return place if place or self._has_place else None

    async def read(self, timeout_s: float, limit: int = READ_EVENTS) -> Page | NoticeItem | End | None:
        """Wait for what is next; see ``EventReader.read``. A page has at most ``limit`` frames."""
        try:
            return await self.next(timeout_s, limit)
        except (HistoryDamaged, StorageUnavailable) as error:
            self._drop()
            self._reader.dismiss(farewell_for(error))
            return await self._reader.read(0)

    async def next(self, timeout_s: float, limit: int = READ_EVENTS) -> Page | NoticeItem | End | None:
        """Do as ``read``.

        Raises:
            HistoryDamaged, StorageUnavailable: The commits cannot be read, or not now.
        """
        deadline = asyncio.get_running_loop().time() + timeout_s
        if self._dialect is None:
            self._states = await self._find_states()
            self._dialect = self._make(None if self._states is None else self._states.replay)
        return await self._read(self._dialect, deadline, limit)

    def notice(self, line: bytes) -> Frame | None:
        """See ``Dialect.notice``."""
        return (self._dialect or self._make(None)).notice(line)

    def refilter(self, filter: Filter | None) -> int:
        """See ``EventReader.refilter``."""
        self._filter = filter
        return self.seen + 1

    def wake(self) -> None:
        """See ``EventReader.wake``."""
        self._is_woken = True
        self._reader.wake()

    def leave(self) -> None:
        """See ``EventReader.leave``."""
        self._has_left = True
        self._reader.leave()

    def close(self) -> None:
        """See ``EventReader.close``."""
        self._reader.close()

    def _drop(self) -> None:
        """Tell nothing more: the stream is over, and its place is the last event that was told."""
        self.seen = self.place or 0
        self._waiting.clear()
        self._ready.clear()

    async def _read(self, dialect: Folding, deadline: float, limit: int) -> Page | NoticeItem | End | None:
        loop = asyncio.get_running_loop()
        while not self._has_left:
            seen = self.seen
            if limit and not self._ready:
                await self._tell(dialect)
            if limit and self._ready:
                told, self._ready = self._ready[:limit], self._ready[limit:]
                return Page(told, self.seen)
            if self.seen > seen:
                if loop.time() >= deadline:
                    return None
                await asyncio.sleep(0)  # what is only looked at must not keep others from their turn
                continue
            first = self._waiting[0] if self._waiting and not self._ready else None
            if isinstance(first, NoticeItem | End):
                self._waiting.popleft()
                return first
            if self._is_woken:
                self._is_woken = False
                return None
            self._reader.holds_back = bool(self._waiting or self._ready)
            pulled = READ_EVENTS if limit and self.seen < self._from else limit
            match await self._reader.read(max(0.0, deadline - loop.time()), pulled):
                case Page(items=events):
                    self._waiting.extend(events)
                case NoticeItem(notice=StreamClosed()) as farewell:
                    self._drop()
                    return farewell
                case NoticeItem() | End() as item:
                    if not self._is_left_out(item):
                        self._waiting.append(item)
                case None if loop.time() >= deadline:
                    return None
        return END

    async def _tell(self, dialect: Folding) -> None:
        """Translate some of the events that wait, up to one whose commit is not stored yet."""
        for _ in range(PAUSE_EVENTS):
            event = self._waiting[0] if self._waiting else None
            if not isinstance(event, Published):
                return
            try:
                if not await self._reached(event):
                    return
            except (HistoryDamaged, StorageUnavailable):
                if self._ready:  # what comes before is told first; then it is tried again
                    return
                raise
            self._waiting.popleft()
            self._ready += self._told(dialect, event)

    def _is_left_out(self, item: NoticeItem | End) -> bool:
        is_progress = isinstance(item, NoticeItem) and isinstance(item.notice, ExecutionProgress)
        return is_progress and self._filter is not None and not self._filter.shows_progress

    async def _reached(self, event: Published) -> bool:
        """Go to the state behind an event; False where it is not stored yet, and the reader is woken then."""
        if self._states is None:
            return True
        if event.type == "execution_started":  # a fork goes on from there; shown only when it is stored
            await self._states.to_seq(event.seq)
            return True
        if event.type not in COMMITTING:
            return True
        hub = self._reader.hub
        if event.seq > hub.stored:
            if event.seq > self._awaited:
                self._awaited = event.seq
                hub.when_stored(event.seq, self._reader.wake)
            return False
        line = read_line(event.line)
        if event.type == "variable_changed":
            await self._states.to_seq(event.seq)
            return True
        if line.path is None and not (line.type == "node_failed" and read_members(line.data)["will_retry"] == TRUE):
            await self._states.to_commit_of(line.activation or "")
        return True

    def _told(self, dialect: Folding, event: Published) -> Iterator[Published]:
        """Translate an event; what the client has, and what it does not want, is not told."""
        is_old = event.seq <= self._from
        if not is_old and self._joins:
            yield from self._joining(dialect)
        is_hidden = self._filter is not None and not self._filter.passes(event.type, event.node_id)
        frames = dialect.frames(event, is_hidden=is_hidden)
        self.seen = event.seq
        if not is_old:
            parts = as_events(event, frames)
            yield from parts[self._had :]
            self._had = 0
        if self._joins and event.seq == self._from:
            yield from self._joining(dialect)

    def _joining(self, dialect: Folding) -> Iterator[Published]:
        self._joins = False
        yield from preamble(dialect.joining(), self._from)
