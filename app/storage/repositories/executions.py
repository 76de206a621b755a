"""Executions as they are listed, recovered and measured. What is written while one runs comes by the writer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias, cast

import msgspec
from msgspec.structs import replace
from sqlalchemy import ColumnElement, Float, Select, and_, false, func, literal, not_, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.storage.cursors import Cursor, decode_cursor, encode_cursor
from app.storage.database import Database
from app.storage.moments import microseconds, moment_of
from app.storage.repositories.service_events import Told, tell
from app.storage.tables import event_chunks, executions, node_durations, reported_events
from graphwire.errors import CommandNotAllowed, HistoryDamaged
from graphwire.events.service_types import ServiceExecutionDeleted, ServiceExecutionFailed, cut
from graphwire.events.types import Failure, ForkedFrom
from graphwire.types import TERMINAL_STATUSES, Engine, ExecutionId, GraphId, Outcome, Status

Sort: TypeAlias = Literal["started_at", "-started_at", "ended_at", "-ended_at", "duration_ms", "-duration_ms"]

_SORT_COLUMNS: Mapping[str, ColumnElement[Any]] = {
    "started_at": executions.c.started_at_us,
    # What has not ended stands before all that has.
    "ended_at": func.coalesce(executions.c.ended_at_us, -1),
    "duration_ms": func.coalesce(executions.c.duration_ms, -1.0),
}
_SUMMARY = [column for column in executions.c if column.name not in ("options", "state", "errors", "deleted_at_us")]


@dataclass(frozen=True, slots=True)
class ExecutionSummary:
    """An execution as it is stored, without its large parts.

    ``status`` is ``queued``, ``running`` or ``paused`` until the end. What an end brings is None before it.

    Attributes:
        engine: Who carries it out: ``foreign`` is one that runs elsewhere.
        error: The failure as JSON.
        forked_from: Where it goes on from; None for one that was started.
        damage: Why its history cannot be read; None while nothing is known of that.
    """

    id: ExecutionId
    graph_id: GraphId
    graph_version: int
    engine: Engine
    status: Status
    outcome: Outcome | None
    seed: int
    correlation_id: str | None
    started_at: datetime
    ended_at: datetime | None
    duration_ms: float | None
    steps: int | None
    last_seq: int | None
    reason: str | None
    error: bytes | None
    damage: str | None
    forked_from: ForkedFrom | None = None


@dataclass(frozen=True, slots=True)
class StoredExecution:
    """An execution as it is stored.

    Attributes:
        options: The start's body as JSON.
        errors: Failures that were not retried away, as a JSON list; None before the end.
        state: The final state as JSON; None before the end.
    """

    summary: ExecutionSummary
    options: bytes
    errors: bytes | None
    state: bytes | None


@dataclass(frozen=True, slots=True)
class UnfinishedExecution:
    """An execution that was accepted and has no end. ``last_seq`` is the newest stored event."""

    summary: ExecutionSummary
    options: bytes
    last_seq: int


@dataclass(frozen=True, slots=True)
class ExecutionQuery:
    """Which executions are listed, all conditions together.

    Attributes:
        statuses: Any of these, as they are stored; empty for all.
        graph_ids: Of any of these; empty for all.
        origins: Forked from any of these; empty for all.
        since: Started at or after.
        until: Started before.
        text: Occurs, whatever its case, in the id, the graph's id, the correlation id, the reason or the error.
        waiting: Paused while a node waits for input, or not; None for all.
        sort: The order; ``-`` is falling. Equals are ordered by id, in the same direction.
    """

    statuses: frozenset[str] = frozenset()
    graph_ids: frozenset[str] = frozenset()
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None
    sort: Sort = "-started_at"
    limit: int = 100
    after: str | None = None
    waiting: bool | None = None
    origins: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ExecutionPage:
    """A page of a list; ``next`` is None on the last one."""

    items: Sequence[ExecutionSummary]
    next: str | None


@dataclass(frozen=True, slots=True)
class NodeDuration:
    """How long the completed attempts of a node took, in all executions of a version together."""

    attempts: int
    total_ms: float

    @property
    def mean_ms(self) -> float:
        """The mean of one attempt."""
        return self.total_ms / self.attempts if self.attempts else 0.0


class ExecutionRepository:
    """Every query about executions but their events. A call is a transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, execution_id: ExecutionId) -> StoredExecution | None:
        """Return an execution; None if there is none."""
        query = select(executions).where(executions.c.id == execution_id, executions.c.deleted_at_us.is_(None))
        async with self._database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else StoredExecution(_summary(row), row.options, row.errors, row.state)

    async def list(self, query: ExecutionQuery) -> ExecutionPage:
        """Return a page of executions.

        Raises:
            InvalidCursor: ``after`` is not the ``next`` of a page in this order.
        """
        value = _SORT_COLUMNS[query.sort.removeprefix("-")]
        statement = _filtered(select(*_SUMMARY, value.label("sort_value")), query)
        is_falling = query.sort.startswith("-")
        if query.after is not None:
            cursor = decode_cursor(query.after, order=query.sort)
            place = tuple_(value, executions.c.id)
            sort_value = cursor.value if isinstance(value.type, Float) else int(cursor.value)
            last = tuple_(literal(sort_value, value.type), literal(cursor.id, executions.c.id.type))
            statement = statement.where(place < last if is_falling else place > last)
        order = [value.desc(), executions.c.id.desc()] if is_falling else [value, executions.c.id]
        async with self._database.read() as connection:
            rows = (await connection.execute(statement.order_by(*order).limit(query.limit + 1))).all()
        following = None
        if len(rows) > query.limit:
            row = rows[query.limit - 1]
            following = encode_cursor(Cursor(query.sort, row.sort_value, row.id))
        return ExecutionPage([_summary(row) for row in rows[: query.limit]], following)

    async def unfinished(self) -> Sequence[UnfinishedExecution]:
        """Return the executions of this service that began and have no end, oldest first. No event is read for it."""
        return await self._without_end("running", "paused")

    async def queued(self) -> Sequence[UnfinishedExecution]:
        """Return the executions that wait for their turn, oldest first."""
        return await self._without_end("queued")

    async def _without_end(self, *statuses: Status) -> Sequence[UnfinishedExecution]:
        last_seq = (
            select(func.max(event_chunks.c.last_seq)).where(event_chunks.c.execution_id == executions.c.id)
        ).scalar_subquery()
        query = select(*_SUMMARY, executions.c.options, func.coalesce(last_seq, 0).label("stored_seq"))
        query = query.where(executions.c.status.in_(statuses), executions.c.engine == "graphwire")
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(executions.c.started_at_us, executions.c.id))).all()
        return [UnfinishedExecution(_summary(row), row.options, row.stored_seq) for row in rows]

    async def reported_elsewhere(self) -> Sequence[ExecutionId]:
        """Return the executions without an end that run elsewhere."""
        query = select(executions.c.id).where(executions.c.status == "running", executions.c.engine == "foreign")
        async with self._database.read() as connection:
            return [ExecutionId(id) for id in (await connection.execute(query)).scalars()]

    async def reported(self, execution_id: ExecutionId, producer_ids: Sequence[str]) -> Mapping[str, int]:
        """Return the numbers of the events that are stored under these names of their producer."""
        columns = reported_events.c
        query = select(columns.producer_id, columns.seq)
        query = query.where(columns.execution_id == execution_id, columns.producer_id.in_(producer_ids))
        async with self._database.read() as connection:
            return {row.producer_id: row.seq for row in await connection.execute(query)}

    async def is_taken(self, execution_id: ExecutionId) -> bool:
        """Say whether there is, or was until it was deleted, an execution of this id."""
        query = select(executions.c.id).where(executions.c.id == execution_id)
        async with self._database.read() as connection:
            return (await connection.execute(query)).one_or_none() is not None

    async def node_durations(self, graph_id: GraphId, graph_version: int) -> Mapping[str, NodeDuration]:
        """Return per node id what its completed attempts took, in the executions of a version that have ended."""
        query = select(node_durations).where(
            node_durations.c.graph_id == graph_id, node_durations.c.graph_version == graph_version
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return {row.node_id: NodeDuration(row.attempts, row.total_ms) for row in rows}

    async def last_seq(self, execution_id: ExecutionId) -> int:
        """Return the newest stored event of an execution; 0 where there is none."""
        query = select(func.max(event_chunks.c.last_seq)).where(event_chunks.c.execution_id == execution_id)
        async with self._database.read() as connection:
            return (await connection.execute(query)).scalar_one_or_none() or 0

    async def end_damaged(self, execution_id: ExecutionId, reason: str, *, last_seq: int, now: datetime) -> None:
        """End an execution as failed because its history cannot be read. One that has ended stays as it is."""
        failure = Failure(code=HistoryDamaged.code, type=HistoryDamaged.__name__, message=reason)
        ended = update(executions).where(executions.c.id == execution_id, executions.c.ended_at_us.is_(None))
        ended = ended.values(
            status="failed",
            ended_at_us=microseconds(now),
            last_seq=last_seq,
            damage=reason,
            error=msgspec.json.encode(failure).decode(),
        )
        async with self._database.write() as connection:
            about = ended.returning(executions.c.graph_id, executions.c.correlation_id)
            row = (await connection.execute(about)).one_or_none()
            if row is not None:
                error = replace(failure, message=cut(reason))
                told = ServiceExecutionFailed(error=error, duration_ms=0.0, steps=0, last_seq=last_seq)
                await tell(connection, [Told(told, now, GraphId(row.graph_id), execution_id, row.correlation_id)])

    async def delete(self, execution_id: ExecutionId, *, now: datetime) -> bool:
        """Delete an execution that has ended. False if there is none.

        From then on it is neither found nor listed; ``RetentionRepository.purge`` takes away what is left of it.

        Raises:
            CommandNotAllowed: It has not ended.
        """
        async with self._database.write() as connection:
            query = select(executions.c.status)
            query = query.where(executions.c.id == execution_id, executions.c.deleted_at_us.is_(None))
            status = (await connection.execute(query)).scalar_one_or_none()
            if status is None:
                return False
            if status not in TERMINAL_STATUSES:
                raise CommandNotAllowed(
                    f"cannot delete: the execution is {status}; cancel it first", status=status, allowed=["cancel"]
                )
            await mark_deleted(connection, [execution_id], "requested", now)
        return True


async def mark_deleted(
    connection: AsyncConnection, ids: Sequence[ExecutionId], reason: Literal["requested", "retention"], now: datetime
) -> None:
    """Mark executions that have ended as deleted, let go of what takes most room in their rows, and tell of it."""
    columns = executions.c
    marked = update(executions).where(columns.id.in_(ids), columns.ended_at_us.is_not(None))
    marked = marked.where(columns.deleted_at_us.is_(None))
    marked = marked.values(deleted_at_us=microseconds(now), options=b"", errors=None, state=None)
    rows = await connection.execute(marked.returning(columns.id, columns.graph_id, columns.correlation_id))
    data = ServiceExecutionDeleted(reason=reason)
    told = {row.id: Told(data, now, GraphId(row.graph_id), ExecutionId(row.id), row.correlation_id) for row in rows}
    await tell(connection, [told[id] for id in ids if id in told])


def _filtered(statement: Select[Any], query: ExecutionQuery) -> Select[Any]:
    columns = executions.c
    statement = statement.where(columns.deleted_at_us.is_(None))
    if query.statuses:
        statement = statement.where(columns.status.in_(sorted(query.statuses)))
    if query.waiting is not None:
        waits = and_(columns.waiting == 1, columns.ended_at_us.is_(None))
        statement = statement.where(waits if query.waiting else not_(func.coalesce(waits, false())))
    if query.graph_ids:
        statement = statement.where(columns.graph_id.in_(sorted(query.graph_ids)))
    if query.origins:
        statement = statement.where(columns.forked_from.in_(sorted(query.origins)))
    if query.since is not None:
        statement = statement.where(columns.started_at_us >= microseconds(query.since))
    if query.until is not None:
        statement = statement.where(columns.started_at_us < microseconds(query.until))
    if query.text:
        searched = (columns.id, columns.graph_id, columns.correlation_id, columns.reason, columns.error)
        statement = statement.where(or_(*(column.icontains(query.text, autoescape=True) for column in searched)))
    return statement


def _summary(row: Any) -> ExecutionSummary:
    return ExecutionSummary(
        id=ExecutionId(row.id),
        graph_id=GraphId(row.graph_id),
        graph_version=row.graph_version,
        engine=cast("Engine", row.engine),
        status=cast("Status", row.status),
        outcome=cast("Outcome | None", row.outcome),
        seed=row.seed,
        correlation_id=row.correlation_id,
        started_at=moment_of(row.started_at_us),
        ended_at=None if row.ended_at_us is None else moment_of(row.ended_at_us),
        duration_ms=row.duration_ms,
        steps=row.steps,
        last_seq=row.last_seq,
        reason=row.reason,
        error=None if row.error is None else row.error.encode(),
        damage=row.damage,
        forked_from=None if row.forked_from is None else ForkedFrom(ExecutionId(row.forked_from), row.forked_at),
    )
