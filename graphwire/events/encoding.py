"""An event's line: the envelope around its data, encoded once for everybody."""

from collections.abc import Callable
from typing import Any, Final

from msgspec import Raw, Struct, UnsetType, ValidationError, field
from msgspec.json import Decoder, Encoder, decode
from msgspec.structs import replace

from graphwire.events.ring import Published
from graphwire.events.types import EVENTS_BY_TYPE, Event, EventData

MAX_LINE_BYTES: Final = 262_144
"""A line is shorter than this."""

LF: Final = 10  # a number is found in bytes five times as fast as a byte string
CR: Final = 13
_SEPARATORS: Final = ((b"\xe2\x80\xa8", b"\\u2028"), (b"\xe2\x80\xa9", b"\\u2029"), (b"\xc2\x85", b"\\u0085"))
"""Ends of lines to some readers, though not to JSON. In JSON text they can only stand inside of strings."""


class Envelope(Struct, frozen=True, kw_only=True):
    """An event as a client sees it.

    Attributes:
        data: An instance of the type's class; a plain object where the type is unknown to this version, or where a
            member that has a shape is replaced by ``{"$ref", "bytes"}``. Types and fields may be added at any time.
        path: The enclosing scopes, outermost first: ``node``, ``activation`` and perhaps ``index``.
        mono_ns: Nanoseconds since the execution started; never goes back.
    """

    seq: int
    type: str
    code: int
    execution_id: str
    graph_id: str
    node_id: str | None = None
    activation: str | None = None
    pass_number: int | None = field(default=None, name="pass")
    path: list[dict[str, str | int]] | None = None
    correlation_id: str | None = None
    ts: str
    mono_ns: int
    data: Event | dict[str, Any]


class Outgoing(Struct, frozen=True, gc=False):
    """The envelope in the order of the wire; what does not apply is ``UNSET``. Made positionally: it is hot."""

    seq: int
    type: str
    code: int
    execution_id: str
    graph_id: str
    node_id: str | UnsetType
    activation: str | UnsetType
    pass_number: int | UnsetType = field(name="pass")
    path: list[dict[str, str | int]] | UnsetType
    correlation_id: str | UnsetType
    ts: str
    mono_ns: int
    data: EventData | dict[str, Raw]


class _Incoming(Struct, frozen=True):
    seq: int
    type: str
    code: int
    execution_id: str
    graph_id: str
    ts: str
    mono_ns: int
    data: Raw
    node_id: str | None = None
    activation: str | None = None
    pass_number: int | None = field(default=None, name="pass")
    path: list[dict[str, str | int]] | None = None
    correlation_id: str | None = None


class _Head(Struct, frozen=True):
    seq: int
    type: str
    node_id: str | None = None


class _Reference(Struct, frozen=True):
    ref: str = field(name="$ref")
    bytes: int


encode_envelope: Final[Callable[[Outgoing], bytes]] = Encoder().encode
"""The envelope as it is; ``fit_line`` makes a line of what is none. Raises ``UnicodeEncodeError``."""
_encode: Final[Callable[[object], bytes]] = Encoder().encode
_read_incoming = Decoder(_Incoming).decode
_read_head = Decoder(_Head).decode


def encode_line(outgoing: Outgoing) -> tuple[bytes, bytes | None]:
    """Encode an event to a line without its LF, shorter than ``MAX_LINE_BYTES``.

    ``Raw`` members of the data are inserted as they are; they are trusted to be JSON. Lone surrogates in texts
    become U+FFFD: a message that nobody can send must not cost the event.

    Returns:
        The line, and the full text where large members of ``data`` had to be replaced by references; else None.
    """
    try:
        line = _encode(outgoing)
    except UnicodeEncodeError:
        outgoing = without_surrogates(outgoing)
        line = _encode(outgoing)
    return fit_line(outgoing, line)


def fit_line(outgoing: Outgoing, line: bytes) -> tuple[bytes, bytes | None]:
    """As ``encode_line``, of an envelope that was encoded."""
    if LF in line or CR in line or not line.isascii():
        line = on_one_line(line)
    if len(line) < MAX_LINE_BYTES:
        return line, None
    return _with_references(outgoing, line), line


def decode_line(line: bytes | str) -> Envelope:
    """Read an event: a line, or the whole that a reference names.

    Raises:
        msgspec.ValidationError: It is JSON, but no event.
        msgspec.DecodeError: It is no JSON.
    """
    incoming = _read_incoming(line)
    return Envelope(
        seq=incoming.seq,
        type=incoming.type,
        code=incoming.code,
        execution_id=incoming.execution_id,
        graph_id=incoming.graph_id,
        node_id=incoming.node_id,
        activation=incoming.activation,
        pass_number=incoming.pass_number,
        path=incoming.path,
        correlation_id=incoming.correlation_id,
        ts=incoming.ts,
        mono_ns=incoming.mono_ns,
        data=_read_data(incoming.type, incoming.data),
    )


def decode_head(line: bytes) -> tuple[int, str, str | None]:
    """Return an event's ``seq``, ``type`` and ``node_id``."""
    head = _read_head(line)
    return head.seq, head.type, head.node_id


def read_published(line: bytes, whole: bytes | None = None) -> Published:
    """Return a stored line in the form in which everybody shares it."""
    head = _read_head(line)
    known = EVENTS_BY_TYPE.get(head.type)
    return Published(head.seq, head.type, head.node_id, line, whole, known is not None and known.is_barrier)


def _read_data(event_type: str, data: Raw) -> Event | dict[str, Any]:
    known = EVENTS_BY_TYPE.get(event_type)
    if known is not None:
        try:
            return decode(data, type=known)
        except ValidationError:
            pass  # a reference stands where the class has a shape
    return decode(data, type=dict[str, Any])


def on_one_line(line: bytes) -> bytes:
    """Return JSON without what ends a line to some readers."""
    for separator, escaped in _SEPARATORS:
        line = line.replace(separator, escaped)
    # Raw: only white space between members can be one of these, since strings of JSON escape them.
    return line.replace(b"\n", b" ").replace(b"\r", b" ")


def _with_references(outgoing: Outgoing, line: bytes) -> bytes:
    members: dict[str, Raw] = decode(on_one_line(_encode(outgoing.data)), type=dict[str, Raw])
    address = f"/executions/{outgoing.execution_id}/events/{outgoing.seq}"
    lengths = {name: memoryview(value).nbytes for name, value in members.items()}
    size = len(line)
    for name in sorted(lengths, key=lambda name: -lengths[name]):
        reference = _encode(_Reference(address, lengths[name]))
        if size < MAX_LINE_BYTES or lengths[name] <= len(reference):
            break
        members[name] = Raw(reference)
        size += len(reference) - lengths[name]
    return on_one_line(_encode(replace(outgoing, data=members)))


def without_surrogates(value: Any) -> Any:
    """Return a value with U+FFFD in place of lone surrogates in its texts."""
    match value:
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case list():
            return [without_surrogates(item) for item in value]
        case dict():
            return {without_surrogates(key): without_surrogates(item) for key, item in value.items()}
        case Struct():
            fields = {name: without_surrogates(getattr(value, name)) for name in value.__struct_fields__}
            return replace(value, **fields)
        case _:
            return value
