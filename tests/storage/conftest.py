import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.storage.migration import migrate
from app.storage.sqlite_database import SqliteDatabase
from app.storage.store import SqlExecutionStore


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database with the present schema; to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "empty.db"
    migrate(path)
    return path


@pytest.fixture
def database_file(migrated_file: Path, tmp_path: Path) -> Path:
    """An empty database of the test's own."""
    return Path(shutil.copy(migrated_file, tmp_path / "graphwire.db"))


@pytest.fixture
async def database(database_file: Path) -> AsyncIterator[SqliteDatabase]:
    async with SqliteDatabase(database_file) as database:
        yield database


@pytest.fixture
async def store(database: SqliteDatabase) -> AsyncIterator[SqlExecutionStore]:
    async with SqlExecutionStore(database) as store:
        yield store
