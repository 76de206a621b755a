"""Attempts that are ended from outside: by the end of their scope, by a time limit, by a fault of the engine."""

from typing import TYPE_CHECKING

from graphwire.engine.attempt import CLOSED, NOT_BEGUN, RUNNING, Attempt, Outcome, Phase, Scope, below
from graphwire.engine.ending import End
from graphwire.engine.openers import Openers
from graphwire.engine.policies.failure import describe
from graphwire.engine.report import Reporter
from graphwire.errors import NodeError
from graphwire.events.types import Failure

if TYPE_CHECKING:
    from graphwire.engine.execution import Execution


class Closing:
    """Ends attempts of one execution."""

    def __init__(self, execution: "Execution", openers: Openers, reporter: Reporter | None) -> None:
        self._execution = execution
        self._openers = openers
        self._report = reporter

    def clear(self, scope: Scope, reason: str) -> None:
        """End all that is active in a scope and below it: the innermost first, an opener after its scopes."""
        execution = self._execution
        scopes = below(scope)
        if scope is not execution.root:
            inner = set(scopes)
            for waiting in {id(each): each for each in (execution.ready, execution.dispatchable)}.values():
                kept = [attempt for attempt in waiting if attempt.scope not in inner]
                waiting.clear()
                waiting.extend(kept)
        for inside in scopes[1:]:
            inside.failure = inside.failure or scope.failure
        for inside in scopes:
            for attempt in inside.attempts:
                attempt.reason = attempt.reason or reason
        for inside in reversed(scopes):
            for attempt in list(inside.attempts):
                self._end(attempt)
            if inside is not scope:
                self._openers.scope_closed(inside)  # nothing of it may have begun

    def _end(self, attempt: Attempt) -> None:
        if attempt.phase in NOT_BEGUN:
            self.close(attempt)
        elif attempt.outcome is not None:
            attempt.outcome = Outcome(is_cancelled=True)
        elif attempt.phase is RUNNING:
            self._execution.performer.interrupt(attempt)
        elif attempt.opened is not None and attempt.opened.scopes:
            return  # it is closed after what is open in it
        elif attempt.phase is Phase.SUSPENDED:
            self.close(attempt)  # it has left the order
        elif self._execution.in_order is not None and attempt.opened is None:
            attempt.outcome = Outcome(is_cancelled=True)
        else:
            self.close(attempt)

    def close(self, attempt: Attempt) -> None:
        """Tell that an attempt was ended from outside; of one that has not begun nothing was told, nor is."""
        execution = self._execution
        has_begun = attempt.phase not in NOT_BEGUN or attempt.started_ns > 0
        if not has_begun and execution.in_order is not None:
            execution.in_order.forget(attempt)
        attempt.ended_ns = execution.now_ns()
        self.leave(attempt)
        if has_begun and self._report is not None:
            execution.emissions.close(attempt)
            self._report.cancelled(attempt, attempt.duration_ms, attempt.reason or "cancelled")
        self._openers.scope_closed(attempt.scope)

    def leave(self, attempt: Attempt) -> None:
        """An attempt is over: its scope and its timers know of it no more."""
        if attempt.phase is not RUNNING:
            self._execution.performer.forget(attempt)
        if attempt.asked is not None:
            self._execution.suspending.drop(attempt)
        if attempt.permit is not None and attempt.node.guard is not None:
            self._execution.guarding.released(attempt, attempt.node.guard)
        attempt.phase = CLOSED
        attempt.scope.attempts.pop(attempt, None)

    def expire(self, attempt: Attempt, error: NodeError) -> None:
        """An attempt's time is up: an open one fails, a sleeping one too; a running one is for the runner to end."""
        if attempt.phase is Phase.OPEN:
            failure = describe(error, node=attempt.node.id, activation=attempt.activation.id, attempt=attempt.number)
            self._openers.fail(attempt, failure)
            self._execution.go_on()
        elif attempt.phase is Phase.SLEEPING and attempt.outcome is None:
            self._execution.finish(attempt, error=error)

    def abandon(self) -> End:
        """Close everything at once, whatever runs: the engine itself failed. Returns the end that follows from it."""
        execution = self._execution
        execution.ready.clear()
        execution.dispatchable.clear()
        scopes = below(execution.root)
        for scope in scopes:  # all of them first: closing the last one in a scope looks at its opener's
            for attempt in scope.attempts:
                attempt.reason = "the engine failed"
        for scope in reversed(scopes):
            for attempt in list(scope.attempts):
                if attempt.phase is RUNNING:
                    execution.performer.interrupt(attempt)
                attempt.held = None
                self.close(attempt)
        failure = Failure(code="internal", type="EngineError", message="The engine failed; its log has the error.")
        return End("failed", failure=failure)
