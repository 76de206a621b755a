"""Ends what an earlier process left unfinished: 202 was a promise of an end."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import msgspec
from msgspec import Raw

from app.services.graphs import GraphService
from app.services.states import States, replay
from app.storage.repositories.executions import ExecutionRepository, UnfinishedExecution
from graphwire.clock import Clock, utc
from graphwire.engine.outbox import ExecutionOutbox
from graphwire.engine.ports import ExecutionEnd, ExecutionStore
from graphwire.errors import GraphwireError, HistoryDamaged, StorageUnavailable
from graphwire.events.encoding import Envelope, decode_line
from graphwire.events.hub import MAX_UNSTORED_EVENTS, Hub
from graphwire.events.log import EventLog
from graphwire.events.types import (
    TERMINAL_TYPES,
    CheckpointRestored,
    ExecutionFailed,
    Failure,
    NodeCancelled,
    NodeStarted,
    StreamEnd,
)
from graphwire.types import TerminalStatus

log = logging.getLogger(__name__)

REASON = "interrupted"
MESSAGE = "the process that ran it ended before it did"
UNREADABLE = "its events are not what this version writes"
PAGE_EVENTS = 1_000
PAGE_BYTES = 1024 * 1024
STORE_S = 30.0
AT_ONCE = 64
"""So many ends share a transaction."""

_CLOSING = frozenset({"node_completed", "node_failed", "node_cancelled", "node_suspended"})
_STATUS: Mapping[str, TerminalStatus] = {
    "execution_completed": "completed",
    "execution_failed": "failed",
    "execution_cancelled": "cancelled",
}


@dataclass(slots=True)
class _History:
    """What the stored events of an execution say.

    Attributes:
        open: The starts of attempts that did not end, by activation, each with the attempt's number.
        terminal: The terminal event, if it was stored without the sentinel.
    """

    count: int = 0
    steps: int = 0
    last_line: bytes = b""
    last_mono_ns: int = 0
    open: dict[str, tuple[Envelope, int]] = field(default_factory=dict)
    terminal: Envelope | None = None


class _Errors(msgspec.Struct):
    errors: Raw = Raw(b"[]")


async def end_interrupted(
    executions: ExecutionRepository, store: ExecutionStore, graphs: GraphService, clock: Clock
) -> None:
    """Give every unfinished execution its end: what was open is cancelled, and it fails with ``interrupted``.

    An execution whose history cannot be read fails with ``history_damaged``, and the others are ended all the same.

    Raises:
        StorageUnavailable: The ends cannot be stored now.
    """
    waiting = iter(await executions.unfinished())

    async def end_next() -> None:
        for unfinished in waiting:
            await _end_or_give_up(unfinished, executions, store, graphs, clock)

    ended = await asyncio.gather(*(end_next() for _ in range(AT_ONCE)), return_exceptions=True)
    for error in ended:
        if error is not None:
            raise error


async def _end_or_give_up(
    unfinished: UnfinishedExecution,
    executions: ExecutionRepository,
    store: ExecutionStore,
    graphs: GraphService,
    clock: Clock,
) -> None:
    execution_id = unfinished.summary.id
    try:
        await _end(unfinished, store, graphs, clock)
    except StorageUnavailable:
        raise
    except Exception as error:  # border: no history may keep the service from its start
        log.error("the history cannot be read", exc_info=error, extra={"execution_id": execution_id})
        reason = error.detail if isinstance(error, HistoryDamaged) else UNREADABLE
        await executions.end_damaged(execution_id, reason, last_seq=unfinished.last_seq, now=_now(clock))


async def _end(unfinished: UnfinishedExecution, store: ExecutionStore, graphs: GraphService, clock: Clock) -> None:
    execution = unfinished.summary
    history = await _read(unfinished, store)
    # What a reader may have seen is never further ahead of the store than this, so no number is used again. Nobody
    # has seen anything behind a stored terminal event.
    jump = 0 if history.terminal is not None else MAX_UNSTORED_EVENTS
    hub = Hub(first_seq=unfinished.last_seq + jump + 1)
    events = EventLog(
        execution.id,
        execution.graph_id,
        clock,
        hub,
        correlation_id=execution.correlation_id,
        last_line=history.last_line,
        events_before=history.count,
    )
    if history.terminal is None:
        _tell(events, history, unfinished.last_seq)
    duration_ms = events.elapsed_ns() // 1000 / 1000
    status = "failed" if history.terminal is None else _STATUS[history.terminal.type]
    last_seq = events.append(StreamEnd(status=status, total_events=events.count + 1, duration_ms=duration_ms))
    state = await _state(unfinished, store, graphs)
    outbox = ExecutionOutbox(execution.id, hub, store)
    outbox.finish(
        ExecutionEnd(
            status=status,
            outcome="success" if status == "completed" else None,
            ended_at=_now(clock),
            duration_ms=duration_ms,
            steps=history.steps,
            last_seq=last_seq,
            state=state,
            error=msgspec.json.encode(_failure()) if status == "failed" else None,
            errors=bytes(msgspec.json.decode(state, type=_Errors).errors),
        )
    )
    outbox.submit()
    await _until_stored(hub, last_seq, store)


def _tell(events: EventLog, history: _History, valid_to: int) -> None:
    events.append(CheckpointRestored(valid_to=valid_to, next=events.next_seq))
    for started, attempt in history.open.values():
        lasted_ms = (history.last_mono_ns - started.mono_ns) // 1000 / 1000
        events.append(
            NodeCancelled(attempt=attempt, duration_ms=lasted_ms, reason=REASON),
            node_id=started.node_id,
            activation=started.activation,
            pass_number=started.pass_number,
            path=started.path,
        )
    duration_ms = events.elapsed_ns() // 1000 / 1000
    events.append(ExecutionFailed(error=_failure(), duration_ms=duration_ms, steps=history.steps))


def _now(clock: Clock) -> datetime:
    return utc(clock.wall_ns())


def _failure() -> Failure:
    return Failure(code=REASON, type="Interrupted", message=MESSAGE)


async def _read(unfinished: UnfinishedExecution, store: ExecutionStore) -> _History:
    history = _History()
    cursor = 0
    while cursor < unfinished.last_seq:
        page = await store.read_events(
            unfinished.summary.id, after=cursor, upto=unfinished.last_seq, limit=PAGE_EVENTS, max_bytes=PAGE_BYTES
        )
        if not page:
            break
        for event in page:
            history.count += 1
            if event.type in TERMINAL_TYPES:
                history.terminal = decode_line(event.line)
            elif event.type == "node_started":
                _opened(history, decode_line(event.line))
            elif event.type in _CLOSING:
                history.open.pop(decode_line(event.line).activation or "", None)
        cursor = page[-1].seq
        history.last_line = page[-1].line
    if not history.count:
        raise HistoryDamaged("none of its events is stored")
    history.last_mono_ns = decode_line(history.last_line).mono_ns
    return history


def _opened(history: _History, started: Envelope) -> None:
    # Where a member is too large for its line, and in a later version, the data is a plain object.
    attempt = started.data.attempt if isinstance(started.data, NodeStarted) else _attempt(started)
    history.open[started.activation or ""] = started, attempt
    if attempt == 1 and started.path is None:
        history.steps += 1


def _attempt(started: Envelope) -> int:
    number = started.data.get("attempt") if isinstance(started.data, dict) else None
    if not isinstance(number, int):
        raise HistoryDamaged(f"Event {started.seq} does not say which attempt began.", seq=started.seq)
    return number


async def _state(unfinished: UnfinishedExecution, store: ExecutionStore, graphs: GraphService) -> bytes:
    """Return the merged state as of the last stored commit; an empty one where it cannot be made again."""
    execution = unfinished.summary
    try:
        plan = await graphs.replayable(execution.graph_id, execution.graph_version)
        states = States(execution.id, store, replay(plan, unfinished.options))
        await states.to_last()
        return states.replay.shown().to_json()
    except (GraphwireError, ValueError, LookupError) as error:
        if isinstance(error, HistoryDamaged | StorageUnavailable):
            raise
        log.warning("the state cannot be made again: %s", error, extra={"execution_id": execution.id})
        return b"{}"


async def _until_stored(hub: Hub, seq: int, store: ExecutionStore) -> None:
    stored = asyncio.Event()
    hub.when_stored(seq, stored.set)
    try:
        async with asyncio.timeout(STORE_S):
            await stored.wait()
    except TimeoutError:
        raise StorageUnavailable(store.unavailable or "the database does not answer") from None
