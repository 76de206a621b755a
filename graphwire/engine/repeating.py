"""An execution repeated: its machine, driven by the records of what happened instead of by nodes."""

from collections.abc import Callable, Mapping, Sequence
from typing import assert_never

from graphwire.clock import Clock
from graphwire.engine.attempt import CLOSED, RUNNING, Again, Attempt, Outcome, Phase, Scope, below
from graphwire.engine.editing import set_values
from graphwire.engine.ending import End
from graphwire.engine.execution import Execution
from graphwire.engine.forking import renew
from graphwire.engine.guards import Guards
from graphwire.engine.joining import join, shown_state, sides_of
from graphwire.engine.merge import Merged
from graphwire.engine.options import Options
from graphwire.engine.plan import Plan, Route
from graphwire.engine.records import (
    Answered,
    Breakpoints,
    Commit,
    Edited,
    Forked,
    Opened,
    Paused,
    Record,
    Restored,
    Resumed,
    ScopeFailed,
    Sleeps,
    Stopping,
    Suspended,
    decode_record,
)
from graphwire.engine.state import State
from graphwire.engine.suspending import Interrupt
from graphwire.errors import HistoryDamaged, quoted
from graphwire.graphs.behaviour import Opens
from graphwire.values import DELETE, Frozen


class Nobody:
    """The performer of an execution that is being restored: what it is asked for is done when that goes on."""

    def interrupt(self, attempt: Attempt) -> None:
        """Its turn to be closed comes, or has come."""
        attempt.outcome = Outcome(is_cancelled=True)

    def sleep(self, attempt: Attempt, seconds: float, used_s: float = 0.0) -> None: ...

    def wait(self, attempt: Attempt, seconds: float) -> None: ...

    def arm(self, attempt: Attempt, used_s: float = 0.0) -> None: ...

    def forget(self, attempt: Attempt) -> None: ...

    def stop_clock(self, attempt: Attempt) -> None: ...

    def run_clock(self, attempt: Attempt) -> None: ...

    def expire_at(self, interrupt_id: str, wall_us: int) -> None: ...

    def forget_interrupt(self, interrupt_id: str) -> None: ...

    def call_soon(self, callback: Callable[[], None]) -> None: ...


