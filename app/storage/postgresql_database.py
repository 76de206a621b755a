"""A schema of PostgreSQL as the database of a server: locked, migrated, and its lost connections replaced."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from types import TracebackType
from typing import Any, Self

from sqlalchemy import CursorResult, Executable, event
from sqlalchemy.exc import DBAPIError, DisconnectionError, TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from app.storage.database import Reads
from app.storage.news import News
from app.storage.postgresql import Connection, connect, explain, is_cut, is_transient
from app.storage.postgresql_groups import PostgresqlGroups
from app.storage.postgresql_migration import migrate
from app.storage.postgresql_reader import PostgresqlReader
from app.storage.server_lock import ServerLock
from app.storage.turns import Turns
from graphwire.errors import StorageUnavailable

READERS = 8
READ_WAIT_S = 5.0
COMMAND_S = 30.0
LOCK_WAIT_MS = 1_500
"""Starts wait behind a change, on the same connection: who locks a table for long makes the change fail instead."""


class PostgresqlDatabase:
    """The schema that a URL leads to; see ``database.Database``.

    All that is written goes through one connection, the one that holds the server's lock: where the lock is lost,
    nothing can be written before it is held again.

    Args:
        url: ``postgresql://user:password@host:port/database``. ``?search_path=name`` chooses a schema.
        migrates: Whether tables that are not the present ones are brought up to date, or refused.
    """

    def __init__(self, url: str, *, migrates: bool = True) -> None:
        self._url = url
        self.news = News()
        self._migrates = migrates
        self._lock = ServerLock()
        self._readers: AsyncEngine | None = None
        self._writer: AsyncEngine | None = None
        self._turns = Turns()
        self._lost: Callable[[], None] | None = None

    async def __aenter__(self) -> Self:
        self._readers = _engine(self._open_reading, connections=READERS, isolation="REPEATABLE READ")
        self._writer = _engine(self._open_writing, connections=1, isolation="READ COMMITTED")
        try:
            async with _transaction(self._writer) as connection:
                await connection.run_sync(partial(migrate, may_change=self._migrates))
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._close()

    def groups(self) -> PostgresqlGroups:
        """See ``database.Database``."""
        return PostgresqlGroups(self.writing, self.when_lost)

    def reader(self) -> PostgresqlReader:
        """See ``database.Database``."""
        return PostgresqlReader(self.reading)

    async def reclaim(self, max_bytes: int) -> bool:
        """See ``database.Database``. Autovacuum does it."""
        return False

    @property
    def name(self) -> str:
        """As which PostgreSQL shows its connections."""
        return self._lock.name

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Reads]:
        """See ``database.Database``. Where the first query finds its connection lost, it is asked again on another."""
        assert self._readers is not None, "the database is not open"
        with _told():
            async with AsyncExitStack() as stack:
                yield _Reads(self._readers, stack)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """See ``database.Database``."""
        try:
            async with self._turns.next(), _transaction(self._writer, limit_s=COMMAND_S) as connection:
                await connection.exec_driver_sql(f"SET LOCAL lock_timeout = {LOCK_WAIT_MS}")
                yield connection
        finally:  # where the connection was lost during the commit, it may have been stored
            self.news.ring()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Connection]:
        """A plain connection that reads.

        Raises:
            Exception: As ``postgresql.explain`` knows them.
        """
        async with _plain(self._readers) as connection:
            yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Connection]:
        """The plain connection that holds the lock, opened again where it was lost. One block at a time has it.

        Raises:
            Exception: As ``postgresql.explain`` knows them.
        """
        async with _plain(self._writer) as connection:
            yield connection

    def when_lost(self, lost: Callable[[], None] | None) -> None:
        """Have this called when the connection that holds the lock is lost; None: nothing any more."""
        self._lost = lost

    async def _close(self) -> None:
        self._lost = None
        for engine in (self._readers, self._writer):
            if engine is not None:
                await engine.dispose()
        self._readers = self._writer = None

    async def _open_reading(self) -> Connection:
        return await connect(self._url, name=self.name, command_timeout_s=COMMAND_S)

    async def _open_writing(self) -> Connection:
        # What writes has its time limits around it: a migration has none.
        connection = await connect(self._url, name=self.name, command_timeout_s=None)
        try:
            async with asyncio.timeout(COMMAND_S):
                await self._lock.acquire(connection)
        except BaseException:
            connection.terminate()
            raise
        connection.add_termination_listener(self._hear_lost)
        return connection

    def _hear_lost(self, _: Connection) -> None:
        if self._lost is not None:
            self._lost()


def _engine(open: Callable[[], Awaitable[Connection]], *, connections: int, isolation: str) -> AsyncEngine:
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=open,
        isolation_level=isolation,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=READ_WAIT_S if connections > 1 else COMMAND_S,
    )
    event.listen(engine.sync_engine, "checkout", _replace_closed)
    return engine


def _replace_closed(connection: Any, *_: object) -> None:
    # What the other end closed meanwhile costs nobody a failure.
    if connection.driver_connection.is_closed():
        raise DisconnectionError


@asynccontextmanager
async def _plain(engine: AsyncEngine | None) -> AsyncIterator[Connection]:
    assert engine is not None, "the database is not open"
    async with engine.connect() as wrapper:
        connection: Connection = (await wrapper.get_raw_connection()).driver_connection
        try:
            yield connection
        except BaseException as error:
            if not isinstance(error, Exception) or is_cut(error):
                connection.terminate()
            raise


class _Reads:
    def __init__(self, engine: AsyncEngine, stack: AsyncExitStack) -> None:
        self._engine = engine
        self._stack = stack
        self._connection: AsyncConnection | None = None

    async def execute(self, statement: Executable, parameters: Any = None) -> CursorResult[Any]:
        if self._connection is not None:
            return await self._connection.execute(statement, parameters)
        try:
            return await self._first(statement, parameters)
        except (DBAPIError, OSError) as error:
            if not is_cut(error):
                raise
        return await self._first(statement, parameters)

    async def _first(self, statement: Executable, parameters: Any) -> CursorResult[Any]:
        async with AsyncExitStack() as opening:
            connection = await opening.enter_async_context(_reading(self._engine))
            result = await connection.execute(statement, parameters)
            await self._stack.enter_async_context(opening.pop_all())
        self._connection = connection
        return result


@asynccontextmanager
async def _reading(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    async with engine.connect() as connection:
        transaction = await connection.begin()
        yield connection
        try:
            await transaction.commit()
        except (DBAPIError, OSError) as error:
            if not is_cut(error):  # all was read
                raise


@asynccontextmanager
async def _transaction(engine: AsyncEngine | None, *, limit_s: float | None = None) -> AsyncIterator[AsyncConnection]:
    assert engine is not None, "the database is not open"
    with _told():
        async with asyncio.timeout(limit_s), engine.begin() as connection:
            yield connection


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (DBAPIError, PoolTimeoutError, OSError) as error:
        if is_transient(error):
            raise StorageUnavailable(explain(error)) from error
        raise
