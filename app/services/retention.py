"""Deleting executions: at once when asked for, and in the background what is too old or too many.

So are the service's own events.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self, TypeVar

from app.services.errors import no_execution
from app.services.retention_policy import Limits, first_of, pause_s
from app.services.streams import StreamService
from app.storage.database import Database
from app.storage.repositories.executions import ExecutionRepository
from app.storage.repositories.idempotency import IdempotencyRepository
from app.storage.repositories.retention import RetentionRepository
from app.storage.repositories.service_events import ServiceEventRepository
from graphwire.clock import Clock, utc
from graphwire.engine.ports import ExecutionStore
from graphwire.engine.supervisor import Supervisor
from graphwire.errors import CommandNotAllowed, StorageUnavailable
from graphwire.types import ExecutionId

log = logging.getLogger(__name__)

EVERY_S = 60.0
STEP_ROWS = 100
STEP_BYTES = 1024 * 1024
STOP_S = 5.0

T = TypeVar("T")


class Retention:
    """Deletes executions. Entered, it also looks again and again for what is too old, and takes it away.

    What is deleted is not there any more from that moment on: its readers are told so and their streams end. The
    room that it took is freed afterwards, in steps that are short, leave most of the time to others, and wait while
    the database takes nothing.

    Args:
        limits: How much history is kept.
        keys_stand: How long an ``Idempotency-Key`` stands for what it made.
        every_s: How long to rest between two looks.
    """

    def __init__(
        self,
        database: Database,
        store: ExecutionStore,
        supervisor: Supervisor,
        streams: StreamService,
        clock: Clock,
        *,
        limits: Limits,
        keys_stand: timedelta,
        every_s: float = EVERY_S,
    ) -> None:
        self._database = database
        self._executions = ExecutionRepository(database)
        self._old = RetentionRepository(database)
        self._keys = IdempotencyRepository(database)
        self._told = ServiceEventRepository(database)
        self._store = store
        self._supervisor = supervisor
        self._streams = streams
        self._clock = clock
        self._limits = limits
        self._keys_stand = keys_stand
        self._every_s = every_s
        self._woken = asyncio.Event()
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.get_running_loop().create_task(self._run(), name="retention")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._task is not None
        self._stopping.set()
        self._woken.set()
        # The step that it is at is short; only a database that hangs is not waited for.
        _, late = await asyncio.wait([self._task], timeout=STOP_S)
        if late:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def delete(self, execution_id: ExecutionId) -> None:
        """Delete an execution that has ended. When it returns, nobody finds it any more.

        Raises:
            NotFound: There is none.
            CommandNotAllowed: It has not ended.
            StorageUnavailable: Not now.
        """
        runner = self._supervisor.get(execution_id)
        if runner is not None:
            detail = f"cannot delete: the execution is {runner.status}; cancel it first"
            raise CommandNotAllowed(detail, status=runner.status, allowed=["cancel"])
        if not await self._executions.delete(execution_id, now=self._now()):
            raise no_execution(execution_id)
        self._streams.end_deleted([execution_id])
        self._woken.set()

    async def sweep(self) -> None:
        """Delete all that is too old or too many now, and free the room of all that is deleted.

        Raises:
            StorageUnavailable: The database takes nothing at the moment; some is done.
        """
        await self._free()
        count = 0
        while ids := await self._step(self._mark):
            count += len(ids)
            await self._free()
        if count:
            log.info("deleted what was too old, or too many", extra={"executions": count})
        while await self._step(lambda: self._keys.forget(self._now(), STEP_ROWS)) == STEP_ROWS:
            continue
        while await self._step(self._forget_told) == STEP_ROWS:
            continue
        unnamed_since = self._now() - self._keys_stand  # until then a key may stand for a version
        while await self._step(lambda: self._old.forget_version(unnamed_since, rows=STEP_ROWS)):
            continue
        while await self._step(lambda: self._database.reclaim(STEP_BYTES)):
            continue

    async def _run(self) -> None:
        while not self._stopping.is_set():
            self._woken.clear()
            try:
                await self.sweep()
            except _Stopped:
                return
            except StorageUnavailable as error:
                log.info("what is too old is deleted later: %s", error)
            except Exception:  # border: the top of a background task
                log.exception("what is too old was not deleted")
            await _within(self._woken, self._every_s)

    async def _free(self) -> None:
        while await self._step(lambda: self._old.purge(rows=STEP_ROWS, max_bytes=STEP_BYTES)):
            continue

    async def _forget_told(self) -> int:
        age = self._limits.service_age
        before = None if age is None else self._now() - age
        return await self._told.forget(before=before, keep=self._limits.service_events, rows=STEP_ROWS)

    async def _mark(self) -> list[ExecutionId]:
        now = self._now()
        found = []
        before = self._limits.ended_before(now)
        if before is not None:
            found = list(await self._old.oldest_ended(STEP_ROWS, before=before))
        if not found and self._limits.executions is not None:
            excess = self._limits.excess(await self._old.count_ended())
            found = list(await self._old.oldest_ended(min(STEP_ROWS, excess))) if excess else []
        ids = first_of(found, STEP_BYTES)
        if ids:
            await self._old.mark(ids, now=now)
            self._streams.end_deleted(ids)
        return ids

    async def _step(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do a little, then let the others go on."""
        if self._store.unavailable is not None:
            raise StorageUnavailable(self._store.unavailable)
        loop = asyncio.get_running_loop()
        began = loop.time()
        done = await work()
        if await _within(self._stopping, pause_s(loop.time() - began)):
            raise _Stopped
        return done

    def _now(self) -> datetime:
        return utc(self._clock.wall_ns())


class _Stopped(Exception):
    """The service stops; the next one goes on."""


async def _within(event: asyncio.Event, timeout_s: float) -> bool:
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return False
    return True
