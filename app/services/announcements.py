"""What parts of the service say to whoever follows it: stored in order, as soon as the database takes it."""

import asyncio
import logging
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Literal, Protocol, Self

from msgspec import UNSET, Raw
from msgspec.json import encode

from app.storage.repositories.service_events import ServiceEventRepository, Told
from graphwire.clock import Clock, utc
from graphwire.errors import StorageUnavailable
from graphwire.events.service_types import ServiceEventData, SystemDiagnostic, SystemShutdown, SystemStartup, cut
from graphwire.sinks.port import SinkTrouble

log = logging.getLogger(__name__)

MAX_WAITING = 1_000
RETRY_S = 1.0
STOP_S = 2.0
_MICROSECOND = timedelta(microseconds=1)


class Announce(Protocol):
    """Says something to whoever follows the service."""

    def __call__(self, data: ServiceEventData) -> None:
        """Announce an event of no graph and no execution. Returns at once, on the event loop; never raises.

        It is told when it is stored, with the time of this call.
        """
        ...


class Announcements:
    """Stores what is announced. Entered, it says that the service starts; left, that it has stopped.

    While the database takes nothing, up to ``MAX_WAITING`` announcements wait; of what comes beyond, the count is told.

    Args:
        version: Of the service.
    """

    def __init__(self, events: ServiceEventRepository, clock: Clock, *, version: str) -> None:
        self._events = events
        self._clock = clock
        self._version = version
        self._waiting: deque[Told] = deque()
        self._dropped = 0
        self._last = datetime.min.replace(tzinfo=UTC)
        self._woken = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Tell that the service starts.

        Raises:
            StorageUnavailable: It cannot be stored.
        """
        _, newest = await self._events.newest()
        previous: Literal["none", "stopped", "died"] = "died" if newest else "none"
        if newest == SystemShutdown.topic:
            previous = "stopped"
        await self._events.append([self._told(SystemStartup(version=self._version, previous=previous))])
        self._task = asyncio.get_running_loop().create_task(self._run(), name="announcements")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._task is not None
        self._tell_dropped()
        self._waiting.append(self._told(SystemShutdown()))
        self._stopping = True
        self._woken.set()
        _, late = await asyncio.wait([self._task], timeout=STOP_S)
        for task in late:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        if self._waiting:
            log.warning("%d announcements could not be stored", len(self._waiting))

    def announce(self, data: ServiceEventData) -> None:
        """See ``Announce``."""
        if len(self._waiting) >= MAX_WAITING:
            self._dropped += 1
            return
        self._waiting.append(self._told(data))
        self._woken.set()

    def storage_changed(self, reason: str | None) -> None:
        """Announce that nothing can be stored any more, with the reason, or that it can again."""
        if reason is None:
            self.announce(diagnostic("storage_available", "info", "The database takes what is to be stored again."))
        else:
            self.announce(diagnostic("storage_unavailable", "error", f"Nothing could be stored: {reason}"))

    def sink_troubled(self, trouble: SinkTrouble) -> None:
        """Announce a sink that fails, hangs, or lost something."""
        facts = encode({"sink": trouble.name, "count": trouble.count})
        severity: Literal["warning", "error"] = "error" if trouble.kind in ("lost", "switched_off") else "warning"
        self.announce(diagnostic(f"sink_{trouble.kind}", severity, f"{trouble.name}: {trouble.detail}", Raw(facts)))

    def _told(self, data: ServiceEventData) -> Told:
        # Strictly later than the one before: so an announcement is known again by its time.
        now = utc(self._clock.wall_ns())
        self._last = max(now, self._last + _MICROSECOND)
        return Told(data, self._last)

    async def _run(self) -> None:
        while not (self._stopping and not self._waiting):
            await self._woken.wait()
            self._woken.clear()
            while self._waiting:
                await self._store()

    async def _store(self) -> None:
        """Store what waits, however long the database takes nothing."""
        self._tell_dropped()
        batch = list(self._waiting)
        before: int | None = None
        is_repeated = False
        while True:
            try:
                if before is None:
                    before, _ = await self._events.newest()
                await self._events.append(batch, again_from=before if is_repeated else None)
                break
            except StorageUnavailable as error:
                log.info("an announcement is stored later: %s", error)
                is_repeated = before is not None
            except Exception:  # border: the top of a background task
                log.exception("an announcement is lost")
                break
            await self._rest()
        for _ in batch:
            self._waiting.popleft()

    def _tell_dropped(self) -> None:
        if self._dropped:
            facts = Raw(b'{"count":%d}' % self._dropped)
            message = "So many announcements were dropped while nothing could be stored."
            self._waiting.append(self._told(diagnostic("announcements_dropped", "warning", message, facts)))
            self._dropped = 0

    async def _rest(self) -> None:
        """Wait a little, or until there is more to say: that the database is back, perhaps."""
        with suppress(TimeoutError):
            async with asyncio.timeout(RETRY_S):
                await self._woken.wait()
        self._woken.clear()


def diagnostic(
    code: str, severity: Literal["info", "warning", "error"], message: str, facts: Raw | None = None
) -> SystemDiagnostic:
    """Return what the operator should know.

    Args:
        code: In snake case, for programs.
        severity: How bad it is.
        message: A sentence; a long one is cut.
        facts: A small JSON object.
    """
    return SystemDiagnostic(
        problem=code, severity=severity, message=cut(message), facts=UNSET if facts is None else facts
    )
