"""What an execution tells: its decisions as events of the log."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from msgspec import UNSET, Raw
from msgspec.structs import replace

from graphwire.engine.attempt import Attempt, Scope
from graphwire.engine.merge import Conflict
from graphwire.engine.outbox import ExecutionOutbox
from graphwire.engine.plan import EdgePlan, Route
from graphwire.engine.routing import Complain, Observe
from graphwire.engine.state import State
from graphwire.errors import ExpressionFailed
from graphwire.events import types
from graphwire.events.log import EventLog
from graphwire.events.types import EventData, Failure
from graphwire.types import TerminalStatus
from graphwire.values import freeze

MAX_GLIMPSE = 64
NULL = Raw(b"null")
Severity = Literal["info", "warning", "error"]


class Reporter:
    """Appends the events of one execution; ``full`` adds those of ``detail: full``."""

    def __init__(self, log: EventLog, outbox: ExecutionOutbox, *, full: bool) -> None:
        self._log = log
        self._append = log.append
        self._outbox = outbox
        self.full = full

    def node(self, attempt: Attempt, event: EventData) -> int:
        """Append an event of a node; return its number."""
        activation = attempt.activation
        seq = self._append(
            event,
            node_id=attempt.node.id,
            activation=activation.id,
            pass_number=activation.pass_number,
            path=attempt.scope.path,
        )
        if not self._outbox.is_submitted:
            self._outbox.submit()
        return seq

    def execution(self, event: EventData) -> int:
        """Append an event of the execution itself; return its number."""
        seq = self._append(event)
        if not self._outbox.is_submitted:
            self._outbox.submit()
        return seq

    def sentinel(self, status: TerminalStatus, duration_ms: float) -> int:
        """Append the sentinel; return its number."""
        total = self._log.count + 1
        return self.execution(types.StreamEnd(status=status, total_events=total, duration_ms=duration_ms))

    def begun(self, attempt: Attempt, conflicts: Sequence[Conflict]) -> None:
        """An attempt begins: what its join did, or that it is a retry, then ``node_started``."""
        if attempt.again is not None:
            self.node(attempt, types.RetryAttempted(attempt=attempt.number, delay_ms=attempt.again.delay_ms))
            self.node(attempt, types.NodeStarted(node_type=attempt.node.type, attempt=attempt.number))
            return
        if self.full:
            self.node(attempt, types.NodeEntered())
        join = attempt.node.definition.join
        if attempt.activation.missing or (type(join) is int and len(attempt.activation.tokens) < join):
            edge_ids = attempt.scope.plan.edge_ids
            missing = [edge_ids[edge] for edge in attempt.activation.missing if edge >= 0]
            self.node(attempt, types.JoinReleased(missing=missing))
        for conflict in conflicts:
            self.node(attempt, conflict_event(conflict))
        self.begun_again(attempt)

    def begun_again(self, attempt: Attempt) -> None:
        """An attempt begins, of an activation whose join was told before."""
        self.node(attempt, types.NodeStarted(node_type=attempt.node.type, attempt=attempt.number))

    def completed(self, attempt: Attempt, duration_ms: float, route: Route, result: bytes) -> None:
        """An attempt was committed."""
        self.node(
            attempt,
            types.NodeCompleted(attempt=attempt.number, duration_ms=duration_ms, edges=route.ids, result=Raw(result)),
        )

    def failed(
        self,
        attempt: Attempt,
        duration_ms: float,
        failure: Failure,
        edges: list[str],
        *,
        will_retry: bool = False,
        result: bytes | None = None,
    ) -> None:
        """An attempt failed; ``edges`` fired all the same, and ``result`` stands in for its own."""
        self.node(
            attempt,
            types.NodeFailed(
                attempt=attempt.number,
                duration_ms=duration_ms,
                error=failure,
                will_retry=will_retry,
                edges=edges,
                result=UNSET if result is None else Raw(result),
            ),
        )

    def left(self, attempt: Attempt, fired: Iterable[int], keys: Sequence[str], size: int) -> None:
        """``detail: full``: what a commit wrote and where its tokens went."""
        plan = attempt.scope.plan
        edges = [plan.edges[index] for index in fired]
        if keys:
            self.node(attempt, types.StateChanged(keys=list(keys)))
        for edge in edges:
            self.node(attempt, types.DataFlow(edge=edge.id, bytes=size))
        self.node(attempt, types.NodeExited(next=[plan.nodes[edge.target].id for edge in edges]))

    def observer(self, attempt: Attempt) -> Observe | None:
        """Return who is told of evaluated conditions: somebody with ``detail: full`` only."""
        return (lambda edge, value: self._evaluated(attempt, edge, value)) if self.full else None

    def complainer(self, attempt: Attempt) -> Complain:
        """Return who is told of expressions that fail while a failure is handled."""

        def complain(edge: EdgePlan, failure: ExpressionFailed) -> None:
            facts = {"edge": edge.id, "expression": edge.when.text if edge.when else ""}
            self.diagnostic(attempt, failure.code, "warning", failure.detail, facts)

        return complain

    def no_route(self, attempt: Attempt, state: State) -> None:
        """No edge fired though there are some: name the conditions and the values that they looked at."""
        conditions = [edge for edge in attempt.node.edges if edge.when is not None and edge.on == "success"]
        if conditions:
            names = sorted({key for edge in conditions if edge.when is not None for key in edge.when.keys or ()})
            values = {name: _glimpse(state.get(name)) for name in names}
            facts = {"edges": [edge.id for edge in conditions], "values": values}
            message = "No edge's condition holds and there is no else edge: the branch ends here."
            self.diagnostic(attempt, "no_route", "warning", message, facts)

    def _evaluated(self, attempt: Attempt, edge: EdgePlan, value: bool) -> None:
        """``detail: full``: a condition was evaluated."""
        text = edge.when.text if edge.when is not None else ""
        self.node(attempt, types.ConditionEvaluated(edge=edge.id, expression=text, value=value))

    def cancelled(self, attempt: Attempt, duration_ms: float, reason: str) -> None:
        """A started attempt was ended from outside."""
        self.node(attempt, types.NodeCancelled(attempt=attempt.number, duration_ms=duration_ms, reason=reason))

    def diagnostic(
        self, attempt: Attempt | None, problem: str, severity: Severity, message: str, facts: Mapping[str, Any]
    ) -> None:
        """Something that the user of the graph should know."""
        event = types.Diagnostic(problem=problem, severity=severity, message=message, facts=Raw(freeze(facts)))
        if attempt is None:
            self.execution(event)
        else:
            self.node(attempt, event)


def conflict_event(conflict: Conflict) -> types.StateMergeConflictDetected:
    """Return the event of a merge conflict; absent values are null."""
    return types.StateMergeConflictDetected(
        key=conflict.key,
        nodes=list(conflict.nodes),
        values=[NULL if value is None else Raw(value) for value in conflict.values],
        policy=conflict.policy,
        value=NULL if conflict.value is None else Raw(conflict.value),
    )


def path_of(opener: Attempt, index: int | None) -> list[dict[str, Any]]:
    """Return the path of a child scope: its opener's path, then the opener and the index, where there are several."""
    step: dict[str, Any] = {"node": opener.node.id, "activation": opener.activation.id}
    if index is not None:
        step["index"] = index
    return [*(opener.scope.path or []), step]


def inner_failure(failure: Failure, scope: Scope) -> Failure:
    """Return a scope's failure as its opener tells it: with the path to where it happened."""
    if failure.path or scope.path is None:
        return failure
    return replace(failure, path=scope.path)


def _glimpse(value: bytes | None) -> str:
    if value is None:
        return "absent"
    text = value.decode()
    return text if len(text) <= MAX_GLIMPSE else text[:MAX_GLIMPSE] + "…"
