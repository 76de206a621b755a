"""Reading stored events and deltas: one thread with a connection of its own."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from app.storage.chunks import DELTA_CHUNKS, split
from app.storage.pages import Page, service_page
from app.storage.sqlite import explain, is_damage
from graphwire.engine.ports import Deltas
from graphwire.errors import HistoryDamaged, StorageUnavailable
from graphwire.events.hub import Published
from graphwire.types import ExecutionId

T = TypeVar("T")

# The subquery finds the chunk that the position lies in by the key alone, however long the history is.
_EVENTS = (
    "SELECT first_seq, last_seq, format, events_checksum, events FROM event_chunks WHERE execution_id = ?1"
    " AND first_seq <= ?3 AND first_seq >= coalesce((SELECT max(first_seq) FROM event_chunks"
    " WHERE execution_id = ?1 AND first_seq <= ?2 + 1), 0) ORDER BY first_seq"
)
_DELTAS = (
    "SELECT first_seq, format, deltas_checksum, deltas FROM event_chunks"
    " WHERE execution_id = ? AND first_seq > ? AND deltas IS NOT NULL ORDER BY first_seq LIMIT ?"
)
_SERVICE_EVENTS = (
    "SELECT seq, topic, execution_id, graph_id, correlation_id, at_us, data FROM service_events"
    " WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?"
)
_LAST_SERVICE_EVENT = "SELECT coalesce(max(seq), 0) FROM service_events"
_LARGE = "SELECT body FROM large_events WHERE execution_id = ? AND seq = ?"


class SqliteReader:
    """Reads chunks in a thread of its own, a query at a time.

    Args:
        connect: Opens the reader's connection; called in its thread.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._connection: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="graphwire-reader")

    async def close(self) -> None:
        """Finish what was asked and close the connection. Idempotent."""
        if self._connection is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._connection.close)
            self._connection = None
        self._thread.shutdown(wait=False)

    async def read_events(
        self, execution_id: ExecutionId, *, after: int, upto: int, limit: int, max_bytes: int
    ) -> list[Published]:
        """See ``ports.ExecutionStore``.

        Raises:
            HistoryDamaged: The next event cannot be read; those before it were returned.
            StorageUnavailable: Not now.
        """
        return await self._run(execution_id, _read_events, execution_id, after, upto, limit, max_bytes)

    async def read_event(self, execution_id: ExecutionId, seq: int) -> bytes | None:
        """See ``ports.ExecutionStore``."""
        return await self._run(execution_id, _read_event, execution_id, seq)

    async def read_deltas(self, execution_id: ExecutionId, *, after: int) -> Deltas:
        """See ``ports.ExecutionStore``."""
        return await self._run(execution_id, _read_deltas, execution_id, after)

    async def read_service_events(self, *, after: int, upto: int, limit: int, max_bytes: int) -> list[Published]:
        """See ``database.Reader``."""
        return await self._run(None, _read_service_events, after, upto, limit, max_bytes)

    async def last_service_event(self) -> int:
        """See ``database.Reader``."""
        return await self._run(None, _last_service_event)

    async def _run(self, execution_id: ExecutionId | None, read: Callable[..., T], *arguments: object) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._call, read, arguments)
        except sqlite3.Error as error:
            if is_damage(error):
                facts = {} if execution_id is None else {"execution_id": execution_id}
                raise HistoryDamaged(explain(error), **facts) from error
            raise StorageUnavailable(explain(error)) from error

    def _call(self, read: Callable[..., T], arguments: tuple[object, ...]) -> T:
        if self._connection is None:
            self._connection = self._connect()
        return read(self._connection, *arguments)


def _read_events(
    connection: sqlite3.Connection, execution_id: ExecutionId, after: int, upto: int, limit: int, max_bytes: int
) -> list[Published]:
    page = Page(execution_id, after=after, upto=upto, limit=limit, max_bytes=max_bytes)
    for chunk in connection.execute(_EVENTS, (execution_id, after, upto)):
        page.add(*chunk)
        if page.is_full:
            break
    return page.events


def _read_event(connection: sqlite3.Connection, execution_id: ExecutionId, seq: int) -> bytes | None:
    row = connection.execute(_LARGE, (execution_id, seq)).fetchone()
    if row is not None:
        body: bytes = row[0]
        return body
    page = _read_events(connection, execution_id, seq - 1, seq, 1, 1)
    return page[0].line if page else None


def _read_service_events(
    connection: sqlite3.Connection, after: int, upto: int, limit: int, max_bytes: int
) -> list[Published]:
    return service_page(connection.execute(_SERVICE_EVENTS, (after, upto, limit)), max_bytes)


def _last_service_event(connection: sqlite3.Connection) -> int:
    return int(connection.execute(_LAST_SERVICE_EVENT).fetchone()[0])


def _read_deltas(connection: sqlite3.Connection, execution_id: ExecutionId, after: int) -> Deltas:
    deltas: list[bytes] = []
    for chunk in connection.execute(_DELTAS, (execution_id, after, DELTA_CHUNKS)):
        try:
            deltas += split(execution_id, *chunk)
        except HistoryDamaged:
            if not deltas:
                raise
            break  # whoever goes on is told
        after = chunk[0]
    return Deltas(deltas, after)
