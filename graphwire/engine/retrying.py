"""Retries: an activation whose attempt failed waits, without a task and without a slot, and is tried again."""

from typing import TYPE_CHECKING

from graphwire.clock import Clock
from graphwire.engine.attempt import Again, Attempt, Phase
from graphwire.engine.performing import Gate
from graphwire.engine.policies.retry import Failed, RetryPolicy, draw
from graphwire.engine.records import Recorder
from graphwire.engine.report import Reporter
from graphwire.events import types
from graphwire.events.types import Failure

if TYPE_CHECKING:
    from graphwire.engine.execution import Execution


class Retrying:
    """The retries of one execution."""

    def __init__(
        self,
        execution: "Execution",
        clock: Clock,
        reporter: Reporter | None,
        recorder: Recorder | None,
        gate: Gate | None,
    ) -> None:
        self._execution = execution
        self._clock = clock
        self._report = reporter
        self._recorder = recorder
        self._gate = gate

    def takes(self, attempt: Attempt, policy: RetryPolicy, failure: Failure, failed: Failed) -> bool:
        """Ask a node's policy, and arrange for the next attempt if it wants one. Whether it does."""
        now_us = self._clock.wall_ns() // 1000
        if attempt.again is None:
            since_us = now_us - (self._clock.mono_ns() - attempt.started_ns) // 1000
        else:
            since_us = attempt.again.since_us
        wait_s = policy.after(
            attempt.number - attempt.interrupted,
            failed,
            used_s=(now_us - since_us) / 1e6,
            draw=draw(self._execution.options.seed, attempt.activation.id, attempt.number),
        )
        if wait_s is None:
            return False
        delay_ms = round(wait_s * 1000, 3)
        number, until_us = attempt.number + 1, now_us + round(wait_s * 1e6)
        if self._recorder is not None:
            self._recorder.begin()
        if self._report is not None:
            self._execution.emissions.close(attempt)
            self._report.failed(attempt, attempt.duration_ms, failure, [], will_retry=True)
            scheduled = types.RetryScheduled(attempt=number, delay_ms=delay_ms, max_attempts=policy.max_attempts)
            self._report.node(attempt, scheduled)
        if self._recorder is not None:
            self._recorder.sleeps(attempt, until_us, number, since_us)
        following = self.follow(attempt, Again(delay_ms, since_us))
        self._execution.performer.wait(following, wait_s)
        return True

    def follow(self, attempt: Attempt, again: Again) -> Attempt:
        """End an attempt, and let another of its activation wait for its time. Return that one."""
        execution = self._execution
        execution.closing.leave(attempt)
        following = Attempt(
            attempt.scope,
            attempt.activation,
            attempt.node,
            attempt.state,
            phase=Phase.WAITING,
            number=attempt.number + 1,
            interrupted=attempt.interrupted,
            again=again,
            folded=attempt.folded,
            emitted=attempt.emitted,
            asked=attempt.asked,
        )
        if self._gate is not None:
            following.follows = self._gate.published()
        attempt.scope.attempts[following] = None
        if execution.in_order is not None:
            execution.in_order.keep(following)
        return following

    def wake(self, attempt: Attempt) -> None:
        """The wait is over: the attempt is ready."""
        execution = self._execution
        if attempt.phase is not Phase.WAITING:
            return
        attempt.phase = Phase.READY
        if execution.in_order is None:
            execution.ready.append(attempt)
        else:
            execution.ready.appendleft(attempt)  # nothing behind it can commit before it has
            execution.go_on()