class Repeating:
    """Repeats an execution, record by record. Runs no node.

    Attributes:
        execution: The machine; until it goes on, ``apply`` alone tells it anything.
        written: The state that the latest commit of the graph itself left; the start's before the first.
        seq: Number of the last event that a record told of.
        recoveries: How often others went on, since the last commit, with attempts that ran and were lost.
        skipped: How many numbers no event has.
        paused_ns: How long it was active until it was paused, or restored, the last time.
        resumed_seq: Number of the event since which it was active again, or still; 0 where that is its first.

    Args:
        start: The state that the execution was started with, encoded value by value.
        goes_on: Child scopes are repeated too. Otherwise records of them change nothing, and no code is called.
        guards: As of ``Execution``.
    """

    def __init__(
        self,
        plan: Plan,
        start: Mapping[str, bytes],
        options: Options,
        clock: Clock,
        *,
        goes_on: bool = True,
        guards: Guards | None = None,
    ) -> None:
        self.plan = plan
        self.execution = execution = Execution(
            plan,
            state=start,
            options=options,
            clock=clock,
            performer=Nobody(),
            reporter=None,
            recorder=None,
            guards=guards,
        )
        self.written: State = execution.root.start
        self.seq = self.recoveries = self.skipped = self.resumed_seq = self.paused_ns = 0
        self._clock = clock
        self._goes_on = goes_on
        self._since: int | None = None
        self._end: End | None = None
        self._ready: dict[str, Attempt] = {}  # by activation, in ready order
        self._begun: dict[str, Attempt] = {}
        self._until_us: dict[str, int] = {}
        self._came_to: dict[str, Outcome] = {}
        self._told: dict[str, int] = {}
        self._is_fork = False  # nothing of it was told but its start
        execution.openers.is_restoring = True
        execution.add(execution.root, execution.root.scheduler.start(execution.root.start))
        self._follow()

    # --- what happened ----------------------------------------------------------------------------------------------

    def apply(self, text: bytes) -> Record:
        """Repeat what a record tells of; return the record.

        Raises:
            HistoryDamaged: It follows from none before it: the records are not those of an execution of this plan.
        """
        record = decode_record(text)
        try:
            self._apply(record)
            self.seq = record.seq
            self._is_fork = isinstance(record, Forked)
            self._follow()
        except (ValueError, LookupError) as error:
            raise HistoryDamaged(f"what is stored does not fit the graph: {error}", seq=record.seq) from error
        return record

    def _apply(self, record: Record) -> None:
        match record:
            case Commit():
                self.recoveries = 0
                if self._goes_on or not record.scope:
                    self._commit(record)
            case Stopping():
                self._end = End(record.status, record.failure, record.reason, record.limit)
            case Restored():
                self.recoveries += record.lost > 0
                self.skipped += record.seq - record.valid_to - 1 - record.lost
                self.paused_ns, self.resumed_seq = record.active_ns, record.seq
            case Edited():
                self._edit(record)
            case Forked():
                self._fork(record)
            case _ if not self._goes_on:
                return
            case ScopeFailed():
                self._fail_scope(record)
            case Sleeps():
                self._sleep(record)
            case Suspended():
                self._suspend(record)
            case Answered():
                self.execution.suspending.answered(record.interrupt_id, bytes(record.value), record.by)
            case Paused():
                self.paused_ns, self.resumed_seq = record.active_ns, record.seq
                self.execution.control.paused(record.reason, record.active_ns, is_told=record.is_told)  # type: ignore[arg-type]
            case Resumed():
                self.resumed_seq = record.seq if self.execution.status == "paused" else self.resumed_seq
                self.execution.control.resumed()
            case Breakpoints():
                self.execution.control.restore_breakpoints(bytes(record.breakpoints))
            case Opened():
                raise ValueError("nothing is recorded of what opens")
            case _:
                assert_never(record)

    def _fork(self, record: Forked) -> None:
        for text in record.records:
            self.apply(bytes(text))
        self._close_cancelled()
        self.recoveries = self.skipped = self.resumed_seq = self.paused_ns = 0
        self._since = self._end = None
        self._ready = renew(self.execution, self._ready, self._begun, self._until_us, self._unbegin)
        self._edit(record)

    def _edit(self, record: Edited | Forked) -> None:
        update: dict[str, Frozen] = {key: bytes(value) for key, value in record.values.items()}
        update.update(dict.fromkeys(record.deleted, DELETE))
        if update:
            ready = self.execution.ready
            ready.extend(self._ready.values())
            set_values(self.execution, update)
            ready.clear()

    def _commit(self, record: Commit) -> None:
        execution = self.execution
        if record.scope:
            self._reopen(self._attempt(record.scope.partition("/")[0]))
        attempt = self._take(record.activation, record.joined_again())
        scope = attempt.scope
        alone = scope.scheduler.alone
        state = attempt.state.commit(
            record.update_again(),
            attempt.activation.id,
            scope.plan.reducers,
            alone=alone,
            folded=record.folded_again(),
        )
        execution.partial = execution.partial or record.partial
        if scope.opener is None:
            self.written = state
        execution.place(attempt, Route(tuple(record.edges), []), state, None, bytes(record.result))

    def _fail_scope(self, record: ScopeFailed) -> None:
        execution = self.execution
        opener = self._attempt(record.scope.partition("/")[0])
        self._reopen(opener)
        scopes = () if opener.opened is None else opener.opened.scopes
        scope = next((scope for scope in scopes if scope.name == record.scope), None)
        if scope is None:
            raise ValueError(f"scope {quoted(record.scope)} is not open")
        self._note_dropped(opener)
        if record.activation:
            self._take(record.activation)
        execution.ready.extend(self._ready.values())  # those of the scope are dropped
        self._ready.clear()
        execution.fail_scope(scope, record.failure)
        if execution.in_order is None:
            for attempt in [attempt for attempt in self._begun.values() if attempt.outcome is not None]:
                self._close(attempt)
        self._forget_closed()

    def _sleep(self, record: Sleeps) -> None:
        execution, name = self.execution, record.activation
        attempt = self._attempt(name)
        if execution.in_order is not None and name in self._ready and not attempt.started_ns:
            self._dispatch(attempt)  # a step began it: it has its place among those that are in order
        attempt = self._begin(attempt)
        self._until_us[name] = record.until_us
        attempt.interrupted = record.interrupted
        if record.since_us is None:
            attempt.number, attempt.phase = record.number, Phase.SLEEPING
            return
        attempt = self._take(name)
        attempt.number = record.number - 1
        self._until_us[name] = record.until_us
        delay_ms = max(0.0, (record.until_us - record.since_us) / 1000)
        self._begun[name] = following = execution.retrying.follow(attempt, Again(delay_ms, record.since_us))
        following.follows = record.seq

    def _suspend(self, record: Suspended) -> None:
        attempt = self._begin(self._attempt(record.activation))
        self._running_less(attempt)
        attempt.number = record.number
        in_order = self.execution.in_order
        if in_order is not None and attempt in in_order.attempts:
            in_order.attempts.remove(attempt)
        asked = Interrupt(
            record.interrupt_id,
            attempt,
            bytes(record.payload),
            bytes(record.schema) or None,
            record.expires_us,
            record.seq,
        )
        self.execution.suspending.suspended(asked)

    # --- what follows from it ---------------------------------------------------------------------------------------

    def _follow(self) -> None:
        """Do what follows from a record and needs none of its own: dispatch in order, or open what can be opened."""
        execution, in_order = self.execution, self.execution.in_order
        while True:
            fresh = self._gather()
            if in_order is None:
                if self._goes_on:
                    for attempt in fresh:
                        self._open(attempt)
                if not execution.ready:
                    return
                continue
            while self._ready and execution.status == "running":
                following = next(iter(self._ready.values()))
                if not in_order.has_slot(following) or not self._may_begin(following):
                    break
                self._dispatch(following)
            if in_order.attempts and in_order.attempts[0].outcome is not None:
                self._close(in_order.attempts.popleft())
            elif not execution.ready:
                return

    def _gather(self) -> list[Attempt]:
        fresh = list(self.execution.ready)
        self.execution.ready.clear()
        for attempt in fresh:
            attempt.follows = attempt.follows or self.seq
            self._begun.pop(attempt.activation.id, None)  # what was answered is ready again
            self._ready[attempt.activation.id] = attempt
        return fresh

    def _open(self, attempt: Attempt) -> None:
        """Open an opener's scopes: when it did does not matter where nothing is in order."""
        behaviour = attempt.node.behaviour
        if isinstance(behaviour, Opens) and not attempt.started_ns and self._may_begin(attempt):
            self._carry_out(self._begin(attempt))

    def _may_begin(self, attempt: Attempt) -> bool:
        return self._counts(attempt).steps < self.execution.max_steps  # else its scope's failure has a record

    def _dispatch(self, attempt: Attempt) -> None:
        assert self.execution.in_order is not None
        self._begin(attempt)
        self.execution.in_order.attempts.append(attempt)
        self._carry_out(attempt)

    def _carry_out(self, attempt: Attempt) -> None:
        behaviour = attempt.node.behaviour
        if isinstance(behaviour, Opens) and attempt.phase is not RUNNING and self._goes_on:
            outcome = self.execution.openers.open(attempt, behaviour)
            if outcome is not None:
                self._came_to[attempt.activation.id] = outcome
        elif attempt.node.needs_slot or attempt.phase is RUNNING:
            attempt.phase = RUNNING
            self.execution.running += 1
        else:
            attempt.phase = Phase.SLEEPING

    def _close(self, attempt: Attempt) -> None:
        self._running_less(attempt)
        self.execution.closing.close(attempt)
        self._forget_closed()

    def _close_cancelled(self) -> None:
        """Close what its scope's end has cancelled."""
        for cancelled in [attempt for attempt in self._begun.values() if attempt.outcome is not None]:
            if self.execution.in_order is not None:
                self.execution.in_order.attempts.remove(cancelled)
            self._close(cancelled)
            self._follow()

    def _forget_closed(self) -> None:
        self._begun = {name: attempt for name, attempt in self._begun.items() if attempt.phase is not CLOSED}

    # --- attempts ---------------------------------------------------------------------------------------------------

    def _attempt(self, activation: str) -> Attempt:
        found = self._begun.get(activation) or self._ready.get(activation)
        if found is not None:
            return found
        # Nothing is recorded of a wait that ended. What follows from scopes shows that they were opened again.
        for attempt in [attempt for attempt in self._begun.values() if attempt.phase is Phase.WAITING]:
            self._reopen(attempt)
            if activation in self._ready or activation in self._begun:
                return self._attempt(activation)
        # Nor of what a step lets begin, in order, where others have to wait.
        for attempt in [*self._ready.values()] if self.execution.in_order is not None else []:
            if isinstance(attempt.node.behaviour, Opens) and not attempt.started_ns and self._may_begin(attempt):
                self._dispatch(attempt)
                self._follow()
                if activation in self._ready or activation in self._begun:
                    return self._attempt(activation)
        raise ValueError(f"activation {quoted(activation)} follows from nothing before it")

    def _reopen(self, attempt: Attempt) -> None:
        """Let an opener's wait for its next attempt be over."""
        if attempt.phase is Phase.WAITING and isinstance(attempt.node.behaviour, Opens):
            attempt.phase = Phase.READY
            attempt.started_ns = self.execution.now_ns()
            self._until_us.pop(attempt.activation.id, None)
            self._carry_out(attempt)
            self._follow()

    def _begin(self, attempt: Attempt, made: Mapping[str, Frozen] | None = None) -> Attempt:
        """Begin an attempt without performing it, if it has not begun.

        Args:
            made: What code made of keys where its tokens met; None where that is to be found out.
        """
        execution, scope, activation = self.execution, attempt.scope, attempt.activation
        is_first = not attempt.started_ns and attempt.again is None
        if len(activation.tokens) > 1 and (made or is_first):
            merged, refused = join(scope.plan, activation, alone=scope.scheduler.alone, folded=made)
            attempt.state, attempt.folded = merged.state, merged.folded or None
            if refused is not None and is_first:
                attempt.phase = RUNNING  # it holds its slot until its turn to fail
        if self._ready.pop(activation.id, None) is None:
            return attempt
        if is_first:
            self._counts(attempt).steps += 1
        scope.attempts[attempt] = None
        attempt.started_ns = execution.now_ns()
        self._begun[activation.id] = attempt
        return attempt

    def _counts(self, attempt: Attempt) -> Scope:
        return attempt.scope.counted

    def _unbegin(self, attempt: Attempt) -> None:
        """Have an attempt that is not performed any more begin again when its turn comes."""
        self._running_less(attempt)
        attempt.phase = Phase.READY
        attempt.scope.attempts.pop(attempt, None)
        if attempt.asked is None:
            attempt.started_ns = 0
            self._counts(attempt).steps -= 1

    def _take(self, activation: str, made: Mapping[str, Frozen] | None = None) -> Attempt:
        """Return an attempt whose end has come; it is closed, and nothing is open in it."""
        in_order = self.execution.in_order
        found = self._attempt(activation)
        has_begun = activation in self._begun
        attempt = self._begin(found, made)
        if has_begun:
            self._running_less(attempt)
        if attempt.opened is not None:
            self._drop_scopes(attempt)
        if in_order is not None and attempt in in_order.attempts:
            if attempt.phase is Phase.WAITING:
                in_order.forget(attempt)
            else:
                in_order.attempts.remove(attempt)
        del self._begun[activation]
        self._until_us.pop(activation, None)
        self._came_to.pop(activation, None)
        self.execution.closing.leave(attempt)
        return attempt

    def _running_less(self, attempt: Attempt) -> None:
        if attempt.phase is RUNNING:
            self.execution.running -= 1

    def _drop_scopes(self, opener: Attempt) -> None:
        """Forget what is open in an attempt: it was ended, and with it the scopes, which has no record of its own."""
        assert opener.opened is not None
        if not opener.opened.scopes:
            return
        self._note_dropped(opener)
        dead = {inner for scope in opener.opened.scopes for inner in below(scope)}
        opener.opened.scopes.clear()
        for attempt in [attempt for attempt in self._begun.values() if attempt.scope in dead]:
            self._running_less(attempt)
            attempt.phase = CLOSED
            del self._begun[attempt.activation.id]
            in_order = self.execution.in_order
            if in_order is not None and attempt in in_order.attempts:
                in_order.attempts.remove(attempt)
        self._ready = {name: attempt for name, attempt in self._ready.items() if attempt.scope not in dead}

    def _note_dropped(self, opener: Attempt) -> None:
        self._since = opener.follows if self._since is None else min(self._since, opener.follows)

    # --- looking at it ----------------------------------------------------------------------------------------------

    def end_with(self, end: End) -> None:
        """Let it end as soon as it goes on. An end that it was told before stands."""
        self._end = self._end or end

    def begun(self, activation: str) -> State | None:
        """Return what an active activation of the graph itself begins with; None for any other."""
        root = self.execution.root
        attempt = self._begun.get(activation) or self._ready.get(activation)
        if attempt is None or attempt.scope is not root:
            return None
        if len(attempt.activation.tokens) == 1:
            return attempt.activation.tokens[0].state
        return join(self.plan, attempt.activation, alone=root.scheduler.alone)[0].state

    def shown(self) -> State:
        """Return the merged state, as people are shown it."""
        return self.merged().state

    def merged(self) -> Merged:
        """Return the merge of all live and ended states, as people are shown it."""
        root = self.execution.root
        return shown_state(self.plan, sides_of(self.plan, root.scheduler, root.start))

    @property
    def due(self) -> Sequence[Attempt]:
        """The attempts that are ready, in order."""
        return list(self._ready.values())

    @property
    def active(self) -> Sequence[Attempt]:
        """The attempts that have begun or are ready."""
        return [*self._begun.values(), *self._ready.values()]

    @property
    def is_stopping(self) -> bool:
        """Whether it was told to end."""
        return self._end is not None

    @property
    def open_since(self) -> int:
        """Number of an event before which nothing began whose end might not be stored."""
        follows = [attempt.follows for attempt in (*self._begun.values(), *self._ready.values())]
        if self._since is not None:
            follows.append(self._since)
        return min(follows, default=self.seq)
