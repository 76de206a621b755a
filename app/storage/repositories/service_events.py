"""What happened to the service as a whole. What is told of a change is stored in the change's own transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.storage.database import Database
from app.storage.moments import microseconds
from app.storage.tables import service_events
from graphwire.events.service_encoding import encode_data
from graphwire.events.service_types import ServiceEventData
from graphwire.types import ExecutionId, GraphId


@dataclass(frozen=True, slots=True)
class Told:
    """An event of the service before it has a number."""

    data: ServiceEventData
    at: datetime
    graph_id: GraphId | None = None
    execution_id: ExecutionId | None = None
    correlation_id: str | None = None


async def tell(connection: AsyncConnection, told: Sequence[Told]) -> None:
    """Number and store events, in the transaction of what they tell: they are there when it is, or neither."""
    if not told:
        return
    newest = await _newest(connection)
    rows = [
        {
            "seq": newest + number,
            "topic": each.data.topic,
            "execution_id": each.execution_id,
            "graph_id": each.graph_id,
            "correlation_id": each.correlation_id,
            "at_us": microseconds(each.at),
            "data": encode_data(each.data),
        }
        for number, each in enumerate(told, 1)
    ]
    await connection.execute(insert(service_events), rows)


class ServiceEventRepository:
    """Events that belong to no other change, and the deletion of old ones. A call is a transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def newest(self) -> tuple[int, str | None]:
        """Return the number and the topic of the newest event; 0 and None while there is none."""
        columns = service_events.c
        query = select(columns.seq, columns.topic).order_by(columns.seq.desc()).limit(1)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        return (0, None) if row is None else (row.seq, row.topic)

    async def append(self, told: Sequence[Told], *, again_from: int | None = None) -> None:
        """Store events, all of them or none.

        Args:
            told: In order.
            again_from: Where an earlier try may have stored them: the newest number before it. The first of them is
                looked for above it, by its time and its topic.

        Raises:
            StorageUnavailable: Not now; they may be stored all the same.
        """
        async with self._database.write() as connection:
            if again_from is not None and told:
                columns = service_events.c
                query = select(columns.seq).where(columns.seq > again_from)
                query = query.where(columns.topic == told[0].data.topic, columns.at_us == microseconds(told[0].at))
                if (await connection.execute(query.limit(1))).one_or_none() is not None:
                    return
            await tell(connection, told)

    async def forget(self, *, before: datetime | None, keep: int | None, rows: int) -> int:
        """Delete the oldest events, at most so many; returns how many. The newest one always stays.

        Args:
            before: Those that happened before, unless an older one stays; None for none of them.
            keep: All but so many newest ones; None for none of them.
            rows: How many at most.
        """
        columns = service_events.c
        async with self._database.read() as connection:
            newest = (await connection.execute(select(func.max(columns.seq)))).scalar_one_or_none() or 0
            query = select(columns.seq, columns.at_us).where(columns.seq < newest)
            oldest = (await connection.execute(query.order_by(columns.seq).limit(rows))).all()
        last = 0
        for row in oldest:
            is_old = before is not None and row.at_us < microseconds(before)
            if not is_old and (keep is None or row.seq > newest - keep):
                break
            last = row.seq
        if not last:
            return 0
        async with self._database.write() as connection:
            return (await connection.execute(delete(service_events).where(columns.seq <= last))).rowcount


async def _newest(connection: AsyncConnection) -> int:
    # Nobody else writes until the end of this transaction.
    return (await connection.execute(select(func.max(service_events.c.seq)))).scalar_one_or_none() or 0
