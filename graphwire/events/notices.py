"""What concerns one reader or one moment and is no part of the history: no ``seq``, never stored."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, get_args

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, ValidationError, field
from msgspec.json import Decoder, decode, encode

from graphwire.events.timestamps import format_timestamp


class NoticeData(Struct, frozen=True, kw_only=True):
    """What all notices share.

    Attributes:
        type: The notice's name on the wire.
        code: Its stable number.
    """

    type: ClassVar[str]
    code: ClassVar[int]


class Heartbeat(NoticeData, frozen=True):
    """Nothing happened for a while, and the stream is alive."""

    type = "heartbeat"
    code = 20


class StreamLagged(NoticeData, frozen=True):
    """Events that the reader asked for are not kept any more. The next event is ``to_seq + 1`` or later."""

    type = "stream_lagged"
    code = 22

    from_seq: Annotated[int, Meta(description="The first `seq` that is gone.")]
    to_seq: Annotated[int, Meta(description="The last one.")]
    dropped: Annotated[int, Meta(description="How many the reader did not get.")]


class ExecutionProgress(NoticeData, frozen=True):
    """How far an execution is. ``running`` names nodes; ``percent`` is 0 to 100."""

    type = "execution_progress"
    code = 23

    percent: Annotated[float, Meta(description="From 0 to 100.")]
    completed: Annotated[int, Meta(description="The nodes that are done, each counted once.")]
    total: Annotated[int, Meta(description="The nodes of the graph.")]
    running: Annotated[list[str], Meta(description="The nodes that run.")]
    eta_s: Annotated[float, Meta(description="How many seconds are left, going by earlier executions.")] | UnsetType = (
        UNSET
    )


class StreamClosed(NoticeData, frozen=True):
    """The server ends this stream, though the execution may go on."""

    type = "stream_closed"
    code = 50

    reason: Annotated[
        Literal[
            "shutting_down",
            "at_capacity",
            "too_slow",
            "unauthorized",
            "deleted",
            "history_damaged",
            "storage_unavailable",
        ],
        Meta(description="Why, in snake case."),
    ] = field(name="code")  # ``code`` of the class is its number
    detail: Annotated[str, Meta(description="Why, in words.")]
    retry_ms: Annotated[int, Meta(description="How many milliseconds to wait before coming back.")] | UnsetType = UNSET


Notice: TypeAlias = Heartbeat | StreamLagged | ExecutionProgress | StreamClosed

NOTICES_BY_TYPE: Mapping[str, type[Notice]] = MappingProxyType({notice.type: notice for notice in get_args(Notice)})


class NoticeEnvelope(Struct, frozen=True, kw_only=True):
    """A notice as a client sees it.

    Attributes:
        after: The reader's cursor; None while no position is known.
        data: An instance of the type's class; a plain object where the type, or the value of a member, is unknown
            to this version.
    """

    type: str
    code: int
    execution_id: str | None = None
    ts: str
    after: int | None = None
    data: Notice | dict[str, Any]


class _Outgoing(Struct, frozen=True):
    type: str
    code: int
    execution_id: str | UnsetType
    ts: str
    after: int | UnsetType
    data: Notice


class _Incoming(Struct, frozen=True):
    type: str
    code: int
    ts: str
    data: Raw
    execution_id: str | None = None
    after: int | None = None


_read_incoming = Decoder(_Incoming).decode


def encode_notice(notice: Notice, *, execution_id: str | None, wall_ns: int, after: int | None) -> bytes:
    """Encode a notice to one line of JSON without its LF.

    Args:
        notice: What to say.
        execution_id: None where the reader follows no execution.
        wall_ns: Nanoseconds since the Unix epoch.
        after: The reader's cursor; None while no position is known.
    """
    return encode(
        _Outgoing(
            notice.type,
            notice.code,
            UNSET if execution_id is None else execution_id,
            format_timestamp(wall_ns),
            UNSET if after is None else after,
            notice,
        )
    )


def decode_notice(line: bytes | Raw) -> NoticeEnvelope:
    """Read a notice: what came where an event could have, and has no ``seq``.

    Raises:
        msgspec.ValidationError: It is JSON, but no notice.
        msgspec.DecodeError: It is no JSON.
    """
    incoming = _read_incoming(line)
    return NoticeEnvelope(
        type=incoming.type,
        code=incoming.code,
        execution_id=incoming.execution_id,
        ts=incoming.ts,
        after=incoming.after,
        data=_read_data(incoming.type, incoming.data),
    )


def _read_data(notice_type: str, data: Raw) -> Notice | dict[str, Any]:
    known = NOTICES_BY_TYPE.get(notice_type)
    if known is not None:
        try:
            return decode(data, type=known)
        except ValidationError:
            pass  # a later version has a value here that this one does not know
    return decode(data, type=dict[str, Any])
