"""The bound on what a process holds in memory because it is still to be stored."""

from collections.abc import Callable
from typing import Final, TypeAlias

Callback: TypeAlias = Callable[[], None]

MAX_UNSTORED_BYTES: Final = 64 * 1024 * 1024


class Room:
    """The bytes that events still to be stored may hold, shared by the hubs of a process."""

    __slots__ = ("_waiting", "limit_bytes", "used_bytes")

    def __init__(self, limit_bytes: int = MAX_UNSTORED_BYTES) -> None:
        self.limit_bytes = limit_bytes
        self.used_bytes = 0
        self._waiting: dict[Callback, None] = {}

    def release(self, size: int) -> None:
        """Give bytes back, and wake who waits for them."""
        self.used_bytes -= size
        if self._waiting and self.used_bytes < self.limit_bytes:
            waiting, self._waiting = self._waiting, {}
            for callback in waiting:
                callback()

    def wait(self, callback: Callback) -> None:
        """Call once when bytes were given back and the limit is not reached."""
        self._waiting[callback] = None
