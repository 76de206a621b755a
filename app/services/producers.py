"""Who reports executions from elsewhere, and which of them were silent for too long."""

import asyncio
from collections.abc import Callable, Iterable

from graphwire.clock import Clock
from graphwire.types import ExecutionId

CANCEL_S = 60.0
"""How long a producer that was told to cancel may be silent before it is lost."""
LEAST_S = 0.1
"""Between two looks for lost producers."""


class Producers:
    """The producers of executions that have not ended, one each. All of them together cost one timer.

    Args:
        idle_s: How long nothing may be heard of a producer; 0 for ever.
    """

    def __init__(self, clock: Clock, *, idle_s: float) -> None:
        self._clock = clock
        self._idle_s = idle_s
        self._heard_ns: dict[ExecutionId, int] = {}
        self._cancelled: set[ExecutionId] = set()
        self._alarm: asyncio.TimerHandle | None = None
        self._on_lost: Callable[[ExecutionId], None] | None = None

    @property
    def idle_s(self) -> float:
        """How long nothing may be heard of one."""
        return self._idle_s

    def __len__(self) -> int:
        return len(self._heard_ns)

    def __contains__(self, execution_id: ExecutionId) -> bool:
        return execution_id in self._heard_ns

    def watch(self, running: Iterable[ExecutionId], on_lost: Callable[[ExecutionId], None]) -> None:
        """Begin to watch: those of an earlier process have the whole time again.

        Args:
            on_lost: Called with each execution whose producer is lost, and again until it is forgotten or heard of.
        """
        self._heard_ns = dict.fromkeys(running, self._clock.mono_ns())
        self._on_lost = on_lost
        self._arm()

    def close(self) -> None:
        """Watch no more. Idempotent."""
        self._on_lost = None
        if self._alarm is not None:
            self._alarm.cancel()

    def hear(self, execution_id: ExecutionId) -> None:
        """Take a sign of life, the first one included."""
        self._heard_ns[execution_id] = self._clock.mono_ns()
        if execution_id in self._cancelled or (self._idle_s and self._alarm is None):
            self._arm()

    def hurry(self, execution_id: ExecutionId) -> None:
        """Take note that a producer was told to cancel: from the next sign of life on it has ``CANCEL_S``."""
        self._cancelled.add(execution_id)

    def forget(self, execution_id: ExecutionId) -> None:
        """Watch no more over one: its execution has ended."""
        self._heard_ns.pop(execution_id, None)
        self._cancelled.discard(execution_id)

    def lost(self) -> list[ExecutionId]:
        """Return the executions whose producers were silent for too long by now."""
        return [each for each in self._heard_ns if self.is_lost(each)]

    def is_lost(self, execution_id: ExecutionId) -> bool:
        """Return whether a producer was silent for too long; not so one that is forgotten."""
        due_ns = self._due_ns(execution_id)
        return due_ns is not None and due_ns <= self._clock.mono_ns()

    def _due_ns(self, execution_id: ExecutionId) -> int | None:
        idle_s = self._idle_s or None
        if execution_id in self._cancelled:
            idle_s = min(CANCEL_S, idle_s or CANCEL_S)
        heard_ns = self._heard_ns.get(execution_id)
        return None if idle_s is None or heard_ns is None else heard_ns + round(idle_s * 1e9)

    def _arm(self) -> None:
        """Look again when the next one is due."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        due = [due for each in self._heard_ns if (due := self._due_ns(each)) is not None]
        if due and self._on_lost is not None:
            delay_s = max(LEAST_S, (min(due) - self._clock.mono_ns()) / 1e9)
            self._alarm = asyncio.get_running_loop().call_later(delay_s, self._look, self._on_lost)

    def _look(self, on_lost: Callable[[ExecutionId], None]) -> None:
        self._alarm = None
        for execution_id in self.lost():
            on_lost(execution_id)
        self._arm()
