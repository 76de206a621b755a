"""Holds an execution back and lets it go on: pauses, steps and breakpoints. Decides; nothing here waits."""

from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Struct

from graphwire.engine.attempt import Attempt, Phase, below
from graphwire.engine.breakpoints import Breakpoint, Breakpoints, Hit
from graphwire.engine.ending import Host
from graphwire.engine.joining import join
from graphwire.engine.performing import Performer
from graphwire.engine.records import Recorder
from graphwire.engine.report import Reporter
from graphwire.engine.state import State
from graphwire.engine.suspending import Suspending
from graphwire.errors import NothingReady
from graphwire.events import types
from graphwire.types import Status

if TYPE_CHECKING:
    from graphwire.engine.execution import Execution

Reason: TypeAlias = Literal["command", "breakpoint", "step", "waiting_for_input", "budget", "code_changed"]
Mode: TypeAlias = Literal["over", "into", "out"]


class Step(Struct, frozen=True):
    """A step that is being made: it is over with its target, or for ``into`` when the target has opened its scopes."""

    mode: Mode
    target: Attempt

    def followed(self) -> "Step":
        """Return it with the attempt that its target is at by now: one that failed may be tried again."""
        target = self.target
        if target.phase is Phase.CLOSED:
            for attempt in target.scope.attempts:
                if attempt.activation is target.activation:
                    return Step(self.mode, attempt)
        return self

    @property
    def is_done(self) -> bool:
        """Whether it is over."""
        phase = self.target.phase
        if phase is Phase.CLOSED or phase is Phase.SUSPENDED:
            return True
        return self.mode == "into" and phase is Phase.OPEN

    def includes(self, attempt: Attempt) -> bool:
        """Whether the attempt is part of it."""
        inner: Attempt | None = attempt
        while inner is not None:
            if inner is self.target:
                return inner is attempt or self.mode != "into"
            inner = inner.scope.opener
        return False


class Kept(Struct, frozen=True):
    """What is recorded of breakpoints.

    Attributes:
        passes: The activation that has hit one, and passes it next time.
    """

    breakpoints: list[Breakpoint]
    passes: str | None = None


