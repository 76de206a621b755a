"""An event loop whose time passes only while nothing can be done: an hour of waiting takes no time.

The order of everything follows from what is run, so that a run is repeated exactly by its seed.
"""

import asyncio
import selectors
from collections.abc import Callable
from typing import Any

MAX_S = 10 * 86_400.0
"""No execution of the simulation takes so long, whatever befalls it."""


class Stuck(BaseException):
    """Nothing is ready, no timer runs, and somebody waits; or there are only timers that begin again and again.

    No ``Exception``: it has to come through whatever catches those.
    """


class _Instant(selectors.SelectSelector):
    """Instead of waiting it tells how long it would have waited."""

    def __init__(self, passed: Callable[[float], None]) -> None:
        super().__init__()
        self._passed = passed

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Stuck
        if timeout > 0:
            self._passed(timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop without sockets and threads.

    Attributes:
        now_s: What its clock shows.
    """

    def __init__(self) -> None:
        self.now_s = 0.0
        self._ends_s = MAX_S
        super().__init__(_Instant(self._pass))
        self.set_exception_handler(_fail)

    def begin_anew(self) -> None:
        """What is run next has ``MAX_S`` until its end."""
        self._ends_s = self.now_s + MAX_S

    def time(self) -> float:
        return self.now_s

    def _pass(self, seconds: float) -> None:
        self.now_s += seconds
        if self.now_s > self._ends_s:
            raise Stuck(f"it has not ended after {MAX_S / 86_400:.0f} days")


class VirtualClock:
    """The clocks of a process that runs on such a loop.

    Args:
        wall_ns: What its wall clock shows at the loop's zero.
        mono_ns: The same for the clock that never goes back.
    """

    def __init__(self, loop: VirtualLoop, *, wall_ns: int, mono_ns: int) -> None:
        self._loop = loop
        self._wall_ns = wall_ns
        self._mono_ns = mono_ns

    def wall_ns(self) -> int:
        return self._wall_ns + round(self._loop.now_s * 1e9)

    def mono_ns(self) -> int:
        return self._mono_ns + round(self._loop.now_s * 1e9)


def _fail(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    raise AssertionError(f"{context['message']}: {context.get('exception')!r}")
