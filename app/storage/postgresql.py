"""Connections to PostgreSQL, and its errors as sentences."""

from typing import Any, TypeAlias

import asyncpg
from sqlalchemy.exc import DBAPIError, TimeoutError as PoolTimeoutError

from graphwire.errors import StorageUnavailable

CONNECT_S = 10.0

Connection: TypeAlias = Any
"""``asyncpg.Connection``, which has no types."""

# A network that swallows everything would keep a dead server's lock: 25 s then, instead of hours. What a commit waits
# for may be made safer by the operator, never less safe.
_PREPARE = """
SELECT set_config('jit', 'off', false), set_config('tcp_keepalives_idle', '10', false),
    set_config('tcp_keepalives_interval', '5', false), set_config('tcp_keepalives_count', '3', false),
    CASE WHEN current_setting('synchronous_commit') = 'off' THEN set_config('synchronous_commit', 'on', false) END
"""

_NO_ANSWER = "it does not answer"
_SENTENCES = {
    "08": _NO_ANSWER,
    "25006": "it is read-only",
    "28": "it refuses the user or the password",
    "3D": "it has no database of that name",
    "3F": "it has no schema of that name",
    "40": "another transaction is in the way",
    "42501": "access to its tables is denied",
    "42P01": "a table is missing",
    "53": "it is short of something",
    "53100": "there is no room left",
    "53200": "it is short of memory",
    "53300": "it has too many connections",
    "55P03": "another program holds a lock on it",
    "57": "it stops or starts",
    "57014": "it takes too long to answer",
    "58": "reading or writing its files failed",
    "XX": "it failed",
    "XX001": "its files are damaged",
    "XX002": "its files are damaged",
}
# Of the rows that were given, however often they are.
_NEVER = frozenset({"21", "22", "23", "54"})
_CUT = frozenset({"08", "57"})


async def connect(url: str, *, name: str, command_timeout_s: float | None) -> Connection:
    """Open a connection, in autocommit mode, whose commits are forced to disk.

    Args:
        url: ``postgresql://…``; what its query adds beyond asyncpg's own options are settings of the session.
        name: As which others see it.
        command_timeout_s: After which a command fails.

    Raises:
        StorageUnavailable: The URL cannot be read.
        Exception: As ``explain`` knows them.
    """
    try:
        connection = await asyncpg.connect(
            url, timeout=CONNECT_S, command_timeout=command_timeout_s, server_settings={"application_name": name}
        )
    except (ValueError, asyncpg.InternalClientError):
        # Neither the URL nor what was raised is shown: both may hold the password.
        raise StorageUnavailable(
            "The database URL is not of the form postgresql://user:password@host:port/database."
        ) from None
    try:
        await connection.execute(_PREPARE)
    except BaseException:
        connection.terminate()
        raise
    return connection


def cause_of(error: BaseException) -> BaseException:
    """Return what the driver raised, where SQLAlchemy has wrapped it."""
    inner = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    while not isinstance(inner, asyncpg.PostgresError | asyncpg.InterfaceError | OSError):
        if inner.__cause__ is None:
            return inner
        inner = inner.__cause__
    return inner


def is_transient(error: BaseException) -> bool:
    """Say whether the same may succeed later: the database failed, not what it was given."""
    error = cause_of(error)
    if isinstance(error, asyncpg.PostgresError):
        return _state(error)[:2] not in _NEVER
    if isinstance(error, asyncpg.InterfaceError):
        return not isinstance(error, ValueError)
    return isinstance(error, OSError | PoolTimeoutError | StorageUnavailable)  # TimeoutError is an OSError


def is_cut(error: BaseException) -> bool:
    """Say whether the connection is lost, or what came of the command is not known."""
    error = cause_of(error)
    if isinstance(error, asyncpg.PostgresError):
        return _state(error)[:2] in _CUT
    return isinstance(error, OSError) or (isinstance(error, asyncpg.InterfaceError) and is_transient(error))


def is_damage(error: BaseException) -> bool:
    """Say whether what is stored cannot be read any more, now or later."""
    error = cause_of(error)
    return isinstance(error, asyncpg.PostgresError) and _state(error) in ("XX001", "XX002")


def explain(error: BaseException) -> str:
    """Say in a sentence why the database did not do its work. Names no address, no value and no SQL."""
    error = cause_of(error)
    if isinstance(error, StorageUnavailable):
        return error.detail
    if isinstance(error, PoolTimeoutError):
        return "The database cannot be used: too many readers wait for it."
    if isinstance(error, TimeoutError):
        return "The database cannot be used: it takes too long to answer."
    if isinstance(error, OSError | asyncpg.InterfaceError):
        return f"The database cannot be used: {_NO_ANSWER} ({type(error).__name__})."
    if not isinstance(error, asyncpg.PostgresError):
        return f"It cannot be stored ({type(error).__name__})."
    state = _state(error)
    reason = _SENTENCES.get(state) or _SENTENCES.get(state[:2])
    if reason is None:
        return f"The database failed ({state})."
    return f"The database cannot be used: {reason} ({state})."


def _state(error: Any) -> str:
    return error.sqlstate or "XX000"
