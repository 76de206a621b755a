"""What a dialect reads and what it makes of it."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol

from msgspec import Raw, Struct, field
from msgspec.json import Decoder, Encoder

from graphwire.events.encoding import on_one_line
from graphwire.events.hub import Published

_encode: Final = Encoder().encode


class Frame(NamedTuple):
    """What is sent at once: a line of JSON without its LF.

    Attributes:
        name: Stands after ``event:`` in an event stream; "" where the dialect's clients want no such line.
    """

    name: str
    line: bytes


class Line(Struct, frozen=True):
    """An event's line, its data unread."""

    seq: int
    type: str
    execution_id: str
    graph_id: str
    ts: str
    data: Raw
    node_id: str | None = None
    activation: str | None = None
    pass_number: int | None = field(default=None, name="pass")
    path: list[dict[str, Any]] | None = None
    correlation_id: str | None = None


class NoticeLine(Struct, frozen=True):
    """A notice's line, its data unread."""

    type: str
    ts: str
    data: Raw
    execution_id: str | None = None
    after: int | None = None


def encode(frame: object) -> bytes:
    """Return a frame as one line of JSON without its LF."""
    return on_one_line(_encode(frame))


class Dialect(Protocol):
    """A vocabulary for events and notices."""

    def frames(self, event: Published) -> Sequence[Frame]:
        """Return what an event is told as; the same for every reader, whenever it reads. May be nothing."""
        ...

    def notice(self, line: bytes) -> Frame | None:
        """Return what a notice is told as, given its line; None where it is not told."""
        ...


class Folding(Protocol):
    """A dialect that remembers: it has to be told of every event of an execution, in order."""

    def frames(self, event: Published, *, is_hidden: bool) -> Sequence[Frame]:
        """Return what an event is told as, after those before it. ``is_hidden``: the reader's filter leaves it out."""
        ...

    def notice(self, line: bytes) -> Frame | None:
        """See ``Dialect.notice``."""
        ...

    def joining(self) -> Sequence[Frame]:
        """Return what a reader needs first that joins behind the latest event."""
        ...


TRUE: Final = Raw(b"true")

read_line: Final = Decoder(Line).decode
read_notice: Final = Decoder(NoticeLine).decode
read_members: Final = Decoder(dict[str, Raw]).decode
"""The members of an object, as they stand."""


def place_of(event: Line) -> dict[str, Any]:
    """Return where in the graph an event happened: the members that apply."""
    members = {
        "node_id": event.node_id,
        "activation": event.activation,
        "pass": event.pass_number,
        "path": event.path,
        "correlation_id": event.correlation_id,
    }
    return {name: value for name, value in members.items() if value is not None}
