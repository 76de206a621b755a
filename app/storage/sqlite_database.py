"""A SQLite file as the database of a server: opened, locked against a second server, brought up to date."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from app.storage import sqlite
from app.storage.lock_file import LockFile
from app.storage.migration import migrate
from app.storage.news import News
from app.storage.sqlite_reader import SqliteReader
from app.storage.sqlite_room import reclaim
from app.storage.turns import Turns
from app.storage.write_order import WriteOrder
from app.storage.writer_thread import WriterThread
from graphwire.errors import StorageUnavailable

READERS = 8
READ_WAIT_S = 5.0


class SqliteDatabase:
    """A SQLite file; see ``database.Database``. Its folder is made where it is missing.

    Args:
        path: The file.
        migrates: Whether a schema that is not the present one is brought up to date, or refused.
    """

    def __init__(self, path: Path, *, migrates: bool = True) -> None:
        self.path = path
        self.news = News()
        self._migrates = migrates
        self._lock: LockFile | None = None
        self._readers: AsyncEngine | None = None
        # Writers have a connection of their own, since however long they wait, reading goes on.
        self._writer: AsyncEngine | None = None
        self._turns = Turns()
        self._order = WriteOrder()

    async def __aenter__(self) -> Self:
        path = self.path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageUnavailable(f"The folder {path.parent} cannot be made: {error.strerror}.") from error
        self._lock = LockFile(path.with_name(path.name + ".lock"))
        self._lock.acquire()
        try:
            await asyncio.to_thread(migrate, path, may_change=self._migrates)
        except BaseException:
            self._lock.release()
            raise
        self._readers = _engine(path, connections=READERS, busy_timeout_s=READ_WAIT_S)
        self._writer = _engine(path, connections=1, busy_timeout_s=sqlite.BUSY_TIMEOUT_S)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for engine in (self._readers, self._writer):
            if engine is not None:
                await engine.dispose()
        self._readers = self._writer = None
        if self._lock is not None:
            self._lock.release()

    def connect(self) -> sqlite3.Connection:
        """Open a plain connection beside the repositories' ones.

        Raises:
            sqlite3.Error: It cannot be opened.
        """
        return sqlite.connect(self.path)

    def groups(self) -> WriterThread:
        """See ``database.Database``."""
        return WriterThread(self.connect, self._order)

    def reader(self) -> SqliteReader:
        """See ``database.Database``."""
        return SqliteReader(self.connect)

    async def reclaim(self, max_bytes: int) -> bool:
        """See ``database.Database``."""
        async with self._turns.next(), self._order.turn():
            try:
                return await asyncio.to_thread(reclaim, self.connect, max_bytes)
            except sqlite3.Error as error:
                raise StorageUnavailable(sqlite.explain(error)) from error

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """See ``database.Database``."""
        async with _transaction(self._readers, is_write=False) as connection:
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """See ``database.Database``."""
        async with (
            self._turns.next(),
            self._order.turn(),
            _transaction(self._writer, is_write=True) as connection,
        ):
            yield connection
        self.news.ring()


@asynccontextmanager
async def _transaction(engine: AsyncEngine | None, *, is_write: bool) -> AsyncIterator[AsyncConnection]:
    assert engine is not None, "the database is not open"
    try:
        async with engine.connect() as connection:
            await connection.execution_options(is_write=is_write)
            async with connection.begin():
                yield connection
    except PoolTimeoutError as error:
        raise StorageUnavailable("The database cannot be used: too many readers wait for it.") from error
    except DBAPIError as error:
        if error.orig is not None and sqlite.is_transient(_cause(error.orig)):
            raise StorageUnavailable(sqlite.explain(_cause(error.orig))) from error
        raise


def path_of(url: str) -> Path | None:
    """Return the file of ``sqlite:///relative.db`` or ``sqlite:////absolute.db``; None for any other URL."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        return None
    if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        return None
    assert parsed.database is not None
    # Resolved, so that two names of one file have one lock.
    return Path(parsed.database).expanduser().resolve()


def _engine(path: Path, *, connections: int, busy_timeout_s: float) -> AsyncEngine:
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=str(path)),
        connect_args={"timeout": busy_timeout_s},
        pool_size=min(2, connections),
        max_overflow=connections - min(2, connections),
        pool_timeout=READ_WAIT_S,
    )
    event.listen(engine.sync_engine, "connect", _prepare)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


def _prepare(connection: Any, _: object) -> None:
    connection.isolation_level = None  # transactions are begun by ``_begin``
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin(connection: Connection) -> None:
    # A transaction that reads before it writes may find another's write in its way, and no waiting helps then.
    is_write = connection.get_execution_options().get("is_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_write else "BEGIN")


def _cause(error: BaseException) -> BaseException:
    while error.__cause__ is not None and not isinstance(error, sqlite3.Error):
        error = error.__cause__
    return error
