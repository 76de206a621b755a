"""The timers of one execution: sleeping attempts, time limits of those that hold no lane, and open interrupts."""

import asyncio
from collections.abc import Callable
from functools import partial

from graphwire.engine.attempt import Attempt
from graphwire.engine.execution import Execution
from graphwire.errors import NodeTimeout, quoted

LONGEST_TIMER_S = 86_400.0
"""What waits for a wall time looks at the clock at least so often: it may have been set."""


class Limit:
    """What is left of the time limit of a sleeping or open attempt.

    Attributes:
        timer: None while it does not count.
        began: When it began to count, on the loop's clock.
    """

    __slots__ = ("began", "left_s", "limit_s", "timer")

    def __init__(self, limit_s: float, used_s: float = 0.0) -> None:
        self.limit_s = limit_s
        self.left_s = max(0.0, limit_s - used_s)
        self.began = 0.0
        self.timer: asyncio.TimerHandle | None = None

    def stop(self, now: float) -> None:
        """Let it not count from now on."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
            self.left_s = max(0.0, self.left_s - (now - self.began))


class Timers:
    """What ``performing.Performer`` says of time. Made on the event loop.

    Args:
        node_timeout_s: The limit of nodes that have none of their own.

    Attributes:
        execution: Set before anything else.
    """

    execution: Execution

    def __init__(self, node_timeout_s: float | None) -> None:
        self._node_timeout_s = node_timeout_s
        self._loop = asyncio.get_running_loop()
        self._timers: dict[Attempt, asyncio.TimerHandle] = {}
        self._limits: dict[Attempt, Limit] = {}
        self._expiries: dict[str, asyncio.TimerHandle] = {}

    def call(self, callback: Callable[[], None]) -> None:
        """Tell the execution something, and see to what follows."""
        callback()

    def forget_all(self) -> None:
        """Cancel every timer."""
        for timer in (*self._timers.values(), *self._expiries.values()):
            timer.cancel()
        for limit in self._limits.values():
            limit.stop(self._loop.time())
        self._timers.clear()
        self._expiries.clear()
        self._limits.clear()

    def sleep(self, attempt: Attempt, seconds: float, used_s: float = 0.0) -> None:
        """See ``Performer.sleep``."""
        limit = attempt.node.timeout_s or self._node_timeout_s
        if limit is not None and limit - used_s < seconds:
            self.arm(attempt, used_s)
        self._timers[attempt] = self._loop.call_later(seconds, self._slept, attempt)

    def wait(self, attempt: Attempt, seconds: float) -> None:
        """See ``Performer.wait``."""
        self._timers[attempt] = self._loop.call_later(seconds, self._waited, attempt)

    def arm(self, attempt: Attempt, used_s: float = 0.0) -> None:
        """See ``Performer.arm``."""
        limit = attempt.node.timeout_s or self._node_timeout_s
        if limit is not None:
            self._limits[attempt] = Limit(limit, used_s)
            self.run_clock(attempt)

    def forget(self, attempt: Attempt) -> None:
        """See ``Performer.forget``."""
        timer = self._timers.pop(attempt, None)
        if timer is not None:
            timer.cancel()
        limit = self._limits.pop(attempt, None)
        if limit is not None:
            limit.stop(self._loop.time())

    def stop_clock(self, attempt: Attempt) -> None:
        """See ``Performer.stop_clock``."""
        limit = self._limits.get(attempt)
        if limit is not None:
            limit.stop(self._loop.time())

    def run_clock(self, attempt: Attempt) -> None:
        """See ``Performer.run_clock``."""
        limit = self._limits.get(attempt)
        if limit is not None and limit.timer is None:
            limit.began = self._loop.time()
            limit.timer = self._loop.call_later(limit.left_s, self._expired, attempt, limit.limit_s)

    def expire_at(self, interrupt_id: str, wall_us: int) -> None:
        """See ``Performer.expire_at``."""
        left_s = max(0.0, (wall_us * 1000 - self.execution.clock.wall_ns()) / 1e9)
        self._expiries[interrupt_id] = self._loop.call_later(
            min(left_s, LONGEST_TIMER_S), self._interrupt_expired, interrupt_id, wall_us
        )

    def forget_interrupt(self, interrupt_id: str) -> None:
        """See ``Performer.forget_interrupt``."""
        timer = self._expiries.pop(interrupt_id, None)
        if timer is not None:
            timer.cancel()

    def _interrupt_expired(self, interrupt_id: str, wall_us: int) -> None:
        if self.execution.clock.wall_ns() < wall_us * 1000:
            self.expire_at(interrupt_id, wall_us)  # the clocks went apart
            return
        self._expiries.pop(interrupt_id, None)
        self.call(partial(self.execution.suspending.expire, interrupt_id))

    def _slept(self, attempt: Attempt) -> None:
        self._timers.pop(attempt, None)
        self.call(partial(self.execution.slept, attempt))

    def _waited(self, attempt: Attempt) -> None:
        self._timers.pop(attempt, None)
        self.call(partial(self.execution.retrying.wake, attempt))

    def _expired(self, attempt: Attempt, limit_s: float) -> None:
        limit = self._limits.get(attempt)
        if limit is not None:
            limit.timer = None
        self.call(partial(self.execution.closing.expire, attempt, timed_out(attempt, limit_s)))


def timed_out(attempt: Attempt, limit_s: float) -> NodeTimeout:
    """Return what an attempt fails with whose time is up."""
    return NodeTimeout(f"node {quoted(attempt.node.id)} took longer than {limit_s:g} s")
