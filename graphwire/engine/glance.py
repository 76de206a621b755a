"""What may be told of a running execution beside its events: as of its newest visible one, never ahead of it."""

from collections import deque

from msgspec import Struct

from graphwire.engine.ending import Snapshot
from graphwire.engine.execution import Execution
from graphwire.engine.joining import shown_state, sides_of
from graphwire.engine.merge import Side
from graphwire.engine.plan import Plan
from graphwire.engine.progress import Estimate, Progress
from graphwire.events.hub import Hub


class Glance(Struct, frozen=True):
    """An execution at one moment.

    Attributes:
        seq: The newest event then.
        sides: Its states, live and ended; they never change.
    """

    seq: int
    steps: int
    progress: Progress
    plan: Plan
    sides: list[Side]

    def state(self) -> Snapshot:
        """Return the merge of all live and ended states."""
        merged = shown_state(self.plan, self.sides)
        return Snapshot(merged.state.to_json(), merged.conflicts)


class Glances:
    """The latest glance, and those whose events are not visible yet (``durability: sync``)."""

    def __init__(self, execution: Execution, estimate: Estimate, hub: Hub, *, is_sync: bool) -> None:
        self._execution = execution
        self._estimate = estimate
        self._hub = hub
        self._is_sync = is_sync
        self._waiting: deque[Glance] = deque()

    def keep(self) -> None:
        """Something was committed. Costs nothing unless it must be kept back."""
        if not self._is_sync:
            return
        waiting = self._waiting
        if not waiting or waiting[-1].seq < self._hub.published:
            waiting.append(self._now())
        while len(waiting) > 1 and waiting[1].seq <= self._hub.visible:
            waiting.popleft()

    def latest(self) -> Glance:
        """Return the newest glance that may be told."""
        self.keep()
        return self._waiting[0] if self._waiting else self._now()

    def _now(self) -> Glance:
        execution, root = self._execution, self._execution.root
        sides = sides_of(root.plan, root.scheduler, root.start)
        return Glance(self._hub.published, execution.steps, self._estimate.of(execution), root.plan, sides)
