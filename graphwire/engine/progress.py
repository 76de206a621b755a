"""How far an execution is, judged by what earlier ones took. An estimate: it never goes back and never promises."""

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING

from msgspec import Struct, field

from graphwire.engine.attempt import Attempt, Phase
from graphwire.engine.plan import Plan

if TYPE_CHECKING:
    from graphwire.engine.execution import Execution

MOST_BEFORE_END = 99.0


class Progress(Struct, frozen=True):
    """How far an execution is.

    Attributes:
        percent: 0 to 100; 100 only at the end.
        completed, total: Nodes of the graph, each counted once however often it runs.
        running: Ids of the nodes that are at work.
        eta_s: Seconds that are left, from the durations of earlier executions; None where there are none.
    """

    percent: float
    completed: int
    total: int
    running: list[str] = field(default_factory=list)
    eta_s: float | None = None


class Estimate:
    """Judges the progress of one execution.

    Args:
        durations_ms: Mean duration of each node in earlier executions, where known; others weigh as the mean of those.
    """

    def __init__(self, plan: Plan, durations_ms: Mapping[str, float] | None = None) -> None:
        known = dict(durations_ms or {})
        self._has_history = bool(known)
        usual = sum(known.values()) / len(known) if known else 1.0
        if known:
            self._weights = [max(known.get(node, usual), 0.001) for node in plan.node_ids]
        else:
            self._weights = [usual] * len(plan.node_ids)
        self._total = sum(self._weights)
        self._highest = 0.0
        self._begun = 0
        self._begun_weight = 0.0

    def of(self, execution: "Execution") -> Progress:
        """Return the progress as of now."""
        active = list(execution.root.attempts)
        scheduler = execution.root.scheduler
        open_nodes = {activation.node for activation in scheduler.active()}
        passes = scheduler.passes
        for node in islice(passes, self._begun, None):  # those that began since it was asked last
            self._begun_weight += self._weights[node]
        self._begun = len(passes)
        weight = self._begun_weight - sum(self._weights[node] for node in open_nodes)
        weight += sum(self._weights[attempt.node.index] * _share(attempt) for attempt in active)
        percent = min(MOST_BEFORE_END, 100 * weight / self._total) if self._total else 0.0
        self._highest = max(self._highest, round(percent, 1))
        left_ms = (self._total - weight) if self._has_history else None
        return Progress(
            percent=self._highest,
            completed=len(passes) - len(open_nodes),
            total=len(self._weights),
            running=sorted({attempt.node.id for attempt in active if attempt.phase is not Phase.SUSPENDED}),
            eta_s=None if left_ms is None else round(max(left_ms, 0.0) / 1000, 3),
        )

    def ended(self, execution: "Execution") -> Progress:
        """Return the progress directly before the end: all of it for an execution that completes."""
        if execution.end is None or execution.end.status != "completed":
            return self.of(execution)
        completed = len(execution.root.scheduler.passes)
        return Progress(100.0, completed, len(self._weights), [], 0.0 if self._has_history else None)


def _share(attempt: Attempt) -> float:
    return 0.0 if attempt.opened is None else attempt.opened.share
