import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from app.storage.database import Database
from app.storage.migration import migrate
from app.storage.opening import open_database
from app.storage.sqlite_database import SqliteDatabase
from app.storage.store import SqlExecutionStore
from tests.databases import DATABASES, postgresql_schema


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty SQLite file with the present schema; to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "empty.db"
    migrate(path)
    return path


@pytest.fixture
def database_file(migrated_file: Path, tmp_path: Path) -> Path:
    """An empty SQLite file of the test's own."""
    return Path(shutil.copy(migrated_file, tmp_path / "graphwire.db"))


@pytest.fixture
async def schema() -> AsyncIterator[str]:
    """The URL of an empty schema of the test's own; for tests marked ``needs("postgresql")``."""
    async with postgresql_schema() as url:
        yield url


@pytest.fixture
async def sqlite_database(database_file: Path) -> AsyncIterator[SqliteDatabase]:
    async with SqliteDatabase(database_file) as database:
        yield database


@pytest.fixture(params=DATABASES)
async def database(request: pytest.FixtureRequest, database_file: Path) -> AsyncIterator[Database]:
    """An open database of each kind."""
    async with AsyncExitStack() as stack:
        url = f"sqlite:///{database_file}"
        if request.param == "postgresql":
            url = await stack.enter_async_context(postgresql_schema())
        yield await stack.enter_async_context(open_database(url))


@pytest.fixture
async def store(database: Database) -> AsyncIterator[SqlExecutionStore]:
    async with SqlExecutionStore(database) as store:
        yield store
