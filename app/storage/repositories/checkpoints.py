"""The records of an execution as they are listed, newest first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from app.storage.chunks import split
from app.storage.database import Database
from app.storage.tables import event_chunks
from graphwire.errors import HistoryDamaged
from graphwire.types import ExecutionId


@dataclass(frozen=True, slots=True)
class StoredRecords:
    """What was recorded in one transaction.

    Attributes:
        first_seq: The first event that was stored with it.
        documents: In order of happening; None where they are not what was written.
    """

    first_seq: int
    documents: Sequence[bytes] | None


class CheckpointRepository:
    """Every query about records but those that go through them from the start. A call is a transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def before(self, execution_id: ExecutionId, seq: int | None, *, rows: int) -> Sequence[StoredRecords]:
        """Return the records of the newest transactions whose first event has a number below ``seq``, newest first.

        Args:
            seq: None for the newest of all.
            rows: How many transactions at most.
        """
        columns = event_chunks.c
        query = select(columns.first_seq, columns.format, columns.deltas_checksum, columns.deltas)
        query = query.where(columns.execution_id == execution_id, columns.deltas.is_not(None))
        if seq is not None:
            query = query.where(columns.first_seq < seq)
        async with self._database.read() as reading:
            found = (await reading.execute(query.order_by(columns.first_seq.desc()).limit(rows))).all()
        return [StoredRecords(row.first_seq, _documents(execution_id, row)) for row in found]


def _documents(execution_id: ExecutionId, row: Any) -> Sequence[bytes] | None:
    try:
        return split(execution_id, row.first_seq, row.format, row.deltas_checksum, bytes(row.deltas))
    except HistoryDamaged:
        return None
