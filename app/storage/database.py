"""The database of a server: opened, locked against a second server, brought up to date."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Connection, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from app.storage import sqlite
from app.storage.lock_file import LockFile
from app.storage.migration import migrate
from graphwire.errors import StorageUnavailable


class Database:
    """A SQLite file, from ``async with`` on: locked, migrated, and open for repositories.

    Args:
        url: ``sqlite:///relative.db`` or ``sqlite:////absolute.db``. The folder is made where it is missing.

    Raises:
        StorageUnavailable: On entering: the URL is of another kind, the file cannot be used, another server has it,
            or a newer version wrote it. ``detail`` says what to do.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._path: Path | None = None
        self._lock: LockFile | None = None
        self._engine: AsyncEngine | None = None

    @property
    def path(self) -> Path:
        """The file. Only while open."""
        assert self._path is not None, "the database is not open"
        return self._path

    async def __aenter__(self) -> Self:
        self._path = path = _path_of(self._url)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageUnavailable(f"The folder {path.parent} cannot be made: {error.strerror}.") from error
        self._lock = LockFile(path.with_name(path.name + ".lock"))
        self._lock.acquire()
        try:
            await asyncio.to_thread(migrate, path)
        except BaseException:
            self._lock.release()
            raise
        self._engine = _engine(path)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._engine is not None:
            await self._engine.dispose()
            self._engine = None
        if self._lock is not None:
            self._lock.release()

    def connect(self) -> sqlite3.Connection:
        """Open a plain connection beside the repositories' ones.

        Raises:
            sqlite3.Error: It cannot be opened.
        """
        return sqlite.connect(self.path)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """One consistent view of everything, for as long as the block lasts: keep it short.

        Raises:
            StorageUnavailable: The database cannot be read now.
        """
        async with self._transaction(is_write=False) as connection:
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction, committed at the end of the block. Waits up to five seconds for another writer.

        Raises:
            StorageUnavailable: The database cannot be written now; nothing was.
        """
        async with self._transaction(is_write=True) as connection:
            yield connection

    @asynccontextmanager
    async def _transaction(self, *, is_write: bool) -> AsyncIterator[AsyncConnection]:
        assert self._engine is not None, "the database is not open"
        try:
            async with self._engine.connect() as connection:
                await connection.execution_options(is_write=is_write)
                async with connection.begin():
                    yield connection
        except DBAPIError as error:
            if error.orig is not None and sqlite.is_transient(_cause(error.orig)):
                raise StorageUnavailable(sqlite.explain(_cause(error.orig))) from error
            raise


def _path_of(url: str) -> Path:
    try:
        parsed: URL | None = make_url(url)
    except ArgumentError:
        parsed = None
    if parsed is None or parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        # The URL itself may hold a password.
        raise StorageUnavailable("The database URL is not of the form sqlite:///path/to/file.db.")
    assert parsed.database is not None
    # Resolved, so that two names of one file have one lock.
    return Path(parsed.database).expanduser().resolve()


def _engine(path: Path) -> AsyncEngine:
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=str(path)),
        connect_args={"timeout": 5.0},
        pool_size=2,
        max_overflow=6,
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
