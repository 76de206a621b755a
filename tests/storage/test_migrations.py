"""The migrations make the tables that the code believes in, on both databases."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, NullPool, create_engine, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.storage.migration import REVISIONS, scripts, upgrade
from app.storage.tables import metadata


def differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return list(compare_metadata(context, metadata))


def test_the_code_names_every_revision_in_order() -> None:
    config = Config()
    config.set_main_option("script_location", str(scripts()))

    found = [revision.revision for revision in ScriptDirectory.from_config(config).walk_revisions()]

    assert tuple(reversed(found)) == REVISIONS


def test_the_migrations_make_the_tables_of_the_code_on_sqlite(migrated_file: Path) -> None:
    engine = create_engine(f"sqlite:///{migrated_file}", poolclass=NullPool)

    with engine.connect() as connection:
        assert differences(connection) == []
        assert set(inspect(connection).get_table_names()) == {*metadata.tables, "alembic_version"}


@pytest.fixture
async def postgresql(postgresql_url: str) -> AsyncIterator[AsyncEngine]:
    """An engine that sees an empty schema of its own."""
    name = "graphwire_test_migrations"
    url = make_url(postgresql_url).set(drivername="postgresql+asyncpg")
    engine = create_async_engine(url, poolclass=NullPool, connect_args={"server_settings": {"search_path": name}})
    async with engine.begin() as connection:
        await connection.execute(text(f"DROP SCHEMA IF EXISTS {name} CASCADE"))
        await connection.execute(text(f"CREATE SCHEMA {name}"))
    yield engine
    async with engine.begin() as connection:
        await connection.execute(text(f"DROP SCHEMA {name} CASCADE"))
    await engine.dispose()


@pytest.mark.needs("postgresql")
async def test_the_migrations_make_the_tables_of_the_code_on_postgresql(postgresql: AsyncEngine) -> None:
    async with asyncio.timeout(30), postgresql.begin() as connection:
        await connection.run_sync(upgrade)

        assert await connection.run_sync(differences) == []
