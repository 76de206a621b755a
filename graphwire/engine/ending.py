"""How an execution ends: the final state, the terminal event, the sentinel, and what is kept of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

import msgspec
from msgspec import Raw

from graphwire.clock import Clock, utc
from graphwire.engine.attempt import Attempt, Scope
from graphwire.engine.joining import final_state, shown_state, sides_of
from graphwire.engine.merge import Conflict
from graphwire.engine.plan import ERRORS
from graphwire.engine.ports import ExecutionEnd
from graphwire.engine.report import Reporter, conflict_event
from graphwire.engine.state import State
from graphwire.errors import NodeError, quoted
from graphwire.events import types
from graphwire.events.types import Failure
from graphwire.types import Outcome, Status, TerminalStatus

if TYPE_CHECKING:
    from graphwire.engine.execution import Execution

_ENCODER = msgspec.json.Encoder()


@dataclass(slots=True)
class End:
    """Why an execution ends.

    Attributes:
        limit: The time limit that ended it, by name and in seconds.
        outcome: Of a completed execution.
        state: The final state, once the end is told.
        is_told: The terminal event was published.
    """

    status: TerminalStatus
    failure: Failure | None = None
    reason: str | None = None
    limit: tuple[str, float] | None = None
    outcome: Outcome | None = None
    state: State | None = None
    is_told: bool = False
    _state_json: bytes = b""

    def state_json(self) -> bytes:
        """Return the final state as JSON; made when it is first asked for."""
        if not self._state_json and self.state is not None:
            self._state_json = self.state.to_json()
        return self._state_json

    @property
    def because(self) -> str:
        """What the attempts that it interrupts are told."""
        if self.limit is not None:
            return "timeout"
        return "a node failed" if self.status == "failed" else "cancelled"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The merged state of an execution at one moment."""

    state: bytes
    conflicts: Sequence[Conflict]


class Host(Protocol):
    """Who keeps the execution."""

    def became(self, status: Status) -> None:
        """The status is another, but for the end: what is published from now on belongs to it."""

    def before_end(self, end: End) -> None:
        """The terminal event comes next."""

    def after_end(self, end: End, record: Callable[[], ExecutionEnd]) -> None:
        """The terminal event and the sentinel were published; ``record`` makes what is kept of the execution."""


