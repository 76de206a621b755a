"""The owner of every live execution of a process: nothing outlives it."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Self

from graphwire.engine.lanes import PERFORMING
from graphwire.engine.offspring import Offspring
from graphwire.engine.runner import Runner
from graphwire.engine.threads import NodeThreads
from graphwire.engine.watchdog import Watchdog
from graphwire.types import ExecutionId

_LOG = logging.getLogger(__name__)


class Supervisor:
    """Runs executions, and knows those that are alive. An async context manager; used on one event loop.

    Args:
        drain_s: How long executions may go on when the supervisor is left.
        threads: How many plain functions run at once, of all executions together.

    Attributes:
        when_joined: Called when one is carried out from now on.
        when_left: Called when an execution that was carried out has ended, or is let go of.
    """

    def __init__(self, *, drain_s: float = 20.0, threads: int = 32) -> None:
        self._drain_s = drain_s
        self._live: dict[ExecutionId, Runner] = {}
        self._held: dict[ExecutionId, Runner] = {}
        self.when_joined: Callable[[Runner], None] | None = None
        self.when_left: Callable[[Runner], None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.threads = NodeThreads(threads)
        self._watchdog: Watchdog | None = None
        self._offspring: Offspring | None = None

    def __len__(self) -> int:
        return len(self._live) + len(self._held)

    def __iter__(self) -> Iterator[Runner]:
        return iter(list(self._live.values()))

    def get(self, execution_id: ExecutionId) -> Runner | None:
        """Return the runner of an execution that has not ended; None for any other."""
        runner = self._live.get(execution_id) or self._held.get(execution_id)
        return None if runner is None or runner.is_ended else runner

    def spawn(self, coro: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        """Make a task that this supervisor owns."""
        if not self._tasks:
            self._watchdog = Watchdog.here(PERFORMING)
            self._watchdog.enter()
            self._offspring = Offspring.here()
            self._offspring.enter()
        task = asyncio.get_running_loop().create_task(coro, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def submit(self, runner: Runner) -> None:
        """Carry an accepted execution out."""
        self._held.pop(runner.id, None)
        self._live[runner.id] = runner
        if self.when_joined is not None:
            self.when_joined(runner)
        self.spawn(self._guard(runner), name=f"execution:{runner.id}")

    def hold(self, runner: Runner) -> None:
        """Keep an accepted execution that waits for its turn; ``submit`` or ``release`` follows."""
        self._held[runner.id] = runner

    def release(self, runner: Runner) -> None:
        """Let go of one that was held. Idempotent."""
        self._held.pop(runner.id, None)

    async def _guard(self, runner: Runner) -> None:
        try:
            await runner.run()
        finally:
            self._live.pop(runner.id, None)
            if self.when_left is not None:
                self.when_left(runner)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._rest()
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOG.error("task %s broke", task.get_name(), exc_info=error)

    async def __aenter__(self) -> Self:
        return self

    def _rest(self) -> None:
        if self._watchdog is not None and not self._tasks:
            self._watchdog.leave()
            self._watchdog = None
        if self._offspring is not None and not self._tasks:
            self._offspring.leave()
            self._offspring = None

    async def __aexit__(self, *exc_info: object) -> None:
        if self._live or self._held or not all(map(asyncio.Task.done, self._tasks)):
            await self.drain()
        self._tasks.clear()
        self._rest()
        self.threads.shutdown(wait=False, cancel_futures=True)

    async def drain(self) -> None:
        """Let executions end within ``drain_s``, then let go of the rest: the next process ends or resumes them.

        Nobody waits for what is paused, since nobody is there any more to let it go on.
        """
        waiting = [
            asyncio.ensure_future(runner.wait_ended()) for runner in self._live.values() if runner.status != "paused"
        ]
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=self._drain_s)
            for waiter in late:
                waiter.cancel()
        for runner in [*self._live.values(), *self._held.values()]:
            runner.abort()
        left = [task for task in self._tasks if not task.done()]
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=1.0)
