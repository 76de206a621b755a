"""The same bytes for all readers of a log that are up to date: framed, compressed and chunked once, for any number.

A reader that is up to date and whose connection takes more gives its place to a broadcast, and its task sleeps. What
becomes visible goes to the connections directly, once per turn of the event loop. Whoever falls behind, leaves, is
dismissed or has reached the end stands again where the broadcast stands, and goes on by itself.
"""

import asyncio
from collections.abc import Callable, Hashable
from functools import partial
from typing import Protocol

from app.services.readers import EventReader
from app.transports.compression import IDENTITY, Coder, Coding
from app.transports.framing import Form
from graphwire.clock import Clock
from graphwire.events.hub import Hub, NoticeItem, Page
from graphwire.events.notices import Heartbeat, Notice, encode_notice

OUTLET = "graphwire.outlet"
"""An extension of the server's, an ``Outlet``: the way to the client of an answer, past the task that answers."""

_PAGE_EVENTS = 1_024
_PAGE_BYTES = 32_768
"""Of lines. Their frames are not twice as long, so that what is written together is no more than 64 KiB."""


class SharedForm(Form, Protocol):
    """A form in which connections that have begun are all written alike."""

    @property
    def has_begun(self) -> bool:
        """Whether what belongs to the beginning of a connection was written."""
        ...

    def continued(self) -> "SharedForm":
        """Return the form of all connections like this one that have begun."""
        ...

    @property
    def kind(self) -> Hashable:
        """What is equal for forms that write alike once they have begun."""
        ...

    def enclosed(self, piece: bytes) -> bytes:
        """Return a piece as it leaves the process."""
        ...


class Outlet(Protocol):
    """Where what is sent to one client leaves the process."""

    def open(self, stopped: Callable[[], None]) -> Callable[[bytes], None] | None:
        """Return what writes enclosed pieces; None while the connection takes none.

        ``stopped`` is called as soon as a write has to wait, or the client is gone: after that write, none may follow.
        """
        ...

    def close(self, written_bytes: int) -> None:
        """Say that nothing is written past the task any more, and how much was."""
        ...


class Broadcasts:
    """The broadcasts of a service, each for as long as it has readers."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: dict[Hashable, Broadcast] = {}

    async def follow(
        self, reader: EventReader, form: SharedForm, coding: Coding, coder: Coder, outlet: Outlet, *, heartbeat_s: float
    ) -> bool:
        """Let a reader without a filter take part for as long as it can; at once False where it cannot now."""
        if not form.has_begun or not coder.has_begun or not reader.cursor or not reader.is_current:
            return False
        key = (reader.hub, form.kind, coding, heartbeat_s)
        broadcast = self._open.get(key)
        if broadcast is None:
            ended = partial(self._open.pop, key)
            broadcast = Broadcast(reader, form.continued(), coding, heartbeat_s, self._clock, ended)
            self._open[key] = broadcast
        return await broadcast.follow(reader, coder, outlet)


class _Member:
    """A reader that takes part."""

    __slots__ = ("coder", "outlet", "reader", "since_bytes", "write")

    def __init__(self, reader: EventReader, coder: Coder, outlet: Outlet, since_bytes: int) -> None:
        self.reader = reader
        self.coder = coder
        self.outlet = outlet
        self.since_bytes = since_bytes
        self.write: Callable[[bytes], None]


class Broadcast:
    """What the readers of one hub are sent that want the same form, coding and heartbeat.

    Args:
        first: The reader that it is made for.
        form: Of connections that have had their first block.
        ended: Called once, when the last reader is gone.
    """

    def __init__(
        self,
        first: EventReader,
        form: SharedForm,
        coding: Coding,
        heartbeat_s: float,
        clock: Clock,
        ended: Callable[[], object],
    ) -> None:
        self._hub: Hub = first.hub
        self._execution_id = first.execution_id
        self._place = first.fork()
        self._form = form
        self._compressor = coding.compressor()
        self._is_compressed = coding is not IDENTITY
        self._heartbeat_s = heartbeat_s
        self._clock = clock
        self._ended = ended
        self._has_ended = False
        self._members: dict[_Member, None] = {}
        self._sent_bytes = 0
        self._is_due = False
        self._loop = asyncio.get_running_loop()
        self._silent_at = self._loop.time() + heartbeat_s
        self._timer = self._loop.call_at(self._silent_at, self._look_at_the_clock)
        self._hub.when_visible(self._news)

    async def follow(self, reader: EventReader, coder: Coder, outlet: Outlet) -> bool:
        """Let a reader take part that is up to date, until it is woken; False where its connection takes nothing."""
        self._flush()
        member = _Member(reader, coder, outlet, self._sent_bytes)
        write = None if self._has_ended else outlet.open(partial(self._part, member))
        if write is None:
            self._end_if_empty()
            return False
        member.write = write
        coder.restart()
        self._compressor.restart()  # the new one has nothing of what the next piece would refer to
        self._members[member] = None
        try:
            await reader.rest()
        finally:
            self._part(member)
        return True

    def _part(self, member: _Member) -> None:
        """Let a reader go on by itself. Idempotent."""
        if member not in self._members:
            return
        del self._members[member]
        member.reader.follow(self._place)
        member.outlet.close(self._sent_bytes - member.since_bytes)
        member.reader.wake()
        self._end_if_empty()

    def _part_all(self) -> None:
        for member in list(self._members):
            self._part(member)

    def _end_if_empty(self) -> None:
        if not self._members and not self._has_ended:
            self._has_ended = True
            self._hub.forget(self._news)
            self._timer.cancel()
            self._ended()

    def _news(self) -> None:
        # Once per turn: what else is published until then leaves in the same write.
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._is_due = False
        while self._members:
            match self._place.poll(_PAGE_EVENTS, _PAGE_BYTES):
                case Page(items=items):
                    try:
                        data = b"".join(self._form.events(items))
                    except Exception:  # border: the top of a callback; each reader meets it again in its own task
                        self._place.cursor = items[0].seq - 1
                        self._part_all()
                        return
                    self._send(data)
                case NoticeItem(notice=notice):
                    self._send(self._written(notice))
                case None:
                    self._hub.when_visible(self._news)
                    return
                case _:  # the end, or more than the ring holds: each reader's own affair
                    self._part_all()

    def _send(self, data: bytes) -> None:
        piece = self._compressor.piece(data)
        enclosed = self._form.enclosed(piece)
        self._sent_bytes += len(piece)
        self._silent_at = self._loop.time() + self._heartbeat_s
        members = list(self._members)  # a write may end a reader's part
        if self._is_compressed:
            for member in members:
                member.coder.took(data)
        for member in members:
            member.write(enclosed)

    def _written(self, notice: Notice) -> bytes:
        place = self._place.cursor
        line = encode_notice(notice, execution_id=self._execution_id, wall_ns=self._clock.wall_ns(), after=place)
        return self._form.notice(notice.type, line, place)

    def _look_at_the_clock(self) -> None:
        if self._loop.time() >= self._silent_at:
            silence = self._form.silence
            self._send(self._written(Heartbeat()) if silence is None else silence)
            self._compressor.restart()  # who waits long keeps no compressor
        if self._has_ended:  # by what was just sent: the connections of the last readers took no more
            return
        self._timer = self._loop.call_at(self._silent_at, self._look_at_the_clock)
