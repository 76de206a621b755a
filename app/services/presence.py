"""Who is watching: ends executions that were to run only as long as somebody does."""

import asyncio
from collections import Counter
from collections.abc import Callable

from graphwire.types import ExecutionId


class Presence:
    """Counts the streams of each execution. For one event loop.

    Args:
        grace_s: How long the last reader may be gone before an execution that is watched over is given up.
    """

    def __init__(self, *, grace_s: float) -> None:
        self._grace_s = grace_s
        self._readers: Counter[ExecutionId] = Counter()
        self._watched: dict[ExecutionId, Callable[[], None]] = {}
        self._timers: dict[ExecutionId, asyncio.TimerHandle] = {}

    def watch(self, execution_id: ExecutionId, given_up: Callable[[], None]) -> None:
        """Call once when the last reader of this execution has left and none came back."""
        self._watched[execution_id] = given_up

    def forget(self, execution_id: ExecutionId) -> None:
        """The execution has ended. Idempotent."""
        self._stop_timer(execution_id)
        self._watched.pop(execution_id, None)

    def came(self, execution_id: ExecutionId) -> None:
        """A stream was opened."""
        self._readers[execution_id] += 1
        self._stop_timer(execution_id)

    def went(self, execution_id: ExecutionId, *, of_itself: bool) -> None:
        """A stream was closed; ``of_itself`` when it was not the service that ended it."""
        self._readers[execution_id] -= 1
        if self._readers[execution_id] > 0:
            return
        del self._readers[execution_id]
        if of_itself and execution_id in self._watched:
            loop = asyncio.get_running_loop()
            self._timers[execution_id] = loop.call_later(self._grace_s, self._give_up, execution_id)

    def close(self) -> None:
        """Give nothing up any more."""
        for execution_id in list(self._watched):
            self.forget(execution_id)

    def _stop_timer(self, execution_id: ExecutionId) -> None:
        timer = self._timers.pop(execution_id, None)
        if timer is not None:
            timer.cancel()

    def _give_up(self, execution_id: ExecutionId) -> None:
        del self._timers[execution_id]
        self._watched.pop(execution_id)()
