"""Executions whose process ended between their terminal event and their sentinel: nothing is left but to seal them."""

import asyncio
from collections.abc import Mapping

import msgspec
from msgspec import Raw

from app.storage.repositories.executions import UnfinishedExecution
from graphwire.clock import Clock, utc
from graphwire.engine.outbox import ExecutionOutbox
from graphwire.engine.ports import ExecutionEnd, ExecutionStore
from graphwire.engine.restoring import Restoring
from graphwire.errors import StorageUnavailable
from graphwire.events.encoding import Envelope
from graphwire.events.hub import Hub
from graphwire.events.log import EventLog
from graphwire.events.types import ExecutionCancelled, ExecutionCompleted, ExecutionFailed, StreamEnd
from graphwire.types import Outcome, TerminalStatus

STORE_S = 30.0
_STATUS: Mapping[str, TerminalStatus] = {
    "execution_completed": "completed",
    "execution_failed": "failed",
    "execution_cancelled": "cancelled",
}


class _Errors(msgspec.Struct):
    errors: Raw = Raw(b"[]")


async def end_told(
    unfinished: UnfinishedExecution,
    terminal: Envelope,
    last_line: bytes,
    restoring: Restoring,
    store: ExecutionStore,
    clock: Clock,
) -> None:
    """Store the sentinel and the end of an execution whose terminal event is stored. Nobody has seen what came after.

    Raises:
        StorageUnavailable: Not now.
    """
    execution = unfinished.summary
    hub = Hub(first_seq=unfinished.last_seq + 1)
    events = EventLog(
        execution.id,
        execution.graph_id,
        clock,
        hub,
        correlation_id=execution.correlation_id,
        last_line=last_line,
        events_before=unfinished.last_seq - restoring.skipped,
    )
    status = _STATUS[terminal.type]
    data = terminal.data
    duration_ms = events.elapsed_ns() // 1000 / 1000
    if isinstance(data, ExecutionCompleted | ExecutionFailed | ExecutionCancelled):
        duration_ms = data.duration_ms
    last_seq = events.append(StreamEnd(status=status, total_events=events.count + 1, duration_ms=duration_ms))
    state = bytes(data.state) if isinstance(data, ExecutionCompleted) else restoring.shown().to_json()
    outcome: Outcome | None = None
    if status == "completed":
        outcome = "partial" if restoring.execution.partial else "success"
    outbox = ExecutionOutbox(execution.id, hub, store)
    outbox.finish(
        ExecutionEnd(
            status=status,
            outcome=outcome,
            ended_at=utc(clock.wall_ns()),
            duration_ms=duration_ms,
            steps=restoring.execution.root.counted.steps,
            last_seq=last_seq,
            state=state,
            error=msgspec.json.encode(data.error) if isinstance(data, ExecutionFailed) else None,
            errors=bytes(msgspec.json.decode(state, type=_Errors).errors),
            reason=data.reason if isinstance(data, ExecutionCancelled) else None,
        )
    )
    outbox.submit()
    stored = asyncio.Event()
    hub.when_stored(last_seq, stored.set)
    try:
        async with asyncio.timeout(STORE_S):
            await stored.wait()
    except TimeoutError:
        raise StorageUnavailable(store.unavailable or "the database does not answer") from None
