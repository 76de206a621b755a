"""Which database a URL means."""

from app.storage.database import Database
from app.storage.sqlite_database import SqliteDatabase, path_of
from graphwire.errors import StorageUnavailable


def open_database(url: str) -> Database:
    """Return the database of a URL; it opens with ``async with``.

    Args:
        url: ``sqlite:///relative.db`` or ``sqlite:////absolute.db``.

    Raises:
        StorageUnavailable: The URL is of another kind.
    """
    path = path_of(url)
    if path is None:
        # The URL itself may hold a password.
        raise StorageUnavailable("The database URL is not of the form sqlite:///path/to/file.db.")
    return SqliteDatabase(path)
