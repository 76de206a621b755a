"""One server at a time on a schema of PostgreSQL: a lock that lives and dies with a connection."""

import os
import platform
from hashlib import sha256
from uuid import uuid4

import asyncpg

from app.storage.postgresql import Connection
from graphwire.errors import StorageUnavailable

WAIT_S = 2.0
"""For a server that is just ending."""

_HOLDER = """
SELECT pid, application_name FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND classid::bigint = $1 AND objid::bigint = $2
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


class ServerLock:
    """The right to be the server of a schema. ``acquire`` gives it to a connection, whose end takes it away."""

    def __init__(self) -> None:
        self._server = f"process {os.getpid()} on {platform.node()}"[:44]
        # Whatever has this name was opened by this object. PostgreSQL keeps 63 bytes.
        self.name = f"{self._server} {uuid4().hex[:16]}"
        self._was_held = False

    async def acquire(self, connection: Connection) -> None:
        """Take the lock, on every connection anew. One that an own earlier connection still has is taken from it.

        Raises:
            StorageUnavailable: Another server has it, and is named; or there is no schema.
        """
        schema = await connection.fetchval("SELECT current_schema()")
        if schema is None:
            raise StorageUnavailable("The schema that the database URL names does not exist. Make it first.")
        key = int.from_bytes(sha256(f"graphwire server of {schema}".encode()).digest()[:8], signed=True)
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", key):
            await self._wait(connection, key)
        self._was_held = True

    async def _wait(self, connection: Connection, key: int) -> None:
        parts = (key >> 32) & 0xFFFF_FFFF, key & 0xFFFF_FFFF
        for pid, name in await connection.fetch(_HOLDER, *parts):
            if name == self.name:  # a connection that was lost, which its end has not heard of
                await connection.execute("SELECT pg_terminate_backend($1)", pid)
        await connection.execute(f"SET lock_timeout = {WAIT_S * 1000:.0f}")
        try:
            await connection.execute("SELECT pg_advisory_lock($1)", key)
        except asyncpg.LockNotAvailableError:
            raise StorageUnavailable(self._refusal(await connection.fetchrow(_HOLDER, *parts))) from None
        await connection.execute("SET lock_timeout = 0")

    def _refusal(self, holder: tuple[int, str | None] | None) -> str:
        server = ((holder and holder[1]) or "").rpartition(" ")[0] or "another server"
        if self._was_held:
            return (
                f"The database is in use by {server}, which took it while the connection was lost. Stop one of the two."
            )
        return f"The database is in use by {server}. Stop that server, or give this one a database of its own."
