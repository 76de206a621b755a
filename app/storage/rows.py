"""The rows that a group of batches becomes, table by table."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from app.storage.chunks import ChunkRow, encode_chunks
from app.storage.moments import microseconds
from app.storage.telling import ended, started, turned
from graphwire.engine.ports import Batch, Claim, ExecutionEnd, ExecutionRecord
from graphwire.events.service_encoding import encode_data
from graphwire.events.service_types import ServiceEventData
from graphwire.types import ExecutionId

Row: TypeAlias = tuple[Any, ...]


@dataclass(slots=True)
class Rows:
    """Rows in the order of their columns.

    Attributes:
        starts: ``executions``: id, graph_id, graph_version, status, seed, correlation_id, started_at_us, options,
            engine, forked_from, forked_at, runs.
        chunks: ``event_chunks``, all columns.
        large: ``large_events``: execution_id, seq, body.
        ends: ``executions``: id, status, outcome, ended_at_us, duration_ms, steps, last_seq, reason, error, errors,
            state.
        turns: ``executions``: id, status, waiting; one row at most for each execution.
        durations: execution_id, node_id, attempts, total_ms; to be added to ``node_durations``.
        told: ``service_events``: topic, execution_id, at_us, data; what else there is of the execution is looked
            up.
        claims, claims_of_starts: ``idempotency_keys``: key, fingerprint, execution_id, seq, created_at_us, over_at_us.
        reported: ``reported_events``: execution_id, producer_id, seq.
    """

    starts: list[Row] = field(default_factory=list)
    chunks: list[ChunkRow] = field(default_factory=list)
    large: list[Row] = field(default_factory=list)
    ends: list[Row] = field(default_factory=list)
    turns: list[Row] = field(default_factory=list)
    durations: list[Row] = field(default_factory=list)
    told: list[Row] = field(default_factory=list)
    claims: list[Row] = field(default_factory=list)
    claims_of_starts: list[Row] = field(default_factory=list)
    reported: list[Row] = field(default_factory=list)


def rows_of(batches: Iterable[Batch]) -> Rows:
    """Return the rows of some batches.

    Raises:
        ValueError: A batch can never be stored.
    """
    rows = Rows()
    for batch in batches:
        if batch.start is not None:
            rows.starts.append(_start(batch.start))
            rows.told.append(_told(batch.execution_id, started(batch.start), batch.start.started_at))
        rows.chunks += encode_chunks(batch.execution_id, batch.events, batch.deltas)
        rows.large += [
            (batch.execution_id, event.seq, event.whole) for event in batch.events if event.whole is not None
        ]
        if batch.turns:
            rows.turns.append((batch.execution_id, batch.turns[-1].status, int(batch.turns[-1].waiting)))
            told = ((turned(turn), turn.at) for turn in batch.turns)
            rows.told += [_told(batch.execution_id, data, at) for data, at in told if data is not None]
        if batch.end is not None:
            rows.ends.append(_end(batch.execution_id, batch.end))
            rows.told.append(_told(batch.execution_id, ended(batch.end), batch.end.ended_at))
            rows.durations += [
                (batch.execution_id, node, attempts, total_ms)
                for node, (attempts, total_ms) in batch.end.durations_ms.items()
            ]
        rows.reported += [(batch.execution_id, name, seq) for seq, name in batch.reported]
        for seq, claim in batch.claims:
            mine = rows.claims if batch.start is None else rows.claims_of_starts
            mine.append(_claim(batch.execution_id, seq, claim))
    return rows


def _start(start: ExecutionRecord) -> Row:
    return (
        start.id,
        start.graph_id,
        start.graph_version,
        start.status,
        start.seed,
        start.correlation_id,
        microseconds(start.started_at),
        start.options,
        start.engine,
        None if start.forked_from is None else start.forked_from.execution_id,
        None if start.forked_from is None else start.forked_from.seq,
        f",{','.join(f'{graph}@{version}' for graph, version in start.runs)}," if start.runs else None,
    )


def _told(execution_id: ExecutionId, data: ServiceEventData, at: datetime) -> Row:
    return data.topic, execution_id, microseconds(at), encode_data(data)


def _claim(execution_id: ExecutionId, seq: int, claim: Claim) -> Row:
    made_us, over_us = microseconds(claim.made_at), microseconds(claim.over_at)
    return claim.key, claim.fingerprint, execution_id, seq, made_us, over_us


def _end(execution_id: ExecutionId, end: ExecutionEnd) -> Row:
    return (
        execution_id,
        end.status,
        end.outcome,
        microseconds(end.ended_at),
        end.duration_ms,
        end.steps,
        end.last_seq,
        end.reason,
        None if end.error is None else end.error.decode(),
        end.errors,
        end.state,
    )
