"""Bringing a schema of PostgreSQL to what this version knows."""

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from app.storage.migration import is_present, require_may_change, upgrade
from app.storage.postgresql import explain
from graphwire.errors import StorageUnavailable

# Not those that an extension brought.
_TABLES = """
SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')
    AND NOT EXISTS (SELECT 1 FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid
        AND deptype = 'e')
"""


def migrate(connection: Connection, *, may_change: bool = True) -> None:
    """Bring the schema of a connection up to date, within its transaction; an empty one gets all tables.

    Whoever calls holds the server's lock, so that nobody else migrates.

    Raises:
        StorageUnavailable: The schema is not ours, was written by a newer version, or is not up to date and may not
            be changed.
    """
    tables = set(connection.execute(text(_TABLES)).scalars())
    is_ours = "alembic_version" in tables
    revisions = connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all() if is_ours else []
    if tables and len(revisions) != 1:
        raise StorageUnavailable(
            "The database holds tables of something else. Name an empty database, or an empty schema of this one"
            " (?search_path=…)."
        )
    revision = revisions[0] if revisions else None
    if not is_present(revision):
        require_may_change(revision, may_change=may_change)
        try:
            upgrade(connection)
        except DBAPIError as error:
            raise StorageUnavailable(f"The migration of the database was undone. {explain(error)}") from error
