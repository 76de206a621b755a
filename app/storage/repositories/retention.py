"""What is deleted for good, a little at a time: no call holds up for long whoever else writes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Table,
    Text,
    and_,
    cast,
    delete,
    exists,
    func,
    literal,
    select,
    tuple_,
    update,
)

from app.storage.database import Database
from app.storage.moments import microseconds
from app.storage.repositories.executions import mark_deleted
from app.storage.tables import (
    event_chunks,
    executions,
    graph_versions,
    graphs,
    large_events,
    node_durations,
    reported_events,
)
from graphwire.types import TERMINAL_STATUSES, ExecutionId


@dataclass(frozen=True, slots=True)
class EndedExecution:
    """An execution that has ended; ``size`` is what its row lets go of when it is marked as deleted, in bytes."""

    id: ExecutionId
    size: int


class RetentionRepository:
    """Every query about what is too old. A call is a transaction; nobody else may call ``purge`` meanwhile."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def count_ended(self) -> int:
        """Return how many executions have ended and are not deleted."""
        ended = select(func.count()).where(executions.c.status.in_(sorted(TERMINAL_STATUSES)))
        deleted = select(func.count()).where(executions.c.deleted_at_us.is_not(None))
        async with self._database.read() as connection:
            counts = [(await connection.execute(query)).scalar_one() for query in (ended, deleted)]
        return int(counts[0]) - int(counts[1])

    async def oldest_ended(self, limit: int, *, before: datetime | None = None) -> Sequence[EndedExecution]:
        """Return executions that have ended, the one that started first at the front.

        Args:
            limit: How many at most.
            before: Only those that ended before; None for all.
        """
        columns = executions.c
        size = _size((columns.options, columns.errors, columns.state))
        query = select(columns.id, size.label("size"))
        query = query.where(columns.ended_at_us.is_not(None), columns.deleted_at_us.is_(None))
        if before is not None:
            moment = microseconds(before)
            # The second follows from the first, and has an index.
            query = query.where(columns.ended_at_us < moment, columns.started_at_us < moment)
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(columns.started_at_us, columns.id).limit(limit))).all()
        return [EndedExecution(ExecutionId(row.id), row.size) for row in rows]

    async def mark(self, ids: Sequence[ExecutionId], *, now: datetime) -> None:
        """Delete executions that have ended, as ``ExecutionRepository.delete`` does each."""
        async with self._database.write() as connection:
            await mark_deleted(connection, ids, "retention", now)

    async def purge(self, *, rows: int, max_bytes: int) -> bool:
        """Take away a little of what is deleted, the first events first; False where nothing was left.

        Args:
            rows: How many at most.
            max_bytes: Of events at most, but at least one row.
        """
        columns = executions.c
        query = select(columns.id).where(columns.deleted_at_us.is_not(None))
        async with self._database.read() as connection:
            ids = (await connection.execute(query.order_by(columns.deleted_at_us, columns.id).limit(rows))).scalars()
            owners = list(ids.all())
            part: tuple[Table, ColumnElement[bool]] | None = None
            for table, number, body in _PARTS if owners else ():
                keys = (
                    await connection.execute(
                        select(table.c.execution_id, number, _size(body).label("size"))
                        .where(table.c.execution_id.in_(owners))
                        .order_by(table.c.execution_id, number)
                        .limit(rows)
                    )
                ).all()
                if keys:
                    part = table, tuple_(table.c.execution_id, number).in_(_first(keys, max_bytes))
                    break
        if not owners:
            return False
        table, which = part if part is not None else (executions, columns.id.in_(owners))
        async with self._database.write() as connection:
            await connection.execute(delete(table).where(which))
        return True

    async def forget_version(self, deleted_before: datetime, *, rows: int) -> bool:
        """Take away a little of one version of a graph that was deleted before a time; False where there is none.

        A version that an execution names, or that ran inside of one, stays with it. The number of a version is never
        used again.
        """
        columns = graph_versions.c
        used = exists().where(executions.c.graph_id == columns.graph_id, executions.c.graph_version == columns.version)
        name = literal(",") + columns.graph_id + literal("@") + cast(columns.version, Text) + literal(",")
        run = exists().where(executions.c.runs.is_not(None), executions.c.runs.contains(name))
        gone = exists().where(graphs.c.id == columns.graph_id, graphs.c.deleted_at_us < microseconds(deleted_before))
        query = select(columns.graph_id, columns.version).where(gone, ~used, ~run)
        async with self._database.read() as connection:
            row = (await connection.execute(query.limit(1))).one_or_none()
        if row is None:
            return False
        is_it = and_(columns.graph_id == row.graph_id, columns.version == row.version)
        durations = node_durations.c
        is_of_it = and_(durations.graph_id == row.graph_id, durations.graph_version == row.version)
        some = select(durations.node_id).where(is_of_it).limit(rows)
        async with self._database.write() as connection:
            done = await connection.execute(delete(node_durations).where(is_of_it, durations.node_id.in_(some)))
            if done.rowcount < rows:
                await connection.execute(delete(graph_versions).where(is_it, gone))
                emptied = update(graphs).where(graphs.c.id == row.graph_id, graphs.c.deleted_at_us.is_not(None))
                await connection.execute(emptied.values(search_text=""))
        return True


_PARTS: Sequence[tuple[Table, Column[Any], Sequence[Column[Any]]]] = (
    (event_chunks, event_chunks.c.first_seq, (event_chunks.c.events, event_chunks.c.deltas)),
    (large_events, large_events.c.seq, (large_events.c.body,)),
    (reported_events, reported_events.c.producer_id, (reported_events.c.producer_id,)),
)


def _size(columns: Sequence[Column[Any]]) -> ColumnElement[int]:
    first, *rest = (func.coalesce(func.length(column), 0) for column in columns)
    return sum(rest, start=first)


def _first(keys: Sequence[Any], max_bytes: int) -> list[tuple[str, int | str]]:
    taken: list[tuple[str, int | str]] = []
    room = max_bytes
    for owner, number, size in keys:
        room -= size
        if taken and room < 0:
            break
        taken.append((owner, number))
    return taken
