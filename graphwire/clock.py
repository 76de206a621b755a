"""Time as an argument: the engine never asks the system for it."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What the time is."""

    def wall_ns(self) -> int:
        """Nanoseconds since the Unix epoch. May jump."""
        ...

    def mono_ns(self) -> int:
        """Nanoseconds of a clock that never goes back. Its zero means nothing."""
        ...


def utc(wall_ns: int) -> datetime:
    """Return what a wall clock shows as a time."""
    return datetime.fromtimestamp(wall_ns / 1e9, UTC)


class SystemClock:
    """The machine's own clocks."""

    def __init__(self) -> None:
        self.wall_ns = time.time_ns
        self.mono_ns = time.monotonic_ns


class FakeClock:
    """A clock that moves only when it is told to.

    Attributes:
        now_ns: What both clocks show; set it or call ``advance``.
    """

    def __init__(self, now_ns: int = 1_700_000_000_000_000_000) -> None:
        self.now_ns = now_ns

    def wall_ns(self) -> int:
        return self.now_ns

    def mono_ns(self) -> int:
        return self.now_ns

    def advance(self, seconds: float) -> None:
        """Move both clocks forward."""
        self.now_ns += round(seconds * 1e9)
