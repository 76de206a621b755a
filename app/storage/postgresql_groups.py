"""The task that writes groups to PostgreSQL, one after the other."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from enum import Enum, auto
from typing import TypeAlias

from app.storage.groups import ENDED, Attempt, Failure, Group
from app.storage.postgresql import Connection, explain, is_cut, is_transient
from app.storage.postgresql_group import (
    OutcomeUnknown,
    Overtaken,
    is_running,
    is_stored,
    probe,
    require_newest,
    write_group,
)
from graphwire.engine.ports import Batch

FIRST_WAIT_S = 0.05
LAST_WAIT_S = 1.0
SLOW_S = 15.0
"""A group that takes longer makes others wait for no good: they are told why."""
STOP_S = 5.0

log = logging.getLogger(__name__)

Writing: TypeAlias = Callable[[], AbstractAsyncContextManager[Connection]]
WhenLost: TypeAlias = Callable[[Callable[[], None] | None], None]


class _Word(Enum):
    LOOK = auto()
    END = auto()


class PostgresqlGroups:
    """``Groups`` on PostgreSQL. A lost connection is replaced once before a group fails.

    A group whose commit may have happened is looked up until it is known whether it did. Nothing can be under way any
    more by then: the connection that looks holds the lock, which the lost one had until its end.

    Args:
        writing: Lends the connection that holds the server's lock.
        when_lost: Takes what is to be called when that connection is lost.
    """

    def __init__(self, writing: Writing, when_lost: WhenLost) -> None:
        self._writing = writing
        self._when_lost = when_lost
        self._todo: asyncio.Queue[Group | _Word] = asyncio.Queue()
        self._troubled: Callable[[str], None] = _ignore
        self._is_in_doubt = self._was_lost = False
        self._task: asyncio.Task[None] | None = None

    async def start(self, finished: Callable[[Attempt], None], troubled: Callable[[str], None]) -> None:
        """See ``groups.Groups``."""
        self._troubled = troubled
        self._task = asyncio.create_task(self._run(finished), name="graphwire-writer")
        # Without this, a lock that nobody missed would be free until the next group.
        self._when_lost(self._lost)

    def put(self, group: Group) -> None:
        """See ``groups.Groups``."""
        self._todo.put_nowait(group)

    async def stop(self) -> None:
        """See ``groups.Groups``."""
        self._when_lost(None)
        if self._task is None:
            return
        self._todo.put_nowait(_Word.END)
        # A group in doubt has had its time; the next start finds out what became of it.
        _, slow = await asyncio.wait([self._task], timeout=0 if self._is_in_doubt else STOP_S)
        for task in slow:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        self._task = None

    async def _run(self, finished: Callable[[Attempt], None]) -> None:
        while (todo := await self._todo.get()) is not _Word.END:
            if todo is _Word.LOOK:
                await self._look()
            else:
                finished(await self._attempt(todo))

    def _lost(self) -> None:
        self._was_lost = True
        self._todo.put_nowait(_Word.LOOK)

    async def _look(self) -> None:
        """Have the lock again, if it was lost."""
        try:
            async with self._writing():
                pass
        except Exception as error:  # border: whatever it is, the next group meets it again
            self._troubled(explain(error))

    async def _attempt(self, group: Group) -> Attempt:
        slow = "The database cannot be used: it takes too long to answer."
        alarm = asyncio.get_running_loop().call_later(SLOW_S, self._troubled, slow)
        try:
            error = await self._store(group)
            if error is None:
                return Attempt(None, [None] * len(group))
            if is_transient(error):
                return Attempt(explain(error), [_failure(error)] * len(group))
            return await self._one_by_one(group, error if len(group) == 1 else None)
        finally:
            alarm.cancel()

    async def _one_by_one(self, group: Group, known: Exception | None) -> Attempt:
        """Find out which batches are at fault. ``known`` is what was raised where there is only one."""
        failures: list[Failure | None] = []
        for batch in group:
            error = known or await self._store([batch])
            if error is None:
                failures.append(None)
            elif is_transient(error):
                return Attempt(explain(error), failures + [_failure(error)] * (len(group) - len(failures)))
            else:
                is_lost = isinstance(error, Overtaken) or await self._has_ended(batch)
                failures.append(Failure(ENDED, is_final=True) if is_lost else _failure(error))
        return Attempt(None, failures)

    async def _has_ended(self, batch: Batch) -> bool:
        """Say whether a batch is refused because another server, which had the lock meanwhile, ended its execution."""
        if batch.start is not None:
            return False
        try:
            async with self._writing() as connection:
                return not await is_running(connection, batch.execution_id)
        except Exception:  # border: not known, so the batch is tried again, and this with it
            return False

    async def _store(self, group: Group) -> Exception | None:
        """Write a group; where the connection is lost, once more on a new one."""
        error = await self._try(group)
        if isinstance(error, OutcomeUnknown):
            if await self._was_stored(group, error):
                return None
        elif error is None or not is_cut(error):
            return error
        self._was_lost = True
        error = await self._try(group)
        if isinstance(error, OutcomeUnknown):
            return None if await self._was_stored(group, error) else error.cause
        return error

    async def _try(self, group: Group) -> Exception | None:
        try:
            async with self._writing() as connection:
                if self._was_lost:  # another server may have had the lock meanwhile
                    await require_newest(connection, group)
                if group:
                    await write_group(connection, group)
                else:
                    await probe(connection)
        except Exception as error:  # border: nothing that a caller does may end the writer
            return error
        return None

    async def _was_stored(self, group: Group, unknown: OutcomeUnknown) -> bool:
        """Find out, however long the database is away. Who waits for the group is not told what may be wrong."""
        log.warning("whether a group was stored is looked up: %s", explain(unknown.cause))
        wait_s = FIRST_WAIT_S
        self._is_in_doubt = True
        try:
            while True:
                try:
                    async with self._writing() as connection:
                        return await is_stored(connection, group)
                except Exception as error:  # border: as long as it is not known, it is asked again
                    self._troubled(explain(error))
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, LAST_WAIT_S)
        finally:
            self._is_in_doubt = False


def _failure(error: Exception) -> Failure:
    return Failure(explain(error), None if is_transient(error) else error)


def _ignore(_: str) -> None:
    """Nobody listens yet."""
