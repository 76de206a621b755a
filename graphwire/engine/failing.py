"""What follows from a failed attempt: a retry, error edges, the node's policy, or the end of its scope."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec.structs import replace

from graphwire.clock import Clock
from graphwire.engine import routing
from graphwire.engine.attempt import Attempt
from graphwire.engine.guarding import Guarding
from graphwire.engine.plan import ERRORS, Route
from graphwire.engine.policies.failure import describe, is_for_good, names_of, retry_after_of, traceback_of
from graphwire.engine.policies.retry import Failed
from graphwire.engine.records import Recorder
from graphwire.engine.report import Reporter
from graphwire.engine.results import read_result
from graphwire.engine.retrying import Retrying
from graphwire.engine.state import State
from graphwire.errors import GraphwireError, NodeQuarantined
from graphwire.events import types
from graphwire.events.types import Failure
from graphwire.values import Deleted, thaw

if TYPE_CHECKING:
    from graphwire.engine.execution import Execution

NULL = b"null"
_ENCODER = msgspec.json.Encoder()


class Failing:
    """Takes the failures of one execution."""

    def __init__(
        self,
        execution: "Execution",
        clock: Clock,
        retrying: Retrying,
        guarding: Guarding,
        reporter: Reporter | None,
        recorder: Recorder | None,
    ) -> None:
        self._execution = execution
        self._clock = clock
        self._retrying = retrying
        self._guarding = guarding
        self._report = reporter
        self._recorder = recorder

    def fail(self, attempt: Attempt, error: BaseException | Failure) -> None:
        """Take a failed attempt, by its exception or, of an opener, by its scope's failure."""
        node = attempt.node
        if isinstance(error, Failure):
            failure = error
        else:
            failure = describe(error, node=node.id, activation=attempt.activation.id, attempt=attempt.number)
            if self._execution.options.tracebacks:
                failure = replace(failure, traceback=traceback_of(error))
        if node.retry is not None or node.guard is not None:
            failed = failed_by(failure, error, self._clock.wall_ns() / 1e9)
            if node.guard is not None:
                self._guarding.failed(attempt, node.guard, failed)
            if node.retry is not None and self._retrying.takes(attempt, node.retry, failure, failed):
                return
            if node.guard is not None:
                self._guarding.given_up(attempt, node.guard, failed)
        self._settle(attempt, failure)

    def _settle(self, attempt: Attempt, failure: Failure) -> None:
        """Commit a failure that is not retried: error edges, a fallback, else the node's policy say how it goes on."""
        execution, report, recorder = self._execution, self._report, self._recorder
        scope = attempt.scope
        execution.closing.leave(attempt)
        course = self._course(attempt, failure)
        if recorder is not None:
            recorder.begin()
        if report is not None:
            execution.emissions.close(attempt)
            edges = course.route.ids if course.route is not None else []
            stands = None if course.result is NULL else course.result
            report.failed(attempt, attempt.duration_ms, failure, edges, result=stands)
            if course.policy == "skip":
                report.node(attempt, types.NodeSkippedDueToErrorPolicy(reason=failure.message))
        if course.route is None:
            if scope.opener is None:
                scope.scheduler.complete(attempt.activation, (), course.state)  # its errors belong to the final state
                if recorder is not None:
                    recorder.commit(attempt, routing.NOWHERE, course.written, course.state, NULL)
            execution.fail_scope(scope, failure, attempt)
            return
        is_partial = course.policy is not None
        execution.partial = execution.partial or is_partial
        execution.place(attempt, course.route, course.state, course.written, course.result, partial=is_partial)

    def _course(self, attempt: Attempt, failure: Failure) -> "_Course":
        """Return how it goes on after a failure."""
        report, node = self._report, attempt.node
        error = _ENCODER.encode(failure)
        written: dict[str, bytes | Deleted] = {ERRORS: error}
        state = _committed(attempt, written)
        roots: dict[str, Any] = {"state": state.view(), "result": None, "error": thaw(error)}
        observe = None if report is None else report.observer(attempt)
        complain = routing.ignore if report is None else report.complainer(attempt)
        route = routing.after_failure(node, roots, observe, complain)
        if route is not None:
            return _Course(route, state, written)
        if node.fallback is not None and (instead := self._fallback(attempt, written)) is not None:
            state, written, result = instead
            roots |= {"state": state.view(), "result": thaw(result)}
            return _Course(routing.after_continue(node, roots, observe, complain), state, written, result)
        policy = "skip" if failure.code == NodeQuarantined.code else node.on_error
        if policy == "continue":
            route = routing.after_continue(node, roots, observe, complain)
        elif policy == "skip":
            route = routing.after_skip(node, roots, observe, complain)
        return _Course(route, state, written, policy=policy)

    def _fallback(
        self, attempt: Attempt, written: Mapping[str, bytes | Deleted]
    ) -> tuple[State, dict[str, bytes | Deleted], bytes] | None:
        """Return the state, the update and the result that stand in; None if they do not fit the state."""
        try:
            update, result, _ = read_result(attempt.node.output, attempt.node.has_output, attempt.node.fallback)
            both = {**written, **(update or {})}
            state = _committed(attempt, both)
        except GraphwireError:
            return None
        return None if state.size > self._execution.max_state_bytes else (state, both, result)


class _Course(NamedTuple):
    """How it goes on after a failure.

    Attributes:
        route: None if the scope fails.
        result: What stands in for the attempt's.
        policy: What went past the error; None if it is handled.
    """

    route: Route | None
    state: State
    written: Mapping[str, bytes | Deleted]
    result: bytes = NULL
    policy: str | None = None


def _committed(attempt: Attempt, written: Mapping[str, bytes | Deleted]) -> State:
    scope = attempt.scope
    return attempt.state.commit(written, attempt.activation.id, scope.plan.reducers, alone=scope.scheduler.alone)


def failed_by(failure: Failure, error: BaseException | Failure, now_s: float) -> Failed:
    """Return what policies look at of a failure; one of a scope has no exception any more."""
    if isinstance(error, Failure):
        return Failed(failure.code, frozenset({failure.code, failure.type}))
    return Failed(
        failure.code, names_of(error), is_for_good=is_for_good(error), retry_after_s=retry_after_of(error, now_s)
    )
