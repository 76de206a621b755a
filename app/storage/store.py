"""Executions in the database: the adapter of ``graphwire.engine.ports.ExecutionStore``."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from app.storage.database import Database
from app.storage.writer import Writer
from graphwire.engine.ports import Deltas, Outbox
from graphwire.events.hub import Published
from graphwire.types import ExecutionId


class SqlExecutionStore:
    """An ``ExecutionStore`` on an open database. Entered, it writes; leaving, it stores what is left.

    Args:
        stop_s: How long leaving waits for a database that takes nothing.
    """

    def __init__(self, database: Database, *, stop_s: float = 10.0) -> None:
        self._writer = Writer(database.groups(), told=database.news.ring)
        self._reader = database.reader()
        self._stop_s = stop_s

    async def __aenter__(self) -> Self:
        await self._writer.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            await self._writer.stop(timeout_s=self._stop_s)
        finally:
            await self._reader.close()

    def when_changed(self, changed: Callable[[str | None], None]) -> None:
        """Have this called when nothing can be stored any more, with the reason, and with None when it can again."""
        self._writer.when_changed(changed)

    @property
    def unavailable(self) -> str | None:
        """Why nothing can be stored at the moment; None while all is well."""
        return self._writer.unavailable

    async def check(self, *, within_s: float, timeout_s: float) -> str | None:
        """Find out why nothing would be stored now; None where all is well. See ``Writer.check``."""
        return await self._writer.check(within_s=within_s, timeout_s=timeout_s)

    def submit(self, outbox: Outbox) -> None:
        """Say that an outbox has something to store. Returns at once; idempotent until the outbox is drained."""
        self._writer.submit(outbox)

    async def read_events(
        self, execution_id: ExecutionId, *, after: int, upto: int, limit: int, max_bytes: int
    ) -> list[Published]:
        """Return stored events with ``after < seq <= upto`` in order.

        Stops at ``limit`` events or ``max_bytes`` of lines, but never before the first event.

        Raises:
            HistoryDamaged: The first of them cannot be read.
            StorageUnavailable: Not now.
        """
        return await self._reader.read_events(execution_id, after=after, upto=upto, limit=limit, max_bytes=max_bytes)

    async def read_event(self, execution_id: ExecutionId, seq: int) -> bytes | None:
        """Return one stored event, whole, as JSON; None if there is none. Raises as ``read_events`` does."""
        return await self._reader.read_event(execution_id, seq)

    async def read_deltas(self, execution_id: ExecutionId, *, after: int = 0) -> Deltas:
        """Return the next stored deltas behind a place. Raises as ``read_events`` does."""
        return await self._reader.read_deltas(execution_id, after=after)