class Control:
    """The steering of one execution.

    What is done to the machine alone (``paused``, ``resumed``, ``restore_breakpoints``) is also for restoring.

    Attributes:
        reason: Why it is paused, or about to be; None while it runs.
        breakpoints: Set them with ``set_breakpoints``.
    """

    def __init__(
        self,
        execution: "Execution",
        suspending: Suspending,
        performer: Performer,
        reporter: Reporter | None,
        recorder: Recorder | None,
        host: Host | None,
    ) -> None:
        self.reason: Reason | None = None
        self.breakpoints = Breakpoints(reporter)
        self._execution = execution
        self._suspending = suspending
        self._performer = performer
        self._report = reporter
        self._recorder = recorder
        self._host = host
        self._by: str | None = None
        self._step: Step | None = None
        self._passes: str | None = None
        self._held: list[Attempt] = []
        self._stopped: dict[Attempt, None] = {}
        self._active_ns = 0
        self._since_ns = execution.now_ns()

    def began(self, active_ns: int = 0) -> None:
        """The execution starts now, or goes on in this process; so long it was neither paused nor suspended."""
        self._active_ns = active_ns
        self._since_ns = self._execution.now_ns()

    def active_ns(self) -> int:
        """Return how long the execution was neither paused nor suspended."""
        if self._execution.status == "paused":
            return self._active_ns
        return self._active_ns + self._execution.now_ns() - self._since_ns

    # --- what may begin -------------------------------------------------------------------------------------------

    def attend(self) -> None:
        """Have the execution ask before it begins anything, if there is a reason to."""
        execution = self._execution
        is_needed = bool(self.breakpoints or self._suspending.interrupts or execution.status != "running")
        execution.steered = self if is_needed and execution.end is None else None

    def has_next(self) -> bool:
        """Whether something ready may begin."""
        return self._next() is not None

    def _next(self) -> int | None:
        execution, step = self._execution, self._step
        if step is not None:
            return next((index for index, attempt in enumerate(execution.ready) if step.includes(attempt)), None)
        return 0 if execution.ready and execution.status == "running" else None

    def pop(self) -> Attempt | None:
        """Take the next attempt that may begin out of the ready order; None where none may now."""
        index = self._next()
        if index is None:
            return None
        ready = self._execution.ready
        attempt = ready[index]
        if attempt.activation.id == self._passes:
            self._passes = None
        elif not attempt.started_ns and attempt.again is None and self.breakpoints:
            hit = self.breakpoints.hit(attempt, "before", lambda: _begins_with(attempt))
            if hit is not None:
                del ready[index]
                ready.appendleft(attempt)
                self._passes = attempt.activation.id
                self._stop_at(attempt, hit)
                self.look()
                return None
        del ready[index]
        return attempt

    def committed(self, attempt: Attempt, state: State) -> None:
        """An attempt was committed: a breakpoint after it may pause the execution."""
        if self.breakpoints:
            hit = self.breakpoints.hit(attempt, "after", lambda: state)
            if hit is not None:
                self._stop_at(attempt, hit)

    def _stop_at(self, attempt: Attempt, hit: Hit) -> None:
        if self._recorder is not None:
            self._recorder.begin()
        if self._report is not None:
            condition = hit.breakpoint.condition
            event = types.BreakpointHit(
                when=hit.breakpoint.when, hits=hit.number, condition=UNSET if condition is None else condition
            )
            self._report.node(attempt, event)
        self._record_breakpoints()
        if self._execution.status == "running" or self._step is not None:
            self._pausing("breakpoint", None)

    # --- pausing --------------------------------------------------------------------------------------------------

    def pause(self, reason: Reason = "command", by: str | None = None) -> None:
        """Begin nothing more; paused as soon as nothing runs."""
        if self._recorder is not None:
            self._recorder.begin()
        self._pausing(reason, by)
        self.look()

    def _pausing(self, reason: Reason, by: str | None) -> None:
        if self._recorder is not None:
            self._recorder.paused(reason, self.active_ns(), is_told=False)
        self._by = by
        self._step = None
        self._became("pausing", reason)

    def look(self) -> None:
        """Something ended: a step may be over, the execution may be still, all may wait for answers."""
        execution = self._execution
        if execution.end is not None:
            return
        if self._step is not None:
            self._step = self._step.followed()
        step = self._step
        if step is not None and step.is_done:
            self._step = None
            if self._report is not None:
                self._report.execution(types.StepCompleted(mode=step.mode))
        if execution.status == "pausing" and self._step is None and execution.is_still():
            self._pause_now()
        elif execution.status == "running" and self._suspending.is_all():
            self._by = None
            self.reason = "waiting_for_input"
            self._pause_now()
        if self._stopped or self._suspending.interrupts:
            self._stop_clocks()

    def _pause_now(self) -> None:
        active_ns, reason = self.active_ns(), self.reason or "command"
        if self._recorder is not None:
            self._recorder.begin()
        if self._report is not None:
            by = UNSET if self._by is None else self._by
            self._report.execution(types.ExecutionPaused(reason=reason, by=by))
        if self._recorder is not None:
            self._recorder.paused(reason, active_ns)
        self.paused(reason, active_ns)
        if self._host is not None:
            self._host.became("paused")
        self._stop_clocks()

    def paused(self, reason: Reason, active_ns: int, *, is_told: bool = True) -> None:
        """Nothing begins from now on. Also for restoring.

        Args:
            active_ns: How long the execution was neither paused nor suspended so far.
            is_told: Nothing runs any more; else it becomes paused when that is so (``look``).
        """
        execution = self._execution
        self.reason = reason
        self._step = None
        self._active_ns = active_ns
        self._since_ns = execution.now_ns()
        execution.status = "paused" if is_told else "pausing"
        self.attend()

    # --- going on -------------------------------------------------------------------------------------------------

    def resume(self) -> None:
        """Go on."""
        self._tell_resumed()
        if self._recorder is not None:
            self._recorder.resumed()
        self.resumed()
        if self._host is not None:
            self._host.became("running")
        self._stop_clocks()
        self._wake_held()
        self._execution.go_on()

    def resumed(self) -> None:
        """It goes on. Also for restoring."""
        self._leave_pause()
        self._execution.status = "running"
        self.reason = None
        self.attend()

    def _leave_pause(self) -> None:
        if self._execution.status == "paused":
            self._since_ns = self._execution.now_ns()
        self._step = None

    def _tell_resumed(self) -> None:
        if self._recorder is not None:
            self._recorder.begin()
        if self._report is not None:
            is_paused = self._execution.status == "paused"
            paused_ns = self._execution.now_ns() - self._since_ns if is_paused else 0
            self._report.execution(types.ExecutionResumed(paused_ms=paused_ns // 1000 / 1000))

    def require_ready(self) -> None:
        """Check that there is something to step to.

        Raises:
            NothingReady: There is not.
        """
        if not self._execution.ready:
            waits = "; it waits for input" if self._suspending.interrupts else ""
            raise NothingReady(f"there is nothing that a step could run{waits}", status=self._execution.status)

    def step(self, mode: Mode) -> None:
        """Let the first ready activation run, and pause again.

        ``over`` pauses after its commit; ``into`` when it has opened its scopes, if it opens any; ``out`` after the
        commit of the activation whose scope it is in, if there is one.
        """
        first = self._execution.ready[0]
        opener = first.scope.opener
        self._tell_resumed()
        if self._recorder is not None:
            self._recorder.paused("step", self.active_ns(), is_told=False)
        self._leave_pause()
        self._step = Step(mode, opener if mode == "out" and opener is not None else first)
        self._passes = first.activation.id
        self._by = None
        self._became("pausing", "step")
        self._stop_clocks()
        if self._execution.in_order is not None:
            self._wake_held()  # one of them may be at the head: the step's result would wait behind it
        self._execution.go_on()

    def _became(self, status: Status, reason: Reason) -> None:
        self.reason = reason
        self._execution.status = status
        self.attend()
        if self._host is not None:
            self._host.became(status)

    def input_came(self) -> None:
        """An interrupt was closed: what was paused for want of input goes on."""
        if self._execution.status == "paused" and self.reason == "waiting_for_input":
            self.resume()
            return
        if self._execution.status == "paused" and self._host is not None:
            self._host.became("paused")
        self.attend()
        self._execution.go_on()

    # --- time -----------------------------------------------------------------------------------------------------

    def holds(self, attempt: Attempt) -> bool:
        """A sleeping attempt's time has come: whether its end waits until the execution goes on."""
        execution = self._execution
        is_held = execution.status == "paused"
        if self._step is not None and execution.in_order is None:
            is_held = not self._step.includes(attempt)
        if is_held:
            self._held.append(attempt)
        return is_held

    def _wake_held(self) -> None:
        held, self._held = self._held, []
        for attempt in held:
            if attempt.phase is Phase.SLEEPING:
                self._execution.slept(attempt)

    def _stop_clocks(self) -> None:
        """Time limits do not count while paused or suspended: see to it that those of open and sleeping ones do not."""
        execution = self._execution
        still = self._suspending.still()
        if execution.status == "paused":
            phases = (Phase.OPEN, Phase.SLEEPING)
            still = [each for scope in below(execution.root) for each in scope.attempts if each.phase in phases]
        stopped = dict.fromkeys(still)
        for attempt in self._stopped:
            if attempt not in stopped:
                self._performer.run_clock(attempt)
        for attempt in stopped:
            if attempt not in self._stopped:
                self._performer.stop_clock(attempt)
        self._stopped = stopped

    # --- breakpoints ----------------------------------------------------------------------------------------------

    def set_breakpoints(self, breakpoints: list[Breakpoint]) -> None:
        """Replace all breakpoints; hits are counted anew."""
        self.breakpoints.set(breakpoints)
        if self._recorder is not None:
            self._recorder.begin()
        self._record_breakpoints()
        self.attend()

    def restore_breakpoints(self, kept: bytes) -> None:
        """For restoring: set what was recorded."""
        known = msgspec.json.decode(kept, type=Kept)
        self.breakpoints.set(known.breakpoints)
        self._passes = known.passes
        self.attend()

    def _record_breakpoints(self) -> None:
        if self._recorder is not None:
            self._recorder.breakpoints(msgspec.json.encode(Kept(list(self.breakpoints), self._passes)))


def _begins_with(attempt: Attempt) -> State | None:
    """Return the state that an attempt will begin with; None where its join will be refused."""
    if len(attempt.activation.tokens) == 1:
        return attempt.state
    merged, refused = join(attempt.scope.plan, attempt.activation, alone=False)
    return merged.state if refused is None else None
