"""What the service tells of the start and the end of an execution."""

from msgspec import DecodeError
from msgspec.json import decode
from msgspec.structs import replace

from graphwire.engine.ports import ExecutionEnd, ExecutionRecord, Turn
from graphwire.events.service_types import (
    ServiceEventData,
    ServiceExecutionCancelled,
    ServiceExecutionCompleted,
    ServiceExecutionFailed,
    ServiceExecutionQueued,
    ServiceExecutionStarted,
    cut,
)
from graphwire.events.types import Failure

_UNKNOWN = Failure(code="exception", type="", message="")


def started(start: ExecutionRecord) -> ServiceEventData:
    """Return what is told of a start."""
    if start.status == "queued":
        return ServiceExecutionQueued(graph_version=start.graph_version)
    return ServiceExecutionStarted(graph_version=start.graph_version)


def turned(turn: Turn) -> ServiceEventData | None:
    """Return what is told of a change of the status; None where nothing is."""
    return None if turn.begins is None else ServiceExecutionStarted(graph_version=turn.begins)


def ended(end: ExecutionEnd) -> ServiceEventData:
    """Return what is told of an end."""
    if end.status == "completed":
        return ServiceExecutionCompleted(
            outcome=end.outcome, duration_ms=end.duration_ms, steps=end.steps, last_seq=end.last_seq
        )
    if end.status == "cancelled":
        reason = None if end.reason is None else cut(end.reason)
        return ServiceExecutionCancelled(
            reason=reason, duration_ms=end.duration_ms, steps=end.steps, last_seq=end.last_seq
        )
    return ServiceExecutionFailed(
        error=told_failure(end.error), duration_ms=end.duration_ms, steps=end.steps, last_seq=end.last_seq
    )


def told_failure(error: bytes | None) -> Failure:
    """Return a stored failure with texts of moderate size, and without its place in the graph's scopes."""
    if error is None:
        return _UNKNOWN
    try:
        failure = decode(error, type=Failure)
    except DecodeError:
        return _UNKNOWN
    known = Failure(code=cut(failure.code), type=cut(failure.type), message=cut(failure.message))
    return replace(known, node=failure.node) if isinstance(failure.node, str) else known
