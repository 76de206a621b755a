"""One execution as a state machine: what happens next, never when. No asyncio, no I/O.

The runner takes attempts, carries them out and reports how they ended; the execution commits, routes and says what
is ready. Everything that it decides is told to its reporter and recorded in its deltas.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from graphwire.clock import Clock
from graphwire.engine import editing, routing
from graphwire.engine.asking import answer_of
from graphwire.engine.attempt import CLOSED, RUNNING, Attempt, Outcome, Phase, Scope
from graphwire.engine.closing import Closing
from graphwire.engine.control import Control
from graphwire.engine.emissions import Emissions
from graphwire.engine.ending import End, Endings, Host
from graphwire.engine.failing import Failing
from graphwire.engine.guarding import Guarding
from graphwire.engine.guards import Guards
from graphwire.engine.in_order import InOrder
from graphwire.engine.joining import join
from graphwire.engine.merge import Conflict
from graphwire.engine.openers import Openers
from graphwire.engine.options import Options
from graphwire.engine.performing import Gate, Performer
from graphwire.engine.plan import Plan, Route
from graphwire.engine.ready import ByPriority
from graphwire.engine.records import Recorder
from graphwire.engine.reducers import Update
from graphwire.engine.report import Reporter, inner_failure
from graphwire.engine.results import Goto, read_result, too_large
from graphwire.engine.retrying import Retrying
from graphwire.engine.scheduler import Activation
from graphwire.engine.state import State
from graphwire.engine.suspending import Interruption, Suspending, interruption_of
from graphwire.errors import GraphwireError, NodeError
from graphwire.events.types import EventData, Failure
from graphwire.graphs.behaviour import Ask, Opens, Wait
from graphwire.types import Status
from graphwire.values import Deleted, thaw

_ENCODER = msgspec.json.Encoder()


SHORT_S = 1.0
"""A timer no longer than this begins again after a crash."""


class Execution:
    """The course of one execution.

    Attributes:
        status: ``running``, ``pausing``, ``paused``, ``stopping`` or terminal.
        ready: Attempts that may begin, in dispatch order.
        running: Attempts that hold a slot.
        dispatchable: What ``take`` gives from.
        slots: How many attempts may run at once.
        steered: Says what may begin; None while nobody steers and nothing waits for input.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        state: Mapping[str, bytes],
        options: Options,
        clock: Clock,
        performer: Performer,
        reporter: Reporter | None,
        recorder: Recorder | None,
        host: Host | None = None,
        gate: Gate | None = None,
        guards: Guards | None = None,
    ) -> None:
        self.plan = plan
        self.options = options
        self.status: Status = "running"
        self.ready: deque[Attempt] = ByPriority() if plan.has_priorities else deque()
        self.running = 0
        self.partial = False
        self.end: End | None = None
        self.max_steps = options.max_steps or plan.max_steps
        self.slots = self._max_parallelism = options.max_parallelism or plan.max_parallelism
        self._lost_slots = 0
        self.max_state_bytes = options.max_state_bytes or plan.max_state_bytes
        max_events = options.max_events_per_activation or plan.max_events_per_activation
        self.clock = clock
        self.now_ns = clock.mono_ns
        self.performer = performer
        self._report = reporter
        self._recorder = recorder
        self._host = host
        self._gate = gate
        self.in_order = InOrder(self, performer, gate) if options.in_order else None
        self.dispatchable = self.ready if self.in_order is None else self.in_order.dispatched
        self._endings = Endings(self, clock, reporter, host)
        self.openers = Openers(self, self._endings, reporter)
        self.retrying = Retrying(self, clock, reporter, recorder, gate)
        self.guarding = Guarding(guards, reporter)
        self.failing = Failing(self, clock, self.retrying, self.guarding, reporter, recorder)
        self.closing = Closing(self, self.openers, reporter)
        self.emissions = Emissions(reporter, self.in_order, max_events)
        self.suspending = Suspending(self, clock, performer, reporter, recorder)
        self.control = Control(self, self.suspending, performer, reporter, recorder, host)
        self.steered: Control | None = None
        if options.breakpoints:
            self.control.breakpoints.set(options.breakpoints)
            self.control.attend()
        initial = {**plan.initial, **state}
        self.root = Scope.open(plan, plan.entry_indexes(options.entry), "", State.initial(initial))

    def attach(
        self,
        performer: Performer,
        reporter: Reporter | None,
        recorder: Recorder | None,
        host: Host | None = None,
        gate: Gate | None = None,
        *,
        elapsed_ns: int = 0,
        active_ns: int = 0,
    ) -> None:
        """Give an execution that was restored those whom it, and each part of it, tells and asks from now on.

        Args:
            elapsed_ns: Since it began.
            active_ns: How long of that it was neither paused nor suspended.
        """
        self.performer = performer
        asked = {"_performer": performer, "_report": reporter, "_recorder": recorder, "_host": host, "_gate": gate}
        parts = (self._endings, self.openers, self.retrying, self.guarding, self.failing, self.closing, self.emissions)
        for part in (self, *parts, self.suspending, self.control, self.control.breakpoints, self.in_order):
            for name, other in asked.items():
                if hasattr(part, name):
                    setattr(part, name, other)
        self._endings.begin(elapsed_ns)
        self.control.began(active_ns)

    # --- dispatch -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Put the entry nodes' activations in the ready order. Called once."""
        self._endings.begin()
        self.control.began()
        self.add(self.root, self.root.scheduler.start(self.root.start))
        self.go_on()

    def take(self) -> Attempt | None:
        """Begin the next attempt and return it if it needs a slot.

        None when there is none, when no slot is free, and when it ended as it began: ``has_ready`` tells.
        """
        if self.in_order is not None:
            return self.dispatchable.popleft() if self.dispatchable else None
        if not self.ready or self.running >= self.slots:
            return None
        attempt = self.ready.popleft() if self.steered is None else self.steered.pop()
        if attempt is None or self.begin(attempt):
            return attempt
        self.go_on()
        return None

    def go_on(self) -> None:
        """Do what follows from a commit or an end: dispatch and commit in order, and end when nothing is left."""
        if self.in_order is not None:
            self.in_order.advance()
        if self.steered is not None:
            self.steered.look()
        if not self.ready:
            self._settle()

    @property
    def has_ready(self) -> bool:
        """Whether ``take`` would find something."""
        if self.in_order is not None:
            return bool(self.dispatchable)
        if self.steered is not None and not self.steered.has_next():
            return False
        return bool(self.ready) and self.running < self.slots

    def is_still(self) -> bool:
        """Whether nothing runs and nothing that has ended is uncommitted."""
        return not self.running and (self.in_order is None or self.in_order.is_committed())

    def lose_slots(self, count: int) -> None:
        """So many more attempts were given up and still run (fewer, if negative); one slot always remains."""
        self._lost_slots += count
        self.slots = max(1, self._max_parallelism - self._lost_slots)

    @property
    def steps(self) -> int:
        """Activations begun, those inside a ``foreach`` not counted."""
        return self.root.steps

    @property
    def is_over(self) -> bool:
        """Whether the terminal event was published."""
        return self.end is not None and self.end.is_told

    def add(self, scope: Scope, activations: Sequence[Activation[State]]) -> None:
        """Put activations at the end of the ready order."""
        nodes = scope.plan.nodes
        for activation in activations:
            attempt = Attempt(scope, activation, nodes[activation.node], activation.tokens[0].state)
            if self._gate is not None:
                attempt.follows = self._gate.published()
            self.ready.append(attempt)

    def begin(self, attempt: Attempt) -> bool:
        """Begin an attempt; whether it needs a slot now."""
        if attempt.started_ns:
            return self._begin_again(attempt)
        scope = attempt.scope
        conflicts: Sequence[Conflict] = ()
        refused: NodeError | None = None
        if attempt.again is None:
            counts = scope.counted
            if counts.steps >= self.max_steps:
                self.fail_scope(counts, self._endings.too_many_steps(attempt, self.max_steps))
                return False
            counts.steps += 1
            scope.attempts[attempt] = None
            if len(attempt.activation.tokens) > 1:
                try:
                    conflicts = self._join(attempt)
                except NodeError as error:
                    refused = error
        attempt.started_ns = self.now_ns()
        if self._report is not None:
            self._report.begun(attempt, conflicts)
        if self.in_order is not None:
            self.in_order.begun(attempt)
        if attempt.node.guard is not None and refused is None:
            refused = self.guarding.enter(attempt, attempt.node.guard)
        if refused is not None:
            attempt.phase = RUNNING
            self.running += 1
            self.finish(attempt, error=refused)
            return False
        return self._act(attempt)

    def _begin_again(self, attempt: Attempt) -> bool:
        """As ``begin``, for an activation that has begun before: it is no further step, and its join stands."""
        attempt.started_ns = self.now_ns()
        attempt.scope.attempts[attempt] = None
        if self._report is not None:
            self._report.begun_again(attempt)
        if self.in_order is not None:
            self.in_order.attempts.append(attempt)
        asked = attempt.asked
        if asked is not None and asked.failure is not None and not isinstance(attempt.node.behaviour, Ask):
            expired, asked.failure = asked.failure, None
            attempt.phase = RUNNING
            self.running += 1
            self.finish(attempt, error=expired)
            return False
        return self._act(attempt)

    def _act(self, attempt: Attempt) -> bool:
        behaviour = attempt.node.behaviour
        if attempt.node.needs_slot:
            attempt.phase = RUNNING
            self.running += 1
            return True
        if isinstance(behaviour, Opens):
            outcome = self.openers.open(attempt, behaviour)
            if outcome is not None:
                self.finish(attempt, outcome.value, outcome.error)
        elif isinstance(behaviour, Wait):
            self._sleep(attempt, behaviour)
        elif isinstance(behaviour, Ask):
            self._ask(attempt, behaviour)
        return False

    def _join(self, attempt: Attempt) -> Sequence[Conflict]:
        scope = attempt.scope
        merged, refused = join(scope.plan, attempt.activation, alone=scope.scheduler.alone)
        attempt.state, attempt.folded = merged.state, merged.folded or None
        if refused is not None:
            raise refused
        if attempt.state.size > self.max_state_bytes:
            raise too_large({}, attempt.state.size, self.max_state_bytes)
        return merged.conflicts

    def _sleep(self, attempt: Attempt, behaviour: Wait) -> None:
        attempt.phase = Phase.SLEEPING
        try:
            seconds = behaviour.seconds(attempt.state.view())
        except NodeError as error:
            self.finish(attempt, error=error)
            return
        if seconds > SHORT_S and self._recorder is not None:
            self._recorder.sleeps(attempt, self.clock.wall_ns() // 1000 + round(seconds * 1e6), attempt.number)
        self.performer.sleep(attempt, seconds)

    def _ask(self, attempt: Attempt, behaviour: Ask) -> None:
        try:
            answer = answer_of(attempt, behaviour)
        except (Interruption, NodeError) as error:
            self.finish(attempt, error=error)
        else:
            self.finish(attempt, answer)

    def slept(self, attempt: Attempt) -> None:
        """A sleeping attempt's time has come. It waits on while the execution is paused."""
        if self.steered is None or not self.steered.holds(attempt):
            self.finish(attempt)

    # --- the end of an attempt ------------------------------------------------------------------------------------

    def finish(
        self, attempt: Attempt, value: Any = None, error: BaseException | None = None, ended_ns: int | None = None
    ) -> None:
        """Take how an attempt ended. Ignored when it has been closed meanwhile: the first outcome wins.

        Args:
            ended_ns: When it ended, on the clock's ``mono_ns``; now if it is not given.
        """
        if attempt.phase is CLOSED or attempt.outcome is not None:
            return
        attempt.ended_ns = self.now_ns() if ended_ns is None else ended_ns
        if self.end is not None or attempt.scope.failure is not None:
            self.closed(attempt)
            return
        if self.in_order is not None:
            # It keeps its slot until its turn, else dispatch would depend on timing.
            attempt.outcome = Outcome(value, error)
        else:
            if attempt.phase is RUNNING:
                self.running -= 1
            if value is None and error is None:
                self.succeed(attempt, None, b"null", None)
            else:
                self.commit(attempt, value, error)
        if not self.ready or self.in_order is not None or self.steered is not None:
            self.go_on()

    def closed(self, attempt: Attempt) -> None:
        """An interrupted attempt is over, or has been given up. Idempotent."""
        if attempt.phase is CLOSED or attempt.outcome is not None:
            return
        if self.in_order is not None:
            attempt.outcome = Outcome(is_cancelled=True)
        else:
            if attempt.phase is RUNNING:
                self.running -= 1
            self.closing.close(attempt)
        self.go_on()

    def commit(self, attempt: Attempt, value: Any, error: BaseException | None) -> None:
        """Commit what an attempt came to."""
        if error is not None:
            question = interruption_of(error)
            if question is None:
                self.failing.fail(attempt, error)
            else:
                self.suspending.suspend(attempt, question)
        else:
            try:
                update, result, goto = read_result(attempt.node.output, attempt.node.has_output, value)
            except GraphwireError as unfit:
                self.failing.fail(attempt, unfit)
            else:
                self.succeed(attempt, update, result, goto)

    def succeed(self, attempt: Attempt, update: Update | None, result: bytes, goto: Goto | None) -> None:
        """Commit an attempt that gave a result, or fail it if it cannot be routed."""
        scope, node, report = attempt.scope, attempt.node, self._report
        state = attempt.state
        try:
            if update:
                alone = scope.scheduler.alone
                state = state.commit(update, attempt.activation.id, scope.plan.reducers, alone=alone)
                if state.size > self.max_state_bytes:
                    raise too_large(update, state.size, self.max_state_bytes)
            elif state.apart is not None and scope.scheduler.alone:
                state = state.collapsed()
            route = node.plain_route if goto is None else None
            if route is None:
                roots = {"state": state.view(), "result": thaw(result) if node.reads_result else None, "error": None}
                route = routing.after_success(node, roots, goto, None if report is None else report.observer(attempt))
        except NodeError as error:
            self.failing.fail(attempt, error)
            return
        if node.guard is not None:
            self.guarding.succeeded(attempt, node.guard)
        attempt.phase = CLOSED
        scope.attempts.pop(attempt, None)
        if not node.needs_slot:
            self.performer.forget(attempt)
        if self._recorder is not None:
            self._recorder.begin()
        if report is not None:
            self.emissions.close(attempt)
            duration = (attempt.ended_ns - attempt.started_ns) // 1000 / 1000
            report.completed(attempt, duration, route, result)
            self._endings.timed(attempt, duration)
            if not route.fired and node.plain_route is None and goto is None:
                report.no_route(attempt, state)
        self.place(attempt, route, state, update, result)

    def place(
        self,
        attempt: Attempt,
        route: Route,
        state: State,
        update: Update | None,
        result: bytes,
        *,
        partial: bool = False,
    ) -> None:
        """Put the tokens of a commit on their edges."""
        scope = attempt.scope
        if self._report is not None and self._report.full:
            size = sum(len(value) for value in update.values() if isinstance(value, bytes)) if update else 0
            self._report.left(attempt, route.fired, list(update or ()), size)
        if self._recorder is not None:
            self._recorder.commit(attempt, route, update, state, result, partial=partial)
        if self.steered is not None:
            self.steered.committed(attempt, state)
        if scope.opener is not None:
            scope.result = result
        activations = scope.scheduler.complete(attempt.activation, route.fired, state)
        if activations:
            self.add(scope, activations)
        elif scope.opener is not None and scope.scheduler.is_quiescent:
            self.openers.scope_done(scope)

    # --- failure --------------------------------------------------------------------------------------------------

    def fail_scope(self, scope: Scope, failure: Failure, attempt: Attempt | None = None) -> None:
        """End a scope with an error, maybe of an attempt: the root's is the execution's, an item's its opener's."""
        if scope.opener is None:
            self.stop(End("failed", failure=failure))
            return
        if scope.failure is None:
            if self._recorder is not None:
                self._recorder.scope_failed(scope, failure, attempt)
            scope.failure = inner_failure(failure, scope)
            self.closing.clear(scope, "a node of its scope failed")
            self.openers.scope_fails(scope, scope.failure)
        self.openers.scope_closed(scope)

    # --- ending from outside --------------------------------------------------------------------------------------

    def stop(self, end: End) -> None:
        """End the execution: ready attempts are dropped, running ones interrupted. The first end wins."""
        if self.end is not None:
            return
        self.status = "stopping"
        self.end = end
        self.steered = None
        if self._recorder is not None:
            self._recorder.stopping(end.status, end.failure, end.reason, end.limit)
        if self._host is not None:
            self._host.became("stopping")
        self.dispatchable.clear()
        self.ready.clear()
        self.closing.clear(self.root, end.because)
        self.go_on()

    def abandon(self) -> None:
        """End at once, whatever runs: the engine itself failed."""
        if self.is_over:
            return
        self.status = "stopping"
        self.steered = None
        self.end = self.closing.abandon()
        self.running = 0
        self.status = self._endings.tell(self.end)

    def leave_order(self, attempt: Attempt) -> None:
        """An attempt that opened scopes keeps no place in the order: its result comes directly after theirs."""
        if self.in_order is not None:
            self.in_order.attempts.remove(attempt)

    def edit(self, update: Mapping[str, bytes | Deleted], by: str | None = None) -> None:
        """Set top-level keys of the state, whole, while it is paused."""
        write_id = f"edit:{self._recorder.next_seq}" if self._recorder is not None else "edit"
        editing.edit(self, update, self._report, self._recorder, write_id=write_id, by=by)

    def emit(self, attempt: Attempt, event: EventData, size: int = 0) -> None:
        """Take what a node emits."""
        self.emissions.emit(attempt, event, size)

    def _settle(self) -> None:
        """Publish the end once nothing is left to do."""
        if self.status == "running":
            if self.root.attempts or self.ready or not self.root.scheduler.is_quiescent:
                return
            self.status = "stopping"
            self.end = self._endings.completed()
        if self.running or self.root.attempts:
            return
        if self.status == "stopping" and self.end is not None and not self.end.is_told:
            self.status = self._endings.tell(self.end)
