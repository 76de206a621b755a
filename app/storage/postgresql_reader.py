"""Reading stored events and deltas from PostgreSQL."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

from app.storage.chunks import DELTA_CHUNKS, split
from app.storage.pages import Page, service_page
from app.storage.postgresql import Connection, explain, is_cut, is_damage, is_transient
from app.storage.text import escaped, unescaped
from graphwire.engine.ports import Deltas
from graphwire.errors import HistoryDamaged, StorageUnavailable
from graphwire.events.hub import Published
from graphwire.types import ExecutionId

MAX_SEQ = 2**62

Reading: TypeAlias = Callable[[], AbstractAsyncContextManager[Connection]]

# The subquery finds the chunk that the position lies in by the key alone, however long the history is. The sum keeps
# what is sent near what was asked for.
_EVENTS = """
SELECT first_seq, last_seq, format, events_checksum, events FROM (
    SELECT *, sum(octet_length(events)) OVER (ORDER BY first_seq ROWS UNBOUNDED PRECEDING) AS bytes
    FROM event_chunks WHERE execution_id = $1 AND first_seq <= $3 AND last_seq > $2 AND first_seq >= coalesce(
        (SELECT max(first_seq) FROM event_chunks WHERE execution_id = $1 AND first_seq <= $2::bigint + 1), 0)
    ORDER BY first_seq LIMIT $4
) AS chunks WHERE bytes - octet_length(events) <= $5 ORDER BY first_seq
"""
_DELTAS = """
SELECT first_seq, format, deltas_checksum, deltas FROM event_chunks
WHERE execution_id = $1 AND first_seq > $2 AND deltas IS NOT NULL ORDER BY first_seq LIMIT $3
"""
_SERVICE_EVENTS = """
SELECT seq, topic, execution_id, graph_id, correlation_id, at_us, data FROM service_events
WHERE seq > $1 AND seq <= $2 ORDER BY seq LIMIT $3
"""
_LAST_SERVICE_EVENT = "SELECT coalesce(max(seq), 0) FROM service_events"
_LARGE = "SELECT body FROM large_events WHERE execution_id = $1 AND seq = $2"


class PostgresqlReader:
    """Reads chunks; see ``database.Reader``. A lost connection is replaced once before a read fails.

    Args:
        reading: Lends a connection.
    """

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    async def close(self) -> None:
        """See ``database.Reader``."""

    async def read_events(
        self, execution_id: ExecutionId, *, after: int, upto: int, limit: int, max_bytes: int
    ) -> list[Published]:
        """See ``database.Reader``."""
        page = Page(execution_id, after=after, upto=upto, limit=limit, max_bytes=max_bytes)
        place, has_more = min(after, MAX_SEQ), True
        while has_more and not page.is_full:
            chunks = await self._fetch(_EVENTS, execution_id, place, min(upto, MAX_SEQ), limit, max_bytes)
            for chunk in chunks:
                if not page.is_full:
                    page.add(*chunk)
            has_more = len(chunks) == limit or sum(len(chunk[4]) for chunk in chunks) > max_bytes
            place = chunks[-1][1] if chunks else place
        return page.events

    async def read_event(self, execution_id: ExecutionId, seq: int) -> bytes | None:
        """See ``database.Reader``."""
        if not 0 < seq <= MAX_SEQ:
            return None
        for (body,) in await self._fetch(_LARGE, execution_id, seq):
            return bytes(body)
        page = await self.read_events(execution_id, after=seq - 1, upto=seq, limit=1, max_bytes=1)
        return page[0].line if page else None

    async def read_deltas(self, execution_id: ExecutionId, *, after: int) -> Deltas:
        """See ``database.Reader``."""
        deltas: list[bytes] = []
        for chunk in await self._fetch(_DELTAS, execution_id, after, DELTA_CHUNKS):
            try:
                deltas += split(execution_id, *chunk)
            except HistoryDamaged:
                if not deltas:
                    raise
                break  # whoever goes on is told
            after = chunk[0]
        return Deltas(deltas, after)

    async def read_service_events(self, *, after: int, upto: int, limit: int, max_bytes: int) -> list[Published]:
        """See ``database.Reader``."""
        rows = await self._fetch(_SERVICE_EVENTS, None, min(after, MAX_SEQ), min(upto, MAX_SEQ), limit)
        texts = ((seq, *map(unescaped, texts), at_us, data) for seq, *texts, at_us, data in rows)
        return service_page(texts, max_bytes)

    async def last_service_event(self) -> int:
        """See ``database.Reader``."""
        return int((await self._fetch(_LAST_SERVICE_EVENT, None))[0][0])

    async def _fetch(self, query: str, execution_id: ExecutionId | None, *arguments: int) -> Sequence[Any]:
        try:
            return await self._once(query, execution_id, *arguments)
        except Exception as error:
            if not is_cut(error):
                raise _told(error, execution_id) from error
        try:
            return await self._once(query, execution_id, *arguments)
        except Exception as error:
            raise _told(error, execution_id) from error

    async def _once(self, query: str, execution_id: ExecutionId | None, *arguments: int) -> Sequence[Any]:
        first = () if execution_id is None else (escaped(execution_id),)
        async with self._reading() as connection:
            rows: Sequence[Any] = await connection.fetch(query, *first, *arguments)
            return rows


def _told(error: Exception, execution_id: ExecutionId | None) -> Exception:
    if is_damage(error):
        return HistoryDamaged(explain(error), **({} if execution_id is None else {"execution_id": execution_id}))
    return StorageUnavailable(explain(error)) if is_transient(error) else error
