"""One execution as a state machine: what happens next, never when. No asyncio, no I/O.

The runner takes attempts, carries them out and reports how they ended; the execution commits, routes and says what
is ready. Everything that it decides is told to its reporter and recorded in its deltas.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from graphwire.clock import Clock
from graphwire.engine import routing
from graphwire.engine.attempt import Attempt, Items, Outcome, Phase, Scope
from graphwire.engine.deltas import Recorder
from graphwire.engine.ending import End, Endings, Host, Snapshot
from graphwire.engine.merge import Side, merge
from graphwire.engine.plan import ERRORS, EdgePlan, Plan
from graphwire.engine.policies.failure import describe
from graphwire.engine.report import Reporter, inner_failure, path_of
from graphwire.engine.results import Goto, Result
from graphwire.engine.routing import Route
from graphwire.engine.scheduler import Activation, Scheduler
from graphwire.engine.state import State
from graphwire.errors import (
    ExpressionFailed,
    GraphwireError,
    InputError,
    NodeError,
    RoutingError,
    StateInvalid,
    StateTooLarge,
)
from graphwire.events import types
from graphwire.events.types import EventData, Failure
from graphwire.graphs.behaviour import ForEach, Wait
from graphwire.types import Status
from graphwire.values import DELETE, Deleted, freeze, freeze_update, thaw

MAX_HELD_BYTES = 4 * 1024 * 1024
MAX_GLIMPSE = 64
_ENCODER = msgspec.json.Encoder()


class Performer(Protocol):
    """What the execution asks of its runner. Nothing here may call back into the execution at once."""

    def interrupt(self, attempt: Attempt) -> None:
        """End a running attempt; report with ``closed`` when it is over or has been given up."""

    def sleep(self, attempt: Attempt, seconds: float) -> None:
        """Call ``finish`` for a sleeping attempt after so many seconds."""

    def arm(self, attempt: Attempt) -> None:
        """An open attempt has a time limit from now on."""


@dataclass(frozen=True, slots=True)
class Options:
    """How an execution runs, fixed at its start.

    Attributes:
        entry: Entry nodes by id; None for the definition's.
        max_steps, max_parallelism, max_state_bytes, max_events_per_activation: None for the plan's.
    """

    seed: int = 0
    entry: Sequence[str] | None = None
    in_order: bool = False
    max_steps: int | None = None
    max_parallelism: int | None = None
    max_state_bytes: int | None = None
    max_events_per_activation: int | None = None


class Execution:
    """The course of one execution.

    Attributes:
        status: ``running``, ``stopping`` or terminal.
        ready: Attempts that may begin, in dispatch order.
        steps: Activations begun, those inside a ``foreach`` not counted.
        running: Attempts that hold a slot.
        lost_slots: Slots of attempts that were given up and still run; one slot always remains.
        visited: Node index to the number of its latest activation, for the graph's own nodes.
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
    ) -> None:
        self.plan = plan
        self.options = options
        self.status: Status = "running"
        self.ready: deque[Attempt] = deque()
        self.running = 0
        self.lost_slots = 0
        self.steps = 0
        self.visited: dict[int, int] = {}
        self.partial = False
        self.end: End | None = None
        self._max_steps = options.max_steps or plan.max_steps
        self._max_parallelism = options.max_parallelism or plan.max_parallelism
        self._max_state_bytes = options.max_state_bytes or plan.max_state_bytes
        self.max_events = options.max_events_per_activation or plan.max_events_per_activation
        self._mono_ns = clock.mono_ns
        self._performer = performer
        self._report = reporter
        self._recorder = recorder
        self._order: deque[Attempt] | None = deque() if options.in_order else None
        self._advancing = False
        self._dispatched: deque[Attempt] = deque()
        self._endings = Endings(self, clock, reporter, host)
        initial = {**plan.initial, **state}
        self.root = _scope(plan, plan.entry_indexes(options.entry), "", State.initial(initial))

    # --- dispatch -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Put the entry nodes' activations in the ready order. Called once."""
        self._endings.begin()
        self._add(self.root, self.root.scheduler.start(self.root.start))
        self._advance_in_order()
        self._settle()

    def take(self) -> Attempt | None:
        """Begin the next attempt that needs a slot and return it; None when there is none or no slot is free."""
        if self._order is not None:
            return self._dispatched.popleft() if self._dispatched else None
        while self.ready and self.running < self._slots:
            attempt = self.ready.popleft()
            if self._begin(attempt):
                return attempt
        return None

    @property
    def has_ready(self) -> bool:
        """Whether ``take`` would find something."""
        if self._order is not None:
            return bool(self._dispatched)
        return bool(self.ready) and self.running < self._slots

    @property
    def _slots(self) -> int:
        return max(1, self._max_parallelism - self.lost_slots)

    @property
    def is_over(self) -> bool:
        """Whether the terminal event was published."""
        return self.end is not None and self.end.is_told

    def _advance_in_order(self) -> None:
        """Dispatch what may begin, commit the head, and so on: nothing here depends on when a lane is free."""
        order = self._order
        if order is None or self._advancing:
            return
        self._advancing = True
        while self.status == "running":
            while self.ready and self.running < self._slots:
                attempt = self.ready.popleft()
                if self._begin(attempt):
                    self._dispatched.append(attempt)
            if not order or self.status != "running":
                break
            head = order[0]
            self._release_held(head)
            if head.outcome is None:
                break
            order.popleft()
            if head.phase is Phase.RUNNING:
                self.running -= 1
            outcome, head.outcome = head.outcome, None
            self._commit(head, outcome)
        self._advancing = False

    def _add(self, scope: Scope, activations: Sequence[Activation[State]]) -> None:
        for activation in activations:
            self.ready.append(Attempt(scope, activation))

    def _begin(self, attempt: Attempt) -> bool:
        """Begin an attempt; whether it needs a slot now."""
        scope = attempt.scope
        if not self._count_step(scope, attempt):
            return False
        scope.attempts.add(attempt)
        activation = attempt.activation
        if scope is self.root:
            self.visited[attempt.node.index] = activation.pass_number
        conflicts: Sequence[Any] = ()
        refused: NodeError | None = None
        tokens = activation.tokens
        if len(tokens) > 1:
            try:
                conflicts = self._join(attempt, tokens)
            except NodeError as error:
                refused = error
        attempt.started_ns = self._mono_ns()
        if self._report is not None:
            self._report.begun(attempt, conflicts)
        if self._order is not None:
            self._order.append(attempt)
        if refused is not None:
            attempt.phase = Phase.RUNNING
            self.running += 1
            self.finish(attempt, Outcome(error=refused))
            return False
        behaviour = attempt.node.behaviour
        if isinstance(behaviour, ForEach):
            self._open(attempt, behaviour)
            return False
        if isinstance(behaviour, Wait):
            self._sleep(attempt, behaviour)
            return False
        attempt.phase = Phase.RUNNING
        self.running += 1
        return True

    def _count_step(self, scope: Scope, attempt: Attempt) -> bool:
        counts = scope if scope.opener is not None else self
        if counts.steps >= self._max_steps:
            self._scope_fails(scope, self._endings.too_many_steps(attempt, self._max_steps))
            return False
        counts.steps += 1
        return True

    def _join(self, attempt: Attempt, tokens: Sequence[Any]) -> Sequence[Any]:
        plan = attempt.scope.plan
        sides = [Side(token.state, plan.source_of(token.edge)) for token in tokens]
        merged = merge(
            sides, write=f"{attempt.activation.id}/merge", policies=attempt.node.policies, reducers=plan.reducers
        )
        attempt.folded = merged.folded or None
        attempt.state = merged.state.collapsed() if attempt.scope.scheduler.alone else merged.state
        if attempt.state.size > self._max_state_bytes:
            raise StateTooLarge(
                f"the merged state has {attempt.state.size:,} bytes; the limit is {self._max_state_bytes:,}"
            )
        return merged.conflicts

    def _sleep(self, attempt: Attempt, behaviour: Wait) -> None:
        attempt.phase = Phase.SLEEPING
        try:
            seconds = behaviour.seconds(attempt.state.view())
        except NodeError as error:
            self.finish(attempt, Outcome(error=error))
            return
        self._performer.sleep(attempt, seconds)

    # --- the end of an attempt ------------------------------------------------------------------------------------

    def finish(self, attempt: Attempt, outcome: Outcome) -> None:
        """Take how an attempt ended. Ignored when it has been closed meanwhile: the first outcome wins."""
        if attempt.phase is Phase.CLOSED or attempt.outcome is not None:
            return
        if self.status != "running" or attempt.scope.failure is not None:
            self.closed(attempt)
            return
        if self._order is None:
            if attempt.phase is Phase.RUNNING:
                self.running -= 1
            self._commit(attempt, outcome)
        else:
            attempt.outcome = outcome  # it keeps its slot until its turn, else dispatch would depend on timing
            self._advance_in_order()
        self._settle()

    def closed(self, attempt: Attempt) -> None:
        """An interrupted attempt is over, or has been given up. Idempotent."""
        if attempt.phase is Phase.CLOSED:
            return
        if attempt.phase is Phase.RUNNING:
            self.running -= 1
        self._close(attempt, attempt.reason or "cancelled")

    def _commit(self, attempt: Attempt, outcome: Outcome) -> None:
        if outcome.error is not None:
            self._fail(attempt, outcome.error)
            return
        node = attempt.node
        value, goto = outcome.value, None
        try:
            if value is None:
                update, result = None, b"null"
            else:
                update, result, goto = _frozen(node.output, node.has_output, value)
        except GraphwireError as error:
            self._fail(attempt, error)
            return
        self._succeed(attempt, update, result, goto)

    def _succeed(
        self, attempt: Attempt, update: Mapping[str, bytes | Deleted] | None, result: bytes, goto: Goto | None
    ) -> None:
        scope, node = attempt.scope, attempt.node
        scheduler = scope.scheduler
        alone = scheduler.alone
        state = attempt.state
        try:
            if update:
                state = state.commit(update, attempt.activation.id, scope.plan.reducers, alone=alone)
                if state.size > self._max_state_bytes:
                    raise self._too_large(update, state.size)
            elif alone:
                state = state.collapsed()
            if goto is None and node.plain_route is not None:
                fired, ids = node.plain_route
                route = Route(fired, ids)
            else:
                roots = {"state": state.view(), "result": thaw(result) if node.reads_result else None, "error": None}
                route = routing.after_success(node, roots, goto, self._observer(attempt))
        except NodeError as error:
            self._fail(attempt, error)
            return
        now = self._mono_ns()
        duration = (now - attempt.started_ns) // 1000 / 1000
        attempt.phase = Phase.CLOSED
        scope.attempts.discard(attempt)
        report = self._report
        if self._recorder is not None:
            self._recorder.begin()
        if report is not None:
            self._tell_dropped(attempt)
            report.completed(attempt, duration, route, result)
            if not route.fired and node.plain_route is None and goto is None:
                self._tell_no_route(attempt, state)
        self._endings.timed(attempt, duration)
        self._place(attempt, route, state, update, result)

    def _place(
        self,
        attempt: Attempt,
        route: Route,
        state: State,
        update: Mapping[str, bytes | Deleted] | None,
        result: bytes,
    ) -> None:
        """Put the tokens of a commit on their edges."""
        scope = attempt.scope
        if self._report is not None and self._report.full:
            size = sum(len(value) for value in update.values() if isinstance(value, bytes)) if update else 0
            self._report.left(attempt, route.fired, list(update or ()), size)
        if self._recorder is not None:
            self._recorder.commit(attempt, route, update, state, result)
        if scope.opener is not None:
            scope.result = result
        activations = scope.scheduler.complete(attempt.activation, route.fired, state)
        if activations:
            self._add(scope, activations)
        elif scope.opener is not None and scope.scheduler.is_quiescent:
            self._item_done(scope)

    # --- failure --------------------------------------------------------------------------------------------------

    def _fail(self, attempt: Attempt, error: BaseException | Failure) -> None:
        if isinstance(error, Failure):
            failure = error
        else:
            failure = describe(error, node=attempt.node.id, activation=attempt.activation.id, attempt=attempt.number)
        scope, node = attempt.scope, attempt.node
        attempt.phase = Phase.CLOSED
        scope.attempts.discard(attempt)
        written: dict[str, bytes | Deleted] = {ERRORS: _ENCODER.encode(failure)}
        state = attempt.state.commit(written, attempt.activation.id, scope.plan.reducers, alone=scope.scheduler.alone)
        roots: dict[str, Any] = {"state": state.view(), "result": None, "error": thaw(_ENCODER.encode(failure))}
        report = self._report

        def complain(edge: EdgePlan, broken: ExpressionFailed) -> None:
            if report is not None:
                facts = {"edge": edge.id, "expression": edge.when.text if edge.when else ""}
                report.diagnostic(attempt, broken.code, "warning", broken.detail, facts)

        observe = self._observer(attempt)
        route = routing.after_failure(node, roots, observe, complain)
        policy = node.on_error if route is None else None
        if policy == "continue":
            route = routing.after_continue(node, roots, observe, complain)
        elif policy == "skip":
            route = routing.after_skip(node, roots, observe, complain)
        if self._recorder is not None:
            self._recorder.begin()
        if report is not None:
            self._tell_dropped(attempt)
            duration = (self._mono_ns() - attempt.started_ns) // 1000 / 1000
            report.failed(attempt, duration, failure, route.ids if route is not None else [])
            if policy == "skip":
                report.node(attempt, types.NodeSkippedDueToErrorPolicy(reason=failure.message))
        if route is None:
            if scope.opener is None:
                scope.scheduler.complete(attempt.activation, (), state)  # its errors belong to the final state
                if self._recorder is not None:
                    self._recorder.commit(attempt, routing.NOWHERE, written, state, b"null")
            self._scope_fails(scope, failure)
            return
        if policy is not None:
            self.partial = True
        self._place(attempt, route, state, written, b"null")

    def _scope_fails(self, scope: Scope, failure: Failure) -> None:
        if scope.opener is None:
            self.stop(End("failed", failure=failure))
            return
        if scope.failure is None:
            scope.failure = inner_failure(failure, scope)
            self._clear(scope, "a node of its scope failed")
        self._scope_closed(scope)

    # --- child scopes ---------------------------------------------------------------------------------------------

    def _open(self, attempt: Attempt, behaviour: ForEach) -> None:
        attempt.phase = Phase.OPEN
        try:
            values = behaviour.items.evaluate({"state": attempt.state.view()})
            if not isinstance(values, list):
                raise InputError(f"items is {_kind(values)}, not a list")
        except NodeError as error:
            refused = error if isinstance(error, InputError) else InputError(f"items: {error.detail}")
            self.finish(attempt, Outcome(error=refused))
            return
        if self._order is not None:
            self._order.remove(attempt)
        attempt.items = Items(values)
        self._performer.arm(attempt)
        if values:
            self._open_more(attempt)
        else:
            self._items_done(attempt)

    def _open_more(self, opener: Attempt) -> None:
        items, behaviour, plan = opener.items, opener.node.behaviour, opener.node.body
        assert items is not None
        assert plan is not None
        assert isinstance(behaviour, ForEach)
        while items.following < len(items.values) and len(items.scopes) < behaviour.max_parallelism:
            index = items.following
            items.following += 1
            extra = {behaviour.item: freeze(items.values[index]), behaviour.index: b"%d" % index}
            name = f"{opener.activation.id}/{opener.number}/{index}"
            scope = _scope(plan, plan.entries, name, opener.state.child({**plan.initial, **extra}))
            scope.opener, scope.index, scope.path = opener, index, path_of(opener, index)
            items.scopes.add(scope)
            self._add(scope, scope.scheduler.start(scope.start))

    def _item_done(self, scope: Scope) -> None:
        """An item's scope is quiescent: keep its result and open the next."""
        opener = scope.opener
        assert opener is not None
        assert isinstance(opener.node.behaviour, ForEach)
        try:
            result = scope.result if opener.node.behaviour.single else self._endings.written(scope)
        except NodeError as error:
            self._scope_fails(
                scope, describe(error, node=opener.node.id, activation=opener.activation.id, attempt=opener.number)
            )
            return
        self._item_closed(scope, result)

    def _scope_closed(self, scope: Scope) -> None:
        """A failed scope: once nothing of it runs any more, its item is over."""
        opener = scope.opener
        if scope.attempts or opener is None or opener.items is None or scope not in opener.items.scopes:
            return
        assert scope.failure is not None
        assert isinstance(opener.node.behaviour, ForEach)
        if opener.items.failure is None and not opener.node.behaviour.collect:
            self._opener_fails(opener, scope.failure)
        self._item_closed(scope, _ENCODER.encode(scope.failure))

    def _item_closed(self, scope: Scope, result: bytes) -> None:
        opener = scope.opener
        assert opener is not None
        items = opener.items
        assert items is not None
        items.scopes.discard(scope)
        if opener.phase is Phase.CLOSED:
            return
        if items.failure is not None:
            if not items.scopes:
                self._opener_ends(opener, items.failure)
            return
        items.results[scope.index] = result
        items.done += 1
        total = len(items.values)
        if self._report is not None and (items.done % max(1, total // 20) == 0 or items.done == total):
            self._report.node(opener, types.NodeProgress(completed=items.done, total=total))
        if items.done == total:
            self._items_done(opener)
        elif not items.failure:
            self._open_more(opener)

    def _items_done(self, opener: Attempt) -> None:
        assert opener.items is not None
        result = b"[" + b",".join(opener.items.results) + b"]"
        self._succeed(opener, {opener.node.output: result}, result, None)

    def _opener_fails(self, opener: Attempt, failure: Failure) -> None:
        """Fail an open attempt: its scopes are ended first."""
        items = opener.items
        assert items is not None
        if items.failure is not None:
            return
        items.failure = failure
        for scope in list(items.scopes):
            if scope.failure is None:
                scope.failure = failure
                self._clear(scope, "another item failed")
                self._scope_closed(scope)
        if not items.scopes and opener.phase is Phase.OPEN:
            self._opener_ends(opener, failure)

    def _opener_ends(self, opener: Attempt, failure: Failure) -> None:
        own = Failure(
            code=failure.code,
            type=failure.type,
            message=failure.message,
            node=opener.node.id,
            activation=opener.activation.id,
            attempt=opener.number,
            path=failure.path,
        )
        self._fail(opener, own)

    # --- ending from outside --------------------------------------------------------------------------------------

    def stop(self, end: End) -> None:
        """End the execution: ready attempts are dropped, running ones interrupted. The first end wins."""
        if self.status != "running":
            return
        self.status = "stopping"
        self.end = end
        self._dispatched.clear()
        self.ready.clear()
        self._clear(self.root, end.because)
        self._settle()

    def abandon(self) -> None:
        """End at once, whatever runs: the engine itself failed."""
        if self.is_over:
            return
        self.status = "stopping"
        failure = Failure(code="internal", type="EngineError", message="The engine failed; its log has the error.")
        self.end = End("failed", failure=failure)
        self.ready.clear()
        self._dispatched.clear()
        for scope in self._below(self.root):
            for attempt in list(scope.attempts):
                self._close(attempt, "the engine failed", settle=False)
        self.running = 0
        self.status = self._endings.tell(self.end)

    def expire(self, attempt: Attempt, error: NodeError) -> None:
        """An attempt's time is up: an open one fails, a sleeping one too; a running one is for the runner to end."""
        if attempt.phase is Phase.OPEN:
            failure = describe(error, node=attempt.node.id, activation=attempt.activation.id, attempt=attempt.number)
            self._opener_fails(attempt, failure)
            self._settle()
        elif attempt.phase is Phase.SLEEPING and attempt.outcome is None:
            self.finish(attempt, Outcome(error=error))

    def snapshot(self) -> Snapshot:
        """Return the merge of all live and ended states, as of now."""
        return self._endings.snapshot()

    def _clear(self, scope: Scope, reason: str) -> None:
        """End all that is active in a scope and below it."""
        inner = set(self._below(scope))
        if scope is not self.root:
            self.ready = deque(attempt for attempt in self.ready if attempt.scope not in inner)
            self._dispatched = deque(attempt for attempt in self._dispatched if attempt.scope not in inner)
        for below in inner:
            for attempt in list(below.attempts):
                attempt.reason = attempt.reason or reason
                if attempt.phase is Phase.RUNNING and attempt.outcome is None:
                    self._performer.interrupt(attempt)
                    continue
                if attempt.phase is Phase.RUNNING:
                    self.running -= 1
                self._close(attempt, attempt.reason, settle=False)

    def _below(self, scope: Scope) -> list[Scope]:
        found = [scope]
        for known in found:
            for attempt in known.attempts:
                if attempt.items is not None:
                    found.extend(attempt.items.scopes)
        return found

    def _close(self, attempt: Attempt, reason: str, *, settle: bool = True) -> None:
        attempt.phase = Phase.CLOSED
        scope = attempt.scope
        scope.attempts.discard(attempt)
        if self._order is not None and attempt in self._order:
            self._order.remove(attempt)
        if self._report is not None:
            self._release_held(attempt)
            self._tell_dropped(attempt)
            duration = (self._mono_ns() - attempt.started_ns) // 1000 / 1000
            self._report.cancelled(attempt, duration, reason)
        if settle:
            if scope.failure is not None:
                self._scope_closed(scope)
            self._settle()

    def _settle(self) -> None:
        """Publish the end once nothing is left to do."""
        if self.status == "running":
            if self.root.attempts or self.ready or not self.root.scheduler.is_quiescent:
                return
            self.status = "stopping"
            self.end = self._endings.completed()
        if self.status == "stopping" and self.running == 0 and self.end is not None and not self.end.is_told:
            self.status = self._endings.tell(self.end)

    # --- what nodes emit ------------------------------------------------------------------------------------------

    def emit(self, attempt: Attempt, event: EventData, size: int = 0) -> bool:
        """Publish what a node emits, or hold it until its turn; False if it was dropped at a bound."""
        if attempt.phase is not Phase.RUNNING or attempt.outcome is not None or self._report is None:
            return False
        attempt.emitted += 1
        if attempt.emitted > self.max_events:
            attempt.dropped += 1
            return False
        if self._order is not None and self._order[0] is not attempt:
            return self._hold(attempt, event, size)
        self._report.node(attempt, event)
        return True

    def _hold(self, attempt: Attempt, event: EventData, size: int) -> bool:
        if attempt.held is None:
            attempt.held = deque()
        if attempt.held_bytes + size > MAX_HELD_BYTES:
            attempt.dropped += 1
            return False
        attempt.held.append(event)
        attempt.held_bytes += size
        return True

    def _release_held(self, attempt: Attempt) -> None:
        if attempt.held and self._report is not None:
            for event in attempt.held:
                self._report.node(attempt, event)
            attempt.held, attempt.held_bytes = None, 0

    def _tell_dropped(self, attempt: Attempt) -> None:
        if attempt.dropped and self._report is not None:
            self._report.node(attempt, types.EventsDropped(count=attempt.dropped))

    def _tell_no_route(self, attempt: Attempt, state: State) -> None:
        assert self._report is not None
        conditions = [edge for edge in attempt.node.edges if edge.when is not None and edge.on == "success"]
        if conditions:
            names = sorted({key for edge in conditions if edge.when is not None for key in edge.when.keys or ()})
            looked_at = {name: _glimpse(state.get(name)) for name in names}
            facts = {"edges": [edge.id for edge in conditions], "values": looked_at}
            message = "No edge's condition holds and there is no else edge: the branch ends here."
            self._report.diagnostic(attempt, "no_route", "warning", message, facts)

    def _observer(self, attempt: Attempt) -> routing.Observe | None:
        report = self._report
        if report is None or not report.full:
            return None
        return lambda edge, value: report.evaluated(attempt, edge, value)

    def _too_large(self, update: Mapping[str, bytes | Deleted], size: int) -> StateTooLarge:
        largest = max(update, key=lambda key: len(value) if isinstance(value := update[key], bytes) else 0)
        return StateTooLarge(
            f"the state would have {size:,} bytes with {largest!r}; the limit is {self._max_state_bytes:,} "
            "(limits.max_state_bytes)",
            key=largest,
            bytes=size,
        )


def _scope(plan: Plan, entries: Sequence[int], name: str, state: State) -> Scope:
    scheduler: Scheduler[State] = Scheduler(plan.topology, plan.node_ids, plan.edge_ids, entries, name)
    return Scope(plan, scheduler, name, state)


def _frozen(key: str, has_output: bool, value: Any) -> tuple[Mapping[str, bytes | Deleted] | None, bytes, Goto | None]:
    """Return what a result writes, the result as JSON, and where it goes."""
    goto: Goto | None = None
    if isinstance(value, Goto):
        goto, value = value, value.update
        if value is not None and not isinstance(value, Mapping):
            raise RoutingError(f"the update of a Goto is {_kind(value)}, not a mapping")
    if isinstance(value, Result):
        value = value.value
    if value is None:
        return None, b"null", goto
    update: Mapping[str, bytes | Deleted]
    if isinstance(value, Mapping) and not has_output:
        update = freeze_update(value)
        parts = [freeze(name) + b":" + (b"null" if item is DELETE else item) for name, item in update.items()]
        result = b"{" + b",".join(parts) + b"}"
    elif value is DELETE:
        update, result = {key: DELETE}, b"null"
    else:
        result = freeze(value)
        update = {key: result}
    if ERRORS in update:
        raise StateInvalid("the key 'errors' is reserved: only the engine writes it")
    return update, result, goto


def _kind(value: object) -> str:
    kinds = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number" if isinstance(value, (int, float)) else type(value).__name__)


def _glimpse(value: bytes | None) -> str:
    if value is None:
        return "absent"
    text = value.decode()
    return text if len(text) <= MAX_GLIMPSE else text[:MAX_GLIMPSE] + "…"