class Endings:
    """Ends one execution, and keeps count of what the end reports."""

    def __init__(self, execution: "Execution", clock: Clock, reporter: Reporter | None, host: Host | None) -> None:
        self._execution = execution
        self._host = host
        self._clock = clock
        self._report = reporter
        self._began_ns = clock.mono_ns()
        self.durations_ms: dict[str, tuple[int, float]] = {}

    def begin(self, elapsed_ns: int = 0) -> None:
        """The execution starts now, or began so long ago."""
        self._began_ns = self._clock.mono_ns() - elapsed_ns

    def timed(self, attempt: Attempt, duration_ms: float) -> None:
        """An attempt of the graph itself completed."""
        if attempt.scope.opener is None:
            count, total = self.durations_ms.get(attempt.node.id, (0, 0.0))
            self.durations_ms[attempt.node.id] = (count + 1, total + duration_ms)

    def too_many_steps(self, attempt: Attempt, limit: int) -> Failure:
        """Return the failure of an execution, or an item, that would take a step too many."""
        counts = attempt.scope.scheduler.passes
        often = sorted((node for node in counts if counts[node] > 1), key=lambda node: -counts[node])[:5]
        names = [f"{attempt.scope.plan.nodes[node].id} ({counts[node]} times)" for node in often]
        looping = f"; most often: {', '.join(names)}" if names else ""
        return Failure(
            code="max_steps_exceeded",
            type="MaxStepsExceeded",
            message=f"node {quoted(attempt.node.id)} would be step {limit + 1:,}; the limit is {limit:,} "
            f"(limits.max_steps){looping}",
            node=attempt.node.id,
            activation=attempt.activation.id,
        )

    def completed(self) -> End:
        """Merge what is left where branches ended, and return the end that follows from it."""
        execution = self._execution
        try:
            root = execution.root
            merged = final_state(root.plan, root.scheduler, root.start)
        except NodeError as error:
            return End("failed", failure=describe_end(error))
        if self._report is not None:
            for conflict in merged.conflicts:
                self._report.execution(conflict_event(conflict))
        outcome: Outcome = "partial" if self._execution.partial else "success"
        return End("completed", outcome=outcome, state=merged.state)

    def final(self, scope: Scope) -> State:
        """Return the state of a child scope that is quiescent; its conflicts are told of its opener.

        Raises:
            MergeConflict: Its branches wrote different values, and the policy is ``fail``.
            ReducerError: Their operations cannot be folded.
        """
        merged = final_state(scope.plan, scope.scheduler, scope.start)
        if self._report is not None and scope.opener is not None:
            for conflict in merged.conflicts:
                self._report.node(scope.opener, conflict_event(conflict))
        return merged.state

    def tell(self, end: End) -> TerminalStatus:
        """Publish the terminal event and the sentinel; return the final status."""
        now = self._clock.mono_ns()
        duration = (now - self._began_ns) // 1000 / 1000
        if end.state is None:
            root = self._execution.root
            end.state = shown_state(root.plan, sides_of(root.plan, root.scheduler, root.start)).state
        report, host = self._report, self._host
        last_seq = 0
        if report is not None and end.limit is not None:
            report.execution(types.ExecutionTimeout(limit=end.limit[0], limit_s=end.limit[1]))
        if host is not None:
            host.before_end(end)
        if report is not None:
            report.execution(self._terminal(end, duration))
            end.is_told = True
            last_seq = report.sentinel(end.status, duration)
        end.is_told = True
        if host is not None:
            host.after_end(end, partial(self._record, end, end.state, last_seq, duration))
        return end.status

    def _record(self, end: End, state: State, last_seq: int, duration: float) -> ExecutionEnd:
        return ExecutionEnd(
            status=end.status,
            outcome=end.outcome,
            ended_at=utc(self._clock.wall_ns()),
            duration_ms=duration,
            steps=self._execution.steps,
            last_seq=last_seq,
            state=end.state_json(),
            error=None if end.failure is None else _ENCODER.encode(end.failure),
            errors=state.get(ERRORS) or b"[]",
            reason=end.reason,
            durations_ms=self.durations_ms,
        )

    def _terminal(
        self, end: End, duration: float
    ) -> types.ExecutionCompleted | types.ExecutionFailed | types.ExecutionCancelled:
        steps = self._execution.steps
        if end.status == "completed":
            assert end.outcome is not None
            state = Raw(end.state_json())
            return types.ExecutionCompleted(outcome=end.outcome, duration_ms=duration, steps=steps, state=state)
        if end.status == "failed":
            assert end.failure is not None
            return types.ExecutionFailed(error=end.failure, duration_ms=duration, steps=steps)
        return types.ExecutionCancelled(reason=end.reason, duration_ms=duration, steps=steps)


def describe_end(error: NodeError) -> Failure:
    """Return the failure of an execution whose final merge failed: it has no node."""
    return Failure(code=error.code, type=type(error).__name__, message=error.detail)


def unanswered(nodes: Sequence[str]) -> End:
    """Return the end of an execution whose nodes ask what nobody can answer."""
    names = ", ".join(quoted(node) for node in nodes[:5])
    message = f"waits for input, and nobody can give it here: {names}"
    return End("failed", failure=Failure(code="input_error", type="InputError", message=message))


def timeout(limit: str, limit_s: float) -> End:
    """Return the end of an execution whose time is up."""
    message = f"the execution took longer than {limit_s:g} s ({limit})"
    return End("failed", failure=Failure(code="timeout", type="Timeout", message=message), limit=(limit, limit_s))
