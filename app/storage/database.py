"""What repositories and the store need of a database, whichever it is."""

from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Protocol, Self

from sqlalchemy import CursorResult, Executable
from sqlalchemy.ext.asyncio import AsyncConnection

from app.storage.groups import Groups
from app.storage.news import News
from graphwire.engine.ports import Deltas
from graphwire.events.hub import Published
from graphwire.types import ExecutionId


class Reader(Protocol):
    """Reads stored events and deltas; the methods about executions are those of ``ports.ExecutionStore``.

    Each raises ``HistoryDamaged`` where what is stored cannot be read, and ``StorageUnavailable`` where it cannot now.
    """

    async def read_events(
        self, execution_id: ExecutionId, *, after: int, upto: int, limit: int, max_bytes: int
    ) -> list[Published]:
        """Return events with ``after < seq <= upto``. Those before a damaged one are returned without an error."""
        ...

    async def read_event(self, execution_id: ExecutionId, seq: int) -> bytes | None:
        """Return one event, whole."""
        ...

    async def read_deltas(self, execution_id: ExecutionId, *, after: int) -> Deltas:
        """Return the next deltas behind a place: the number of the first event of a chunk. Damage as for events."""
        ...

    async def read_service_events(self, *, after: int, upto: int, limit: int, max_bytes: int) -> list[Published]:
        """Return events of the service with ``after < seq <= upto`` in order, likewise."""
        ...

    async def last_service_event(self) -> int:
        """Return the number of the service's newest event; 0 while there is none."""
        ...

    async def close(self) -> None:
        """Give back what it holds. Idempotent."""
        ...


class Reads(Protocol):
    """A transaction that reads."""

    async def execute(self, statement: Executable, parameters: Any = None) -> CursorResult[Any]:
        """Run a query. All queries of a transaction see the same."""
        ...


class Database(Protocol):
    """Where a server keeps everything. From ``async with`` on it is this server's alone, migrated, and open.

    Raises:
        StorageUnavailable: On entering: it cannot be used, another server has it, or a newer version wrote it.
            ``detail`` says what to do.

    Attributes:
        news: Rings after every commit that may have told something of the service.
    """

    @property
    def news(self) -> News: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def read(self) -> AbstractAsyncContextManager[Reads]:
        """One consistent view of everything, for as long as the block lasts: keep it short. Waits for no writer.

        Raises:
            StorageUnavailable: The database cannot be read now.
        """
        ...

    def write(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A transaction, committed at the end of the block. One at a time; waits a little for its turn.

        What waits while another is refused is refused with it: a database that is locked is not asked by each.

        Raises:
            StorageUnavailable: The database cannot be written now. Nothing was written, unless the connection was
                lost during the commit itself.
        """
        ...

    def groups(self) -> Groups:
        """Return what writes for the store; one at a time is in use."""
        ...

    def reader(self) -> Reader:
        """Return what reads for the store."""
        ...

    async def reclaim(self, max_bytes: int) -> bool:
        """Give the system back a little of what deletions have freed; whether there is more to give.

        Some is kept for what comes. A database that cares for its files itself does nothing.

        Raises:
            StorageUnavailable: Not now.
        """
        ...
