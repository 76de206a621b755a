"""Connections to SQLite, and its errors as sentences."""

import sqlite3
from pathlib import Path

BUSY_TIMEOUT_S = 0.5

_SENTENCES = {
    "SQLITE_BUSY": "another program holds a lock on it",
    "SQLITE_LOCKED": "another program holds a lock on it",
    "SQLITE_FULL": "there is no room left",
    "SQLITE_READONLY": "it is read-only",
    "SQLITE_IOERR": "reading or writing its file failed",
    "SQLITE_CANTOPEN": "its file cannot be opened",
    "SQLITE_CORRUPT": "its file is damaged",
    "SQLITE_NOTADB": "its file is damaged or not a database",
    "SQLITE_PERM": "access to its file is denied",
}


def connect(path: Path, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> sqlite3.Connection:
    """Open a connection in autocommit mode, with a write-ahead log that every commit forces to disk.

    It may be used by any one thread at a time.

    Raises:
        sqlite3.OperationalError: The file cannot be opened or written.
    """
    connection = sqlite3.connect(
        path, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    try:
        configure(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def configure(connection: sqlite3.Connection) -> None:
    """Set what is not kept in the file."""
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA journal_size_limit=67108864")


def is_transient(error: BaseException) -> bool:
    """Say whether the same write may succeed later: the database failed, not what it was given."""
    return isinstance(error, sqlite3.DatabaseError) and not isinstance(
        error, sqlite3.IntegrityError | sqlite3.ProgrammingError | sqlite3.DataError | sqlite3.NotSupportedError
    )


def is_damage(error: BaseException) -> bool:
    """Say whether what is stored cannot be read any more, now or later."""
    return getattr(error, "sqlite_errorname", "").startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))


def explain(error: BaseException) -> str:
    """Say in a sentence why the database did not do its work. Names no path and no value."""
    name = getattr(error, "sqlite_errorname", None) or ""
    # Extended names (SQLITE_IOERR_FSYNC) begin with the primary one.
    primary = "_".join(name.split("_")[:2])
    reason = _SENTENCES.get(primary)
    if not isinstance(error, sqlite3.Error):
        return f"It cannot be stored ({type(error).__name__})."
    if reason is None:
        return f"The database failed ({name or type(error).__name__})."
    return f"The database cannot be used: {reason} ({name})."
