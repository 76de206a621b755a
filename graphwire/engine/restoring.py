"""An execution made again from its records, so that it goes on in this process."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from graphwire.engine.attempt import Attempt, Phase
from graphwire.engine.ending import Host
from graphwire.engine.guards import Guards
from graphwire.engine.performing import Gate, Performer
from graphwire.engine.records import Recorder
from graphwire.engine.repeating import Repeating
from graphwire.engine.report import Reporter
from graphwire.graphs.behaviour import Opens


class Told(NamedTuple):
    """What the stored events say of an activation whose end is not among them.

    Attributes:
        number: Its newest attempt.
        is_open: That attempt was not closed.
        mono_ns: When it began, as events count the time.
    """

    number: int
    is_open: bool
    mono_ns: int = 0


class Restoring(Repeating):
    """Repeats an execution and lets it go on: ``apply`` for each record, then ``take_up`` and ``go_on``, once each."""

    # --- going on ---------------------------------------------------------------------------------------------------

    def take_up(self, told: Mapping[str, Told]) -> list[str]:
        """Match the attempts with what was told of them. Return the activations whose attempts were lost.

        Those attempts are to be told as cancelled; the activations run again, as new attempts with the same key.
        """
        self._close_cancelled()
        for name, newest in told.items():
            waiting = self._begun.get(name)
            if waiting is not None and newest.is_open and newest.number == waiting.number:
                self._reopen(waiting)
            due = self._ready.get(name)
            if due is not None and newest.is_open and isinstance(due.node.behaviour, Opens) and not due.started_ns:
                self._open_told(due)
        lost: list[str] = []
        for name, newest in told.items():
            attempt = self._begun.get(name) or self._ready.get(name)
            is_kept = attempt is not None and self._keeps(attempt) and attempt.phase is not Phase.WAITING
            if newest.is_open and is_kept:
                self._told[name] = newest.mono_ns
                continue
            if newest.is_open:
                lost.append(name)
            if attempt is not None and newest.number >= attempt.number:
                attempt.interrupted += newest.number + 1 - attempt.number
                attempt.number = newest.number + 1
        return lost

    def go_on(
        self,
        performer: Performer,
        reporter: Reporter | None,
        recorder: Recorder | None,
        host: Host | None = None,
        gate: Gate | None = None,
        *,
        elapsed_ns: int = 0,
        zero_ns: int = 0,
        idle_ns: int = 0,
        active_ns: int = 0,
        guards: Guards | None = None,
    ) -> None:
        """Let the execution go on, with those whom it tells and asks from now on.

        Args:
            elapsed_ns: Since it began.
            zero_ns: What the clock showed when events began to count the time.
            idle_ns: How long nobody carried it out just now.
            active_ns: How long it was neither paused nor suspended.
            guards: Shared with other executions.
        """
        execution, in_order = self.execution, self.execution.in_order
        execution.openers.is_restoring = False
        execution.guarding.share(guards)
        execution.attach(performer, reporter, recorder, host, gate, elapsed_ns=elapsed_ns, active_ns=active_ns)
        kept = [attempt for attempt in self._begun.values() if self._keeps(attempt)]
        again = [attempt for attempt in self._begun.values() if not self._keeps(attempt)]
        order = [] if in_order is None else list(in_order.attempts)
        for attempt in again:
            self._unbegin(attempt)
            if in_order is not None and attempt in in_order.attempts:
                in_order.attempts.remove(attempt)
        for attempt in kept:
            self._keep(attempt, reporter, zero_ns, idle_ns)
        if self._is_fork:
            execution.suspending.tell_again()
        execution.control.attend()
        if self._end is not None:
            execution.stop(self._end)
            return
        has_places = in_order is not None and execution.status == "running"
        execution.ready.extend(() if has_places else again)
        execution.ready.extend(self._ready.values())
        self._settle(kept)
        if in_order is not None and has_places:
            in_order.take_places(order)
        if execution.status == "paused" and execution.control.reason == "waiting_for_input" and execution.ready:
            execution.control.resume()  # the answer was stored, and that it goes on was not
        else:
            execution.go_on()

    def _open_told(self, attempt: Attempt) -> None:
        """Open what had been opened: a new attempt would open scopes of other names, and run again what they did."""
        in_order = self.execution.in_order
        if in_order is not None:
            in_order.attempts.append(attempt)
        self._carry_out(self._begin(attempt))
        self._follow()

    def _keeps(self, attempt: Attempt) -> bool:
        phase = attempt.phase
        return phase is Phase.OPEN or phase is Phase.SUSPENDED or attempt.activation.id in self._until_us

    def _keep(self, attempt: Attempt, reporter: Reporter | None, zero_ns: int, idle_ns: int) -> None:
        """Let an attempt that was not lost with its process go on."""
        name, performer = attempt.activation.id, self.execution.performer
        until_us = self._until_us.get(name)
        if attempt.phase is Phase.WAITING and until_us is not None:
            performer.wait(attempt, self._left_s(until_us))
            return
        if attempt.phase is Phase.SUSPENDED:
            waits_for = None if attempt.asked is None else attempt.asked.waits_for
            interrupt = None if waits_for is None else self.execution.suspending.interrupts[waits_for]
            if interrupt is not None and interrupt.expires_us is not None:
                performer.expire_at(interrupt.id, interrupt.expires_us)
            return
        now_ns = self.execution.now_ns()
        if name in self._told:
            attempt.started_ns = zero_ns + self._told[name]
        else:
            attempt.started_ns, idle_ns = now_ns, 0
            if reporter is not None:
                reporter.begun(attempt, ())
        used_s = (now_ns - attempt.started_ns - idle_ns) / 1e9
        if until_us is not None:
            performer.sleep(attempt, self._left_s(until_us), used_s)
        elif attempt.opened is not None:
            performer.arm(attempt, used_s)

    def _left_s(self, until_us: int) -> float:
        return max(0.0, until_us / 1e6 - self._clock.wall_ns() / 1e9)

    def _settle(self, kept: Sequence[Attempt]) -> None:
        """Do what was left to do when the process ended: inner ones first."""
        execution = self.execution
        for attempt in reversed(kept):
            outcome = self._came_to.get(attempt.activation.id)
            if outcome is not None and execution.in_order is not None:
                attempt.outcome = outcome
            elif outcome is not None:
                execution.finish(attempt, outcome.value, outcome.error)
            elif attempt.opened is not None and attempt.phase is Phase.OPEN:
                execution.openers.settle(attempt)
