"""A reader whose events are told in a dialect, on any transport."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from app.services.readers import Reader
from app.transports.dialects.frames import Dialect, Frame
from app.transports.framing import Form
from graphwire.events.feed import READ_EVENTS
from graphwire.events.filters import Filter
from graphwire.events.hub import End, NoticeItem, Page, Published
from graphwire.types import ExecutionId


class DialectReader:
    """Gives frames where its reader gives events: each in the place of an event's line.

    Args:
        reader: Stands behind the last event of which the client has every frame.
        had: So many frames of the next event the client has, too.
    """

    def __init__(self, reader: Reader, dialect: Dialect, *, had: int = 0) -> None:
        self._reader = reader
        self._dialect = dialect
        self._had = had

    @property
    def execution_id(self) -> ExecutionId | None:
        """Whose events they are."""
        return self._reader.execution_id

    @property
    def place(self) -> int | None:
        """The last event that was told, or left out; None while no position is known."""
        return self._reader.place

    async def read(self, timeout_s: float, limit: int = READ_EVENTS) -> Page | NoticeItem | End | None:
        """Wait for what is next; see ``EventReader.read``. An event is one frame."""
        item = await self._reader.read(timeout_s, limit)
        if not isinstance(item, Page):
            return item
        return Page(list(self._translated(item.items)), item.cursor)

    def notice(self, line: bytes) -> Frame | None:
        """See ``Dialect.notice``."""
        return self._dialect.notice(line)

    def refilter(self, filter: Filter | None) -> int:
        """See ``EventReader.refilter``."""
        return self._reader.refilter(filter)

    def wake(self) -> None:
        """See ``EventReader.wake``."""
        self._reader.wake()

    def leave(self) -> None:
        """See ``EventReader.leave``."""
        self._reader.leave()

    def close(self) -> None:
        """See ``EventReader.close``."""
        self._reader.close()

    def _translated(self, events: Iterable[Published]) -> Iterator[Published]:
        for event in events:
            parts = as_events(event, self._dialect.frames(event))
            yield from parts[self._had :]
            self._had = 0


class DialectForm:
    """A transport's form with the notices of a dialect.

    Args:
        notice: As ``Dialect.notice``.
    """

    def __init__(self, form: Form, notice: Callable[[bytes], Frame | None]) -> None:
        self.events = form.events
        self._form = form
        self._notice = notice

    @property
    def silence(self) -> bytes | None:
        """As the transport has it."""
        return self._form.silence

    def notice(self, name: str, line: bytes, cursor: int | None) -> bytes:
        """Return the notice in the dialect; nothing where it is not told."""
        told = self._notice(line)
        return b"" if told is None else self._form.notice(told.name, told.line, cursor)


def as_events(event: Published, frames: Sequence[Frame]) -> list[Published]:
    """Return the frames of an event as transports take them.

    The id of the last is the event's number; that of an earlier one is ``<number>.<how many of the event's frames
    that makes>``, behind which a client can resume, too.
    """
    seq, earlier = event.seq, frames[:-1]
    parts = [_part(frame, seq, event.node_id, b"id: %d.%d\n" % (seq, count)) for count, frame in enumerate(earlier, 1)]
    return parts + [_part(frame, seq, event.node_id, b"id: %d\n" % seq) for frame in frames[-1:]]


def preamble(frames: Sequence[Frame], seq: int) -> list[Published]:
    """Return frames that come before those of the event behind ``seq``. Only the last has an id: they are one thing."""
    parts = [_part(frame, seq, None, b"") for frame in frames[:-1]]
    return parts + [_part(frame, seq, None, b"id: %d\n" % seq) for frame in frames[-1:]]


def _part(frame: Frame, seq: int, node_id: str | None, place: bytes) -> Published:
    name = b"event: %b\n" % frame.name.encode() if frame.name else b""
    block = b"%bdata: %b\n%b\n" % (name, frame.line, place)
    return Published(seq, frame.name, node_id, frame.line, frame=block)
