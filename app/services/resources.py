"""Memory and room on the disk: measured now and then, and told when they run short."""

import asyncio
import logging
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from app.services.announcements import Announce
from graphwire.events.service_types import SystemResourceWarning

log = logging.getLogger(__name__)

MARGIN = 0.05
"""Of a limit: what runs short is enough again only so far from it, so that nobody is told again and again."""
SHARE = 0.9
"""Of the memory that there is: the limit where none is set."""

_STATM = Path("/proc/self/statm")
_OWN_GROUP = Path("/proc/self/cgroup")
_GROUPS = Path("/sys/fs/cgroup")


@dataclass(slots=True)
class Gauge:
    """One resource with its limit.

    Attributes:
        measure: Returns bytes: memory in use, or free room on the disk. May take long; called in a thread.
        is_short: What was told last.
    """

    resource: Literal["memory", "disk"]
    limit_bytes: int
    measure: Callable[[], int]
    is_short: bool = False

    def judge(self, value_bytes: int) -> SystemResourceWarning | None:
        """Return what is to be told of a measurement; None where it changes nothing."""
        # More memory in use is worse, less free room is.
        over = value_bytes / self.limit_bytes - 1 if self.resource == "memory" else 1 - value_bytes / self.limit_bytes
        is_short = over > -MARGIN if self.is_short else over >= 0
        if is_short == self.is_short:
            return None
        self.is_short = is_short
        return SystemResourceWarning(
            resource=self.resource, is_short=is_short, value_bytes=value_bytes, limit_bytes=self.limit_bytes
        )


class Resources:
    """Looks at gauges again and again, from its start to its end.

    Args:
        every_s: How long to rest between two looks.
    """

    def __init__(self, gauges: Sequence[Gauge], announce: Announce, *, every_s: float) -> None:
        self._gauges = gauges
        self._announce = announce
        self._every_s = every_s
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.get_running_loop().create_task(self._run(), name="resources")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._task is not None
        self._stopping.set()
        _, late = await asyncio.wait([self._task], timeout=1.0)
        for task in late:  # a disk that hangs
            task.cancel()
            await asyncio.wait([task])

    async def look(self) -> None:
        """Measure once, and tell what has changed."""
        for gauge in self._gauges:
            try:
                value_bytes = await asyncio.to_thread(gauge.measure)
            except OSError as error:
                log.debug("%s cannot be measured: %s", gauge.resource, error)
                continue
            warning = gauge.judge(value_bytes)
            if warning is not None:
                said = "runs short" if warning.is_short else "is enough again"
                log.warning("%s %s: %d bytes, limit %d", gauge.resource, said, value_bytes, gauge.limit_bytes)
                self._announce(warning)

    async def _run(self) -> None:
        while not self._stopping.is_set():
            await self.look()
            try:
                async with asyncio.timeout(self._every_s):
                    await self._stopping.wait()
            except TimeoutError:
                continue


def gauges(*, memory_bytes: int, disk_bytes: int, folder: Path | None) -> list[Gauge]:
    """Return what can be measured here.

    Args:
        memory_bytes: Most memory; 0 is ``SHARE`` of what there is.
        disk_bytes: Least free room; 0 is no limit.
        folder: Where room is needed; None where the service stores nothing itself.
    """
    found = []
    limit_bytes = memory_bytes or int(SHARE * memory_limit())
    if _STATM.exists() and limit_bytes:
        found.append(Gauge("memory", limit_bytes, memory_in_use))
    if disk_bytes and folder is not None:
        found.append(Gauge("disk", disk_bytes, lambda: shutil.disk_usage(folder).free))
    return found


def memory_in_use() -> int:
    """Return the resident memory of this process, in bytes. Only Linux says it."""
    return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def memory_limit() -> int:
    """Return how much memory the container, else the machine, has, in bytes; 0 where that cannot be found out."""
    try:
        limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    except (AttributeError, OSError, ValueError):
        return 0
    for path in _group_files():
        try:
            limits.append(int(path.read_text()))
        except (OSError, ValueError):  # it is not there, or says "max"
            continue
    return min(limits)


def _group_files() -> list[Path]:
    own = ""
    try:
        own = next((line[4:] for line in _OWN_GROUP.read_text().splitlines() if line.startswith("0::/")), "")
    except OSError:
        pass
    return [_GROUPS / "memory.max", _GROUPS / own / "memory.max", _GROUPS / "memory" / "memory.limit_in_bytes"]
