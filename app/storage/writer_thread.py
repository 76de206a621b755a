"""The thread that writes groups, one after the other."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import NamedTuple, TypeAlias

from app.storage.group import probe, write_group
from app.storage.sqlite import explain, is_transient
from graphwire.engine.ports import Batch
from graphwire.errors import StorageUnavailable

JOIN_S = 5.0

Group: TypeAlias = Sequence[Batch]


class Attempt(NamedTuple):
    """What became of a group.

    Attributes:
        unavailable: Why the database takes nothing at the moment.
        errors: Per batch, None when it is stored.
    """

    unavailable: Exception | None
    errors: Sequence[Exception | None]


class WriterThread:
    """Writes one group at a time on a connection of its own."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._groups: SimpleQueue[Group | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    async def start(self, loop: asyncio.AbstractEventLoop, finished: Callable[[Attempt], None]) -> None:
        """Open the connection. ``finished`` is called on the loop, once for each ``put`` and ``probe``.

        Raises:
            StorageUnavailable: It cannot be opened.
        """
        opened: asyncio.Future[None] = loop.create_future()
        self._thread = threading.Thread(target=self._run, args=(loop, opened, finished), name="graphwire-writer")
        self._thread.daemon = True  # a disk that hangs must not keep a process from ending
        self._thread.start()
        await opened

    def put(self, group: Group) -> None:
        """Write a group; all or nothing of each batch. An empty one finds out whether the database takes writes."""
        self._groups.put(group)

    async def stop(self) -> None:
        """Finish the group at hand and close the connection."""
        if self._thread is not None:
            self._groups.put(None)
            await asyncio.to_thread(self._thread.join, JOIN_S)
            self._thread = None

    def _run(
        self, loop: asyncio.AbstractEventLoop, opened: asyncio.Future[None], finished: Callable[[Attempt], None]
    ) -> None:
        try:
            connection = self._connect()
        except sqlite3.Error as error:
            loop.call_soon_threadsafe(_fail, opened, StorageUnavailable(explain(error)))
            return
        loop.call_soon_threadsafe(_succeed, opened)
        try:
            while (group := self._groups.get()) is not None:
                loop.call_soon_threadsafe(finished, _attempt(connection, group))
        finally:
            connection.close()


def _attempt(connection: sqlite3.Connection, group: Group) -> Attempt:
    error = _try(connection, group)
    if error is None:
        return Attempt(None, [None] * len(group))
    if is_transient(error):
        return Attempt(error, [error] * len(group))
    return Attempt(None, [error]) if len(group) == 1 else _one_by_one(connection, group)


def _one_by_one(connection: sqlite3.Connection, group: Group) -> Attempt:
    errors: list[Exception | None] = []
    for batch in group:
        error = _try(connection, [batch])
        errors.append(error)
        if error is not None and is_transient(error):
            return Attempt(error, errors + [error] * (len(group) - len(errors)))
    return Attempt(None, errors)


def _try(connection: sqlite3.Connection, group: Group) -> Exception | None:
    try:
        if group:
            write_group(connection, group)
        else:
            probe(connection)
    except Exception as error:  # border: nothing that a caller does may end the writer
        return error
    return None


def _succeed(opened: asyncio.Future[None]) -> None:
    if not opened.done():
        opened.set_result(None)


def _fail(opened: asyncio.Future[None], error: StorageUnavailable) -> None:
    if not opened.done():
        opened.set_exception(error)
