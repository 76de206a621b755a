"""Which database a URL means."""

from app.storage.database import Database
from app.storage.sqlite_database import SqliteDatabase, path_of
from graphwire.errors import StorageUnavailable

_POSTGRESQL = frozenset({"postgresql", "postgres", "postgresql+asyncpg"})


def open_database(url: str, *, migrates: bool = True) -> Database:
    """Return the database of a URL; it opens with ``async with``.

    Args:
        url: ``sqlite:///relative.db`` or ``sqlite:////absolute.db``, or
            ``postgresql://user:password@host:port/database``, where ``?search_path=name`` chooses a schema.
        migrates: Whether opening brings a schema up to date; else one that is not is refused.

    Raises:
        StorageUnavailable: The URL is of another kind, or the driver for it is not installed.
    """
    scheme, separator, rest = url.partition("://")
    if separator and scheme.lower() in _POSTGRESQL:
        try:
            # An extra: who uses SQLite has no need of it.
            from app.storage.postgresql_database import PostgresqlDatabase
        except ModuleNotFoundError as error:
            if error.name != "asyncpg":
                raise
            raise StorageUnavailable(
                "The driver for PostgreSQL is not installed. Install it with: pip install 'graphwire[postgresql]'"
            ) from None
        return PostgresqlDatabase(f"postgresql://{rest}", migrates=migrates)
    path = path_of(url)
    if path is None:
        # The URL itself may hold a password.
        raise StorageUnavailable(
            "The database URL is neither of the form sqlite:///path/to/file.db"
            " nor postgresql://user:password@host:port/database."
        )
    return SqliteDatabase(path, migrates=migrates)
