"""Bringing a database to the schema that this version knows."""

import sqlite3
from pathlib import Path

from sqlalchemy import Connection, NullPool, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from app.storage.sqlite import configure, explain
from graphwire.errors import StorageUnavailable

REVISIONS = ("0001",)
"""Every schema that can be brought up to date, oldest first; the last is the present one."""


def migrate(path: Path, *, may_change: bool = True) -> None:
    """Bring a SQLite file up to date; a new file gets the whole schema. All of it happens in one transaction.

    Raises:
        StorageUnavailable: The file cannot be used, is not ours, was written by a newer version, or is not up to date
            and may not be changed.
    """
    try:
        revision = _revision(path)
    except sqlite3.Error as error:
        raise StorageUnavailable(explain(error)) from error
    if is_present(revision):
        return
    require_may_change(revision, may_change=may_change)
    engine = create_engine(URL.create("sqlite", database=str(path)), poolclass=NullPool)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    try:
        with engine.begin() as connection:
            upgrade(connection)
    except DBAPIError as error:
        reason = explain(error.orig) if error.orig is not None else "The database failed."
        raise StorageUnavailable(f"The migration of the database was undone. {reason}") from error


def is_present(revision: str | None) -> bool:
    """Say whether a schema is the present one; None stands for an empty database.

    Raises:
        StorageUnavailable: It is newer than this version.
    """
    if revision is not None and revision not in REVISIONS:
        raise StorageUnavailable(
            f"The database was written by a newer version (schema {revision}); this one knows schemas up to"
            f" {REVISIONS[-1]}. Install the newer version, or give this one a database of its own."
        )
    return revision == REVISIONS[-1]


def require_may_change(revision: str | None, *, may_change: bool) -> None:
    """Refuse to go on with a schema that is not the present one where it may not be changed.

    Raises:
        StorageUnavailable: With what to do.
    """
    if not may_change:
        has = "no schema yet" if revision is None else f"schema {revision}"
        raise StorageUnavailable(
            f"The database has {has}, and this version needs {REVISIONS[-1]}. Bring it up to date with"
            " `graphwire database upgrade`, or let a start do it (GRAPHWIRE_MIGRATE_AT_START=true)."
        )


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Run the migrations on a connection, within its transaction."""
    # Alembic takes 10 MB and a tenth of a second, which only a start with something to migrate pays.
    from alembic.config import Config

    from alembic import command

    config = Config()
    config.set_main_option("script_location", str(scripts()).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def scripts() -> Path:
    """Return the folder of the migrations: within the installed package, else at the top of the source tree."""
    packaged = Path(__file__).with_name("migrations")
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[2] / "alembic"


def _revision(path: Path) -> str | None:
    connection = sqlite3.connect(path, timeout=5.0)
    try:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        is_ours = "alembic_version" in tables
        rows = connection.execute("SELECT version_num FROM alembic_version").fetchall() if is_ours else []
    finally:
        connection.close()
    if tables and len(rows) != 1:
        raise StorageUnavailable(
            "The file is a database of something else, or half made. Name another file, or remove this one."
        )
    return str(rows[0][0]) if rows else None


def _prepare(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # transactions are begun by the event below, so that DDL is part of them
    # A file learns before its first table whether it can become smaller one day.
    connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
    configure(connection)
