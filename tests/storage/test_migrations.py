"""The migrations make the tables that the code believes in, on both databases."""

from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, NullPool, Text, create_engine, inspect

from app.storage.migration import REVISIONS, scripts
from app.storage.postgresql_database import PostgresqlDatabase
from app.storage.tables import metadata
from app.storage.text import AnyText


def differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": differs})
    return list(compare_metadata(context, metadata))


def differs(context: MigrationContext, *columns_and_types: Any) -> bool | None:
    """Compare what Alembic does not: how text is compared."""
    found, meant = columns_and_types[2:]
    if not isinstance(meant, AnyText):
        return None
    assert context.dialect is not None
    assert isinstance(found, Text)
    return bool(found.collation != meant.load_dialect_impl(context.dialect).collation)


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


@pytest.mark.needs("postgresql")
async def test_the_migrations_make_the_tables_of_the_code_on_postgresql(schema: str) -> None:
    async with PostgresqlDatabase(schema) as database, database.write() as connection:
        assert await connection.run_sync(differences) == []
        tables = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
        assert set(tables) == {*metadata.tables, "alembic_version"}
