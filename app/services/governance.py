"""Lets nodes begin only as fast as the machine can bear."""

import asyncio
import os
from datetime import datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from graphwire.clock import Clock, utc
from graphwire.engine.policies.governor import Governor, Lease, Options, Waiter
from graphwire.types import Priority

MEASURE_S = 1.0
_STAT = Path("/proc/stat")
_MEMORY = Path("/proc/meminfo")


class GovernanceStatus(NamedTuple):
    """What is to be known of it; see ``Governor``."""

    rate: float
    tokens: float
    burst: float
    held: int
    waiting: dict[Priority, int]
    cpu_percent: float | None
    memory_mb: float | None
    exhausted: int
    exhausted_at: datetime | None


class Governance:
    """The permits of a service; fulfils ``permitting.Permits``. Entered, it measures the machine again and again."""

    def __init__(self, options: Options, clock: Clock) -> None:
        self._clock = clock
        self._now_ns = clock.mono_ns
        self._governor = Governor(options, self._now_s())
        self._load = Load()
        self._timer: asyncio.TimerHandle | None = None
        self._measuring: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        self._measure()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for timer in (self._timer, self._measuring):
            if timer is not None:
                timer.cancel()

    @property
    def governor(self) -> Governor:
        """What decides; read it."""
        return self._governor

    def take(self, cost: float, priority: Priority) -> Lease | None:
        """See ``Permits``."""
        return self._governor.take(cost, priority, self._now_s())

    def wait(self, cost: float, priority: Priority) -> "asyncio.Future[Lease | None]":
        """See ``Permits``."""
        given: asyncio.Future[Lease | None] = asyncio.get_running_loop().create_future()
        waiter = self._governor.wait(cost, priority, self._now_s(), partial(_tell, given))
        given.add_done_callback(partial(self._over, waiter))
        self.serve()
        return given

    def serve(self) -> None:
        """Tell those whose turn it is."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        wait_s = self._governor.serve(self._now_s())
        if wait_s is not None:
            self._timer = asyncio.get_running_loop().call_later(min(wait_s, MEASURE_S), self.serve)

    def status(self) -> GovernanceStatus:
        """Return what is to be known of it."""
        governor, now_s = self._governor, self._now_s()
        at = governor.exhausted_s
        ago_ns = 0 if at is None else int((now_s - at) * 1e9)
        return GovernanceStatus(
            rate=round(governor.rate, 3),
            tokens=round(governor.tokens(now_s), 3),
            burst=governor.options.burst,
            held=governor.held,
            waiting=governor.counts(),
            cpu_percent=governor.cpu_percent,
            memory_mb=governor.memory_mb,
            exhausted=governor.exhausted,
            exhausted_at=None if at is None else utc(self._clock.wall_ns() - ago_ns),
        )

    def _over(self, waiter: Waiter, given: "asyncio.Future[Lease | None]") -> None:
        if given.cancelled():
            self._governor.cancel(waiter)

    def _measure(self) -> None:
        self._governor.measured(self._load.cpu_percent(), free_memory_mb(), self._now_s())
        self.serve()
        self._measuring = asyncio.get_running_loop().call_later(MEASURE_S, self._measure)

    def _now_s(self) -> float:
        return self._now_ns() / 1e9


class Load:
    """How busy the machine's processors were between two looks. Only Linux says it."""

    def __init__(self) -> None:
        self._before: tuple[int, int] | None = None

    def cpu_percent(self) -> float | None:
        """Return it since the last call; None at the first one, and where it cannot be found out."""
        try:
            times = [int(part) for part in _STAT.read_text().split("\n", 1)[0].split()[1:9]]
        except (OSError, ValueError):
            return None
        idle, total = times[3] + times[4], sum(times)
        before, self._before = self._before, (idle, total)
        if before is None or total <= before[1]:
            return None
        return round(100 * (1 - (idle - before[0]) / (total - before[1])), 1)


def free_memory_mb() -> float | None:
    """Return how much memory programs can still have, in MiB; None where that cannot be found out."""
    try:
        line = next(line for line in _MEMORY.read_text().splitlines() if line.startswith("MemAvailable:"))
        return round(int(line.split()[1]) / 1024, 1)
    except (OSError, ValueError, StopIteration):
        pass
    try:
        return round(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1024**2, 1)
    except (AttributeError, OSError, ValueError):
        return None


def _tell(given: "asyncio.Future[Lease | None]", lease: Lease | None) -> None:
    if not given.done():
        given.set_result(lease)
    elif lease is not None:
        lease.give_back()
