"""Circuit breakers and quarantines in the course of one execution: whether an attempt runs, and what came of it."""

from typing import TYPE_CHECKING

from graphwire.engine.attempt import Attempt
from graphwire.engine.guards import Guards
from graphwire.engine.policies.breaker import Blocked, Breaker, Change, Permit
from graphwire.engine.policies.quarantine import Isolation
from graphwire.engine.policies.retry import Failed, covers
from graphwire.engine.report import Reporter
from graphwire.errors import CircuitOpen, NodeError, NodeQuarantined, quoted
from graphwire.events import types

if TYPE_CHECKING:
    from graphwire.engine.plan import NodeGuard


class Guarding:
    """Asks the guards of nodes that have some.

    Args:
        guards: Shared with other executions; None gives this one its own.
    """

    def __init__(self, guards: Guards | None, reporter: Reporter | None) -> None:
        self._guards = guards
        self._report = reporter

    def share(self, guards: Guards | None) -> None:
        """Ask these guards from now on."""
        self._guards = guards

    def enter(self, attempt: Attempt, guard: "NodeGuard") -> NodeError | None:
        """An attempt has begun; return what it fails with if it may not run."""
        now_s = self._shared().now_s()
        isolation = self._isolation(guard)
        if isolation is not None:
            left_s = isolation.left_s(now_s)
            if left_s > 0:
                return NodeQuarantined(
                    f"node {quoted(attempt.node.id)} failed {isolation.failures} times in a row; "
                    f"it is not run for another {left_s:.1f} s"
                )
            cleared = isolation.enter(now_s)
            if cleared is not None and self._report is not None:
                self._report.node(attempt, types.NodeQuarantineCleared(reason=cleared))
        breaker = self._breaker(guard)
        if breaker is None:
            return None
        found, change = breaker.enter(now_s)
        self._changed(attempt, guard, breaker, change)
        if isinstance(found, Blocked):
            return self._blocked(attempt, guard, breaker, found)
        attempt.permit = found
        if found.is_test and self._report is not None:
            tested = types.CircuitBreakerOperationAttempted(
                breaker=guard.breaker_name, circuit_state=breaker.state, attempt=attempt.number
            )
            self._report.node(attempt, tested)
        return None

    def succeeded(self, attempt: Attempt, guard: "NodeGuard") -> None:
        """An attempt is about to be committed with its result."""
        breaker, isolation = self._breaker(guard), self._isolation(guard)
        if breaker is not None and (permit := _taken(attempt)) is not None:
            self._changed(attempt, guard, breaker, breaker.succeed(permit))
        if isolation is not None:
            cleared = isolation.succeed()
            if cleared is not None and self._report is not None:
                self._report.node(attempt, types.NodeQuarantineCleared(reason=cleared))

    def failed(self, attempt: Attempt, guard: "NodeGuard", failed: Failed) -> None:
        """An attempt has failed, whatever follows."""
        breaker = self._breaker(guard)
        if breaker is None or (permit := _taken(attempt)) is None:
            return
        assert guard.breaker is not None
        if covers(None if guard.breaker.on is None else frozenset(guard.breaker.on), failed):
            self._changed(attempt, guard, breaker, breaker.fail(permit, self._shared().now_s()))
        else:
            breaker.release(permit)

    def given_up(self, attempt: Attempt, guard: "NodeGuard", failed: Failed) -> None:
        """An activation has failed, and is not tried again."""
        isolation = self._isolation(guard)
        if isolation is None or not covers(None, failed) or not isolation.fail(self._shared().now_s()):
            return
        if self._report is not None:
            begun = types.NodeQuarantined(failures=isolation.failures, duration_s=isolation.settings.duration_s)
            self._report.node(attempt, begun)

    def released(self, attempt: Attempt, guard: "NodeGuard") -> None:
        """An attempt is over without having worked or failed."""
        breaker = self._breaker(guard)
        if breaker is not None and (permit := _taken(attempt)) is not None:
            breaker.release(permit)

    def _blocked(self, attempt: Attempt, guard: "NodeGuard", breaker: Breaker, blocked: Blocked) -> NodeError:
        count = breaker.failure_count(self._shared().now_s())
        if breaker.state == "open":
            reason = f"open for another {blocked.retry_after_s:.1f} s"
        else:
            reason = "half-open, and its tests are under way"
        if self._report is not None:
            event = types.CircuitBreakerOperationBlocked(
                breaker=guard.breaker_name, reason=reason, circuit_state=breaker.state, failure_count=count
            )
            self._report.node(attempt, event)
        error = CircuitOpen(f"the circuit breaker {quoted(guard.breaker_name, 300)} is {reason}")
        error.retry_after_s = blocked.retry_after_s
        return error

    def _changed(self, attempt: Attempt, guard: "NodeGuard", breaker: Breaker, change: Change | None) -> None:
        if change is not None and self._report is not None:
            event = types.CircuitBreakerStateChanged(
                breaker=guard.breaker_name,
                old_state=change.old,
                new_state=change.new,
                failure_count=breaker.failure_count(self._shared().now_s()),
            )
            self._report.node(attempt, event)

    def _shared(self) -> Guards:
        if self._guards is None:
            self._guards = Guards()
        return self._guards

    def _breaker(self, guard: "NodeGuard") -> Breaker | None:
        return None if guard.breaker is None else self._shared().breaker(guard.breaker_name, guard.breaker)

    def _isolation(self, guard: "NodeGuard") -> Isolation | None:
        return None if guard.quarantine is None else self._shared().isolation(guard.name, guard.quarantine)


def _taken(attempt: Attempt) -> Permit | None:
    permit, attempt.permit = attempt.permit, None
    return permit
