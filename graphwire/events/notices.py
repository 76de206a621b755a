"""What concerns one reader or one moment and is no part of the history: no ``seq``, never stored."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal, TypeAlias, get_args

from msgspec import UNSET, Meta, Struct, UnsetType, field
from msgspec.json import encode

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


class _NoticeEnvelope(Struct, frozen=True):
    type: str
    code: int
    execution_id: str | UnsetType
    ts: str
    after: int | UnsetType
    data: Notice


def encode_notice(notice: Notice, *, execution_id: str | None, wall_ns: int, after: int | None) -> bytes:
    """Encode a notice to one line of JSON without its LF.

    Args:
        notice: What to say.
        execution_id: None where the reader follows no execution.
        wall_ns: Nanoseconds since the Unix epoch.
        after: The reader's cursor; None while no position is known.
    """
    return encode(
        _NoticeEnvelope(
            notice.type,
            notice.code,
            UNSET if execution_id is None else execution_id,
            format_timestamp(wall_ns),
            UNSET if after is None else after,
            notice,
        )
    )
