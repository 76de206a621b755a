"""The thread that writes groups, one after the other."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from queue import SimpleQueue

from app.storage.groups import Attempt, Failure, Group
from app.storage.sqlite import explain, is_transient
from app.storage.sqlite_group import probe, write_group
from app.storage.write_order import WriteOrder
from graphwire.errors import StorageUnavailable

JOIN_S = 5.0


class WriterThread:
    """``Groups`` on SQLite, with a connection of its own.

    Args:
        connect: Opens the connection, in autocommit mode; called in the thread.
        order: Shared with whoever else of this process writes to the file.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection], order: WriteOrder | None = None) -> None:
        self._connect = connect
        self._order = order or WriteOrder()
        self._groups: SimpleQueue[Group | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    async def start(self, finished: Callable[[Attempt], None], troubled: Callable[[str], None]) -> None:
        """See ``groups.Groups``."""
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[None] = loop.create_future()
        self._thread = threading.Thread(target=self._run, args=(loop, opened, finished), name="graphwire-writer")
        self._thread.daemon = True  # a disk that hangs must not keep a process from ending
        self._thread.start()
        await opened

    def put(self, group: Group) -> None:
        """See ``groups.Groups``."""
        self._groups.put(group)

    async def stop(self) -> None:
        """See ``groups.Groups``."""
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
                with self._order.turn_of_thread():
                    attempt = _attempt(connection, group)
                loop.call_soon_threadsafe(finished, attempt)
        finally:
            connection.close()


def _attempt(connection: sqlite3.Connection, group: Group) -> Attempt:
    error = _try(connection, group)
    if error is None:
        return Attempt(None, [None] * len(group))
    if is_transient(error):
        return Attempt(explain(error), [_failure(error)] * len(group))
    return Attempt(None, [_failure(error)]) if len(group) == 1 else _one_by_one(connection, group)


def _one_by_one(connection: sqlite3.Connection, group: Group) -> Attempt:
    failures: list[Failure | None] = []
    for batch in group:
        error = _try(connection, [batch])
        failures.append(None if error is None else _failure(error))
        if error is not None and is_transient(error):
            return Attempt(explain(error), failures + [_failure(error)] * (len(group) - len(failures)))
    return Attempt(None, failures)


def _failure(error: Exception) -> Failure:
    return Failure(explain(error), None if is_transient(error) else error)


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
