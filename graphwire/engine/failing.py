"""What follows from a failed attempt: a retry, error edges, the node's policy, or the end of its scope."""

from typing import TYPE_CHECKING, Any

import msgspec

from graphwire.engine import routing
from graphwire.engine.attempt import Attempt
from graphwire.engine.plan import ERRORS
from graphwire.engine.policies.failure import describe
from graphwire.engine.records import Recorder
from graphwire.engine.report import Reporter
from graphwire.engine.retrying import Retrying
from graphwire.events import types
from graphwire.events.types import Failure
from graphwire.values import Deleted, thaw

if TYPE_CHECKING:
    from graphwire.engine.execution import Execution

_ENCODER = msgspec.json.Encoder()


class Failing:
    """Takes the failures of one execution."""

    def __init__(
        self, execution: "Execution", retrying: Retrying, reporter: Reporter | None, recorder: Recorder | None
    ) -> None:
        self._execution = execution
        self._report = reporter
        self._recorder = recorder
        self._retrying = retrying

    def fail(self, attempt: Attempt, error: BaseException | Failure) -> None:
        """Take a failed attempt, by its exception or, of an opener, by its scope's failure."""
        if isinstance(error, Failure):
            failure = error
        else:
            failure = describe(error, node=attempt.node.id, activation=attempt.activation.id, attempt=attempt.number)
        if attempt.node.retry is not None and self._retrying.takes(attempt, attempt.node.retry, failure, error):
            return
        self._settle(attempt, failure)

    def _settle(self, attempt: Attempt, failure: Failure) -> None:
        """Commit a failure that is not retried: its error edges, else the node's policy, say how it goes on."""
        execution, report, recorder = self._execution, self._report, self._recorder
        scope, node = attempt.scope, attempt.node
        execution.closing.leave(attempt)
        written: dict[str, bytes | Deleted] = {ERRORS: _ENCODER.encode(failure)}
        state = attempt.state.commit(written, attempt.activation.id, scope.plan.reducers, alone=scope.scheduler.alone)
        roots: dict[str, Any] = {"state": state.view(), "result": None, "error": thaw(_ENCODER.encode(failure))}
        observe = None if report is None else report.observer(attempt)
        complain = routing.ignore if report is None else report.complainer(attempt)
        route = routing.after_failure(node, roots, observe, complain)
        policy = node.on_error if route is None else None
        if policy == "continue":
            route = routing.after_continue(node, roots, observe, complain)
        elif policy == "skip":
            route = routing.after_skip(node, roots, observe, complain)
        if recorder is not None:
            recorder.begin()
        if report is not None:
            execution.emissions.close(attempt)
            report.failed(attempt, attempt.duration_ms, failure, route.ids if route is not None else [])
            if policy == "skip":
                report.node(attempt, types.NodeSkippedDueToErrorPolicy(reason=failure.message))
        if route is None:
            if scope.opener is None:
                scope.scheduler.complete(attempt.activation, (), state)  # its errors belong to the final state
                if recorder is not None:
                    recorder.commit(attempt, routing.NOWHERE, written, state, b"null")
            execution.fail_scope(scope, failure, attempt)
            return
        if policy is not None:
            execution.partial = True
        execution.place(attempt, route, state, written, b"null", partial=policy is not None)
