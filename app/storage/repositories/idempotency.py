"""What was made under callers' keys."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.storage.database import Database
from app.storage.errors import KeyTaken
from app.storage.moments import microseconds
from app.storage.tables import idempotency_keys
from graphwire.engine.ports import Claim
from graphwire.types import ExecutionId, GraphId


@dataclass(frozen=True, slots=True)
class MadeEvent:
    """An execution's event: the first one of a start, ``command_accepted`` of a command."""

    execution_id: ExecutionId
    seq: int


@dataclass(frozen=True, slots=True)
class MadeVersion:
    """A version of a graph."""

    graph_id: GraphId
    version: int


@dataclass(frozen=True, slots=True)
class KeptClaim:
    """What a key stands for. ``fingerprint`` is of what was asked for."""

    fingerprint: bytes
    made: MadeEvent | MadeVersion


class IdempotencyRepository:
    """Every query about callers' keys. Those of executions are stored by the writer, with the execution."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, key: str, *, now: datetime) -> KeptClaim | None:
        """Return what a key stands for; None where it is unknown, or over by now."""
        columns = idempotency_keys.c
        query = select(idempotency_keys).where(columns.key == key, columns.over_at_us > microseconds(now))
        async with self._database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else _kept(row)

    async def beginning(self, prefix: str, *, now: datetime) -> Mapping[str, KeptClaim]:
        """Return what the keys that begin so stand for, by key, those that are over by now left out."""
        columns = idempotency_keys.c
        behind = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        query = select(idempotency_keys).where(columns.key >= prefix, columns.key < behind)
        query = query.where(columns.over_at_us > microseconds(now)).order_by(columns.created_at_us, columns.key)
        async with self._database.read() as connection:
            return {row.key: _kept(row) for row in await connection.execute(query)}

    async def forget(self, before: datetime, limit: int) -> int:
        """Delete keys that were over before a time, at most so many; returns how many. A key in use is never one."""
        columns = idempotency_keys.c
        old = select(columns.key).where(columns.over_at_us < microseconds(before))
        old = old.order_by(columns.over_at_us).limit(limit)
        async with self._database.write() as connection:
            return (await connection.execute(delete(idempotency_keys).where(columns.key.in_(old)))).rowcount


def _kept(row: Any) -> KeptClaim:
    if row.execution_id is not None:
        return KeptClaim(row.fingerprint, MadeEvent(ExecutionId(row.execution_id), row.seq))
    return KeptClaim(row.fingerprint, MadeVersion(GraphId(row.graph_id), row.graph_version))


async def keep_claim(connection: AsyncConnection, claim: Claim, made: MadeVersion) -> None:
    """Store a claim on a version, in the transaction that makes it.

    Raises:
        KeyTaken: The key was taken at this moment.
    """
    columns = idempotency_keys.c
    made_us = microseconds(claim.made_at)
    over = delete(idempotency_keys).where(columns.key == claim.key, columns.over_at_us <= made_us)
    await connection.execute(over)
    values = {
        "key": claim.key,
        "fingerprint": claim.fingerprint,
        "graph_id": made.graph_id,
        "graph_version": made.version,
        "created_at_us": made_us,
        "over_at_us": microseconds(claim.over_at),
    }
    try:
        await connection.execute(insert(idempotency_keys).values(values))
    except IntegrityError:
        raise KeyTaken("The key was taken at this moment; the next attempt finds what it made.") from None
