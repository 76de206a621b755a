"""One execution, alive: its machine, its log, its lanes and its place in the store."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from functools import cached_property, partial
from typing import Any

import msgspec
from msgspec import Raw

from graphwire.clock import Clock, utc
from graphwire.engine.attempt import Attempt, Phase
from graphwire.engine.commands import Cancel, Command, require_allowed
from graphwire.engine.context import EMPTY, Context
from graphwire.engine.ending import End, timeout, unanswered
from graphwire.engine.execution import Execution
from graphwire.engine.glance import Glance, Glances
from graphwire.engine.guards import Guards
from graphwire.engine.lanes import GRACE_S, Lanes, Spawn
from graphwire.engine.outbox import ExecutionOutbox
from graphwire.engine.permitting import Permits
from graphwire.engine.plan import Plan
from graphwire.engine.ports import Claim, ExecutionEnd, ExecutionStore, Turn
from graphwire.engine.progress import Estimate, Progress
from graphwire.engine.records import Recorder
from graphwire.engine.report import Reporter
from graphwire.engine.restoring import Restoring
from graphwire.engine.starting import Past, Start as Start, log_of, record_of
from graphwire.engine.suspending import Interrupt
from graphwire.engine.voice import Voice, resolver
from graphwire.errors import StorageUnavailable
from graphwire.events import types
from graphwire.events.hub import Hub
from graphwire.events.notices import ExecutionProgress
from graphwire.types import ExecutionId, GraphId, Priority, Status
from graphwire.values import freeze

NOTICE_NS = 250_000_000
_LOG = logging.getLogger(__name__)


class Runner:
    """One execution, alive. Made on the event loop; ``accept`` stores it, ``run`` carries it out.

    Attributes:
        hub: Where its readers subscribe.
        execution: The state machine; read it, do not call it. Made when it is first needed.
        when_became: Called with the new status at each change of it but the end.
        when_over: Called when the end is stored, or it is let go of.
    """

    when_became: Callable[[Status], None] | None = None
    when_over: Callable[[], None] | None = None

    def __init__(
        self,
        plan: Plan,
        start: Start,
        *,
        id: ExecutionId,
        store: ExecutionStore,
        clock: Clock,
        spawn: Spawn,
        threads: Executor,
        hub: Hub,
        estimate: Estimate | None = None,
        grace_s: float = GRACE_S,
        is_restorable: bool = True,
        guards: Guards | None = None,
        queued: types.ExecutionQueued | None = None,
        past: Past | None = None,
        is_attended: bool = True,
    ) -> None:
        """Make the runner.

        Args:
            hub: A new one; its readers may subscribe at once.
            estimate: Judges the progress by earlier executions.
            guards: Shared with other executions; None gives it its own.
            is_restorable: Commits leave deltas in the store; without them nobody can go on after a crash.
            queued: It waits for its turn: ``begin`` comes between ``accept`` and ``run``.
            past: An earlier process has accepted it; it is queued, and ``accept`` is not called.
            is_attended: Somebody answers what nodes ask; else it fails where all that is active waits for input.
        """
        self.id = id
        self.graph_id, self.graph_version = GraphId(plan.definition.id), plan.version
        self.plan = plan
        self.hub = hub
        self.started_at = utc(clock.wall_ns()) if past is None else past.started_at
        self.log = log_of(id, plan, start, past, clock, hub)
        self._clock, self._guards = clock, guards
        self._queued = queued
        self._begun_ns: int | None = 0 if queued is None else None
        self._start = start
        self._store = store
        self._loop = asyncio.get_running_loop()
        record = None if past is not None else record_of(id, plan, start, self.started_at, is_queued=queued is not None)
        self._outbox = ExecutionOutbox(id, hub, store, record)
        self._outbox.when_refused(self._lose)
        self._is_sync, self._is_in_order = start.durability == "sync", start.options.in_order
        self._lanes = Lanes(
            name=f"lane:{id}",
            spawn=spawn,
            threads=threads,
            surroundings=self,
            node_timeout_s=start.node_timeout_s or plan.node_timeout_s,
            grace_s=grace_s,
        )
        self._report = Reporter(self.log, self._outbox, full=start.detail == "full")
        self._is_restorable = is_restorable
        self._estimate = estimate or Estimate(plan)
        self._next_notice = time.monotonic_ns() + NOTICE_NS
        self._limit: asyncio.TimerHandle | None = None
        self._over = asyncio.Event()
        self._storing: set[asyncio.Future[None]] = set()
        self._voice = Voice(self, self._lanes.turn(), is_in_order=self._is_in_order)
        self.from_threads = self._voice.from_threads
        self._statuses: deque[tuple[int, Status]] = deque()
        self._told: Status = "running" if queued is None else "queued"
        self._is_stopping = self._is_paused = False
        self._is_attended = is_attended
        self._waits_for_room = False

    # Both cost memory that one which waits for its turn does without.

    @cached_property
    def execution(self) -> Execution:
        """See the class."""
        if self._restoring is not None:
            made = self._restoring.execution
        else:
            made = Execution(
                self.plan,
                state=self._start.state,
                options=self._start.options,
                clock=self._clock,
                performer=self._lanes,
                reporter=self._report,
                recorder=self._recorder(),
                host=self,
                gate=self._own_gate(),
                guards=self._guards,
            )
        self._lanes.execution = made
        return made

    @cached_property
    def _restoring(self) -> Restoring | None:
        """The past that it goes on from; None where it begins at its entries."""
        start = self._start
        if start.fork is None:
            return None
        restoring = Restoring(self.plan, start.state, start.options, self._clock, guards=self._guards)
        restoring.apply(start.fork)
        return restoring

    def _recorder(self) -> Recorder | None:
        return Recorder(self._outbox, self.hub) if self._is_restorable else None

    def _own_gate(self) -> "Runner | None":
        return self if self._is_sync or self._is_in_order else None

    def _go(self) -> None:
        if self._restoring is None:
            self.execution.start()
        else:
            self._restoring.go_on(self._lanes, self._report, self._recorder(), self, self._own_gate())

    @cached_property
    def _glances(self) -> Glances:
        return Glances(self.execution, self._estimate, self.hub, is_sync=self._is_sync)

    # --- life -----------------------------------------------------------------------------------------------------

    async def accept(self) -> None:
        """Store the start; when it returns the execution is promised to reach an end.

        Raises:
            StorageUnavailable: It cannot be stored now; nothing of it remains.
        """
        reason = self._store.unavailable
        if reason is not None:
            raise StorageUnavailable(f"Nothing can be stored at the moment: {reason}")
        accepted: asyncio.Future[None] = self._loop.create_future()

        def refuse(why: str) -> None:
            if self.hub.is_lost:
                self._lose(why)
            elif not accepted.done():
                accepted.set_exception(StorageUnavailable(f"The start could not be stored: {why}"))

        self._outbox.when_refused(refuse)
        start = self._start
        if start.claim is not None:
            self._outbox.claim(self.log.next_seq, start.claim)
        if start.fork is not None:
            self._outbox.commit(self.log.next_seq, self.log.next_seq, start.fork)
        self._report.execution(self._started() if self._queued is None else self._queued)
        self.hub.when_stored(self.hub.published, lambda: None if accepted.done() else accepted.set_result(None))
        await accepted

    def requeue(self, queued: types.ExecutionQueued) -> None:
        """Tell the place again of one that is queued."""
        if self._begun_ns is None and not self._is_stopping and not self.hub.is_lost:
            self._queued = queued
            self._report.execution(queued)

    def govern(self, permits: Permits, priority: Priority) -> None:
        """Have nodes ask before they begin, but where their order must not depend on the load. Before ``run``."""
        if not self._is_in_order:
            self._lanes.govern(permits, priority)

    def begin(self) -> bool:
        """Begin one that was queued; ``run`` comes next. False where it was ended meanwhile: then it does not."""
        if self.hub.is_lost or self._is_stopping or self._over.is_set():
            return False
        seq, self._begun_ns = self.log.next_seq, self.log.elapsed_ns()
        self._outbox.turn(seq, Turn("running", utc(self._clock.wall_ns()), begins=self.graph_version))
        self._statuses.append((seq, "running"))
        self._report.execution(self._started())
        return True

    def _started(self) -> types.ExecutionStarted:
        start = self._start
        if self._restoring is None:
            entry = [self.plan.nodes[index].id for index in self.plan.entry_indexes(start.options.entry)]
        else:
            entry = list(dict.fromkeys(attempt.node.id for attempt in self._restoring.due))
        return types.ExecutionStarted(
            entry=entry,
            seed=start.options.seed,
            options=Raw(start.told),
            forked_from=start.forked_from or msgspec.UNSET,
        )

    async def run(self) -> None:
        """Carry the execution out; returns when its end is stored, by whomever. Called once, after ``accept``."""
        if self.hub.is_lost:
            return
        self._run_clock()
        self._glances.keep()
        self._lanes.start(self._go)
        await self._over.wait()

    def abort(self) -> None:
        """Let go of everything at once, as if the process had died."""
        self._stop_clock()
        self._lanes.abort()
        self._is_over()

    def _lose(self, why: str) -> None:
        """Let go because the store says that the execution has ended elsewhere."""
        self.abort()
        for waiter in self._storing:
            if not waiter.done():
                waiter.set_exception(StorageUnavailable(why))

    def _is_over(self) -> None:
        self._over.set()
        if self.when_over is not None:
            self.when_over()

    async def wait_ended(self) -> None:
        """Wait until the end is stored."""
        await self._over.wait()

    # --- looked at from outside: all as of the visible mark -------------------------------------------------------

    @property
    def status(self) -> Status:
        """The status as it may be told: terminal only once the end is stored."""
        if self.hub.closed:
            return self.execution.status
        while self._statuses and self._statuses[0][0] <= self.hub.visible:
            self._told = self._statuses.popleft()[1]
        return self._told

    @property
    def queued(self) -> types.ExecutionQueued | None:
        """Its place as it was told last; None for one that has begun."""
        return self._queued if self.status == "queued" else None

    @property
    def elapsed_ns(self) -> int:
        """How long it has run; 0 while it is queued."""
        return 0 if self._begun_ns is None else self.log.elapsed_ns() - self._begun_ns

    @property
    def forked_from(self) -> types.ForkedFrom | None:
        """Where it goes on from, if it is a fork."""
        return self._start.forked_from

    @property
    def is_ended(self) -> bool:
        """Whether the end is stored."""
        return self.hub.closed

    def look(self) -> Glance:
        """Return state, steps and progress as of the newest visible event."""
        return self._glances.latest()

    # --- commands -------------------------------------------------------------------------------------------------

    async def cancel(self, reason: str | None = None, by: str | None = None, *, claim: Claim | None = None) -> int:
        """Cancel the execution; safe to repeat. As ``command``."""
        return await self.command(Cancel(reason), by, claim=claim)

    async def command(self, command: Command, by: str | None = None, *, claim: Claim | None = None) -> int:
        """Carry a command out; returns the number of its stored ``command_accepted`` event.

        Commands have their effect in the order of these events, whoever gives them.

        Args:
            by: Who gave it.
            claim: Stored with that event.

        Raises:
            CommandNotAllowed: It does not fit the status, or the execution has ended.
            GraphwireError: Likewise, by what the command says of itself.
            StorageUnavailable: The command cannot be stored now.
        """
        unavailable = self._store.unavailable
        if unavailable is not None:
            raise StorageUnavailable(f"Nothing can be stored at the moment: {unavailable}")
        if self.execution.is_over:
            await self._over.wait()
            if self.hub.is_lost:
                raise StorageUnavailable("The execution has ended elsewhere.")
        status = "queued" if self._begun_ns is None and not self._is_stopping else self.execution.status
        require_allowed(command.name, status)
        command.check(self.execution)
        if claim is not None:
            self._outbox.claim(self.log.next_seq, claim)
        event = types.CommandAccepted(
            command=command.name, arguments=Raw(command.arguments()), by=msgspec.UNSET if by is None else by
        )
        seq = self._report.execution(event)
        self._lanes.call(partial(command.apply, self.execution, by))
        await self._until_stored(seq)
        return seq

    def interrupts(self) -> list[Interrupt]:
        """Return what waits for an answer, as far as it may be told."""
        visible = self.hub.visible
        return [each for each in self.execution.suspending.interrupts.values() if each.seq <= visible]

    # --- time limit -----------------------------------------------------------------------------------------------

    def _run_clock(self) -> None:
        """Let the time limit count, from now on."""
        limit_s = self._start.timeout_s or self.plan.timeout_s
        if limit_s is not None and self._limit is None and self.execution.status != "paused":
            left_s = limit_s - self.execution.control.active_ns() / 1e9
            self._limit = self._loop.call_later(max(0.0, left_s), self._time_is_up, limit_s)

    def _stop_clock(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def _time_is_up(self, limit_s: float) -> None:
        self.execution.stop(timeout("limits.timeout_s", limit_s))

    def became(self, status: Status) -> None:
        """See ``ending.Host``."""
        self._statuses.append((self.hub.published, status))
        self._is_stopping = status == "stopping"
        if self.when_became is not None:
            self.when_became(status)
        if status == "paused":
            self._is_paused = True
            waits = bool(self.execution.suspending.interrupts)
            self._outbox.turn(self.hub.published, Turn("paused", utc(self._clock.wall_ns()), waiting=waits))
            self._stop_clock()
            asking = self.execution.suspending.asking
            if asking and not self._is_attended:
                self._lanes.call_soon(partial(self.execution.stop, unanswered(asking)))
            return
        if self._is_paused:
            self._is_paused = False
            if status != "stopping":
                self._outbox.turn(self.hub.published, Turn("running", utc(self._clock.wall_ns())))
        if status != "stopping":
            self._run_clock()

    def before_end(self, end: End) -> None:
        """See ``ending.Host``: the last progress is told directly before the terminal event."""
        self._stop_clock()
        self._tell_progress(self._estimate.ended(self.execution))

    def after_end(self, end: End, record: Callable[[], ExecutionEnd]) -> None:
        """See ``ending.Host``: hand the end to the store; over when it is stored."""
        self._outbox.finish(record())
        self._outbox.submit()
        self._lanes.ask_no_more()
        self.hub.when_stored(self.hub.published, self._is_over)

    # --- what lanes ask (``lanes.Surroundings``) --------------------------------------------------------------------

    def context(self, attempt: Attempt, deadline: float | None) -> Context:
        """Make the context of an attempt."""
        return Context(
            attempt,
            self._voice.emit,
            execution_id=self.id,
            graph_id=self.graph_id,
            seed=self._start.options.seed,
            deadline=deadline,
        )

    def between(self, now_ns: int) -> Awaitable[None] | None:
        """See ``lanes.Surroundings``: dispatch waits for room, under ``sync`` for the store."""
        hub = self.hub
        if now_ns >= self._next_notice:
            self.moved(now_ns)
        if not hub.has_room:
            return self._voice.until_room()
        if not self._is_sync:
            return None
        self._glances.keep()
        if self.execution.dispatchable:
            follows = self.execution.dispatchable[0].follows
            if hub.stored < follows:
                return self._until_stored(follows)
        return None

    def is_open(self) -> bool:
        """See ``execution.Gate``."""
        if self.hub.has_room:
            return True
        if not self._waits_for_room:
            self._waits_for_room = True
            self.hub.wait_room(self._room_again)
        return False

    def _room_again(self) -> None:
        self._waits_for_room = False
        self._lanes.call_soon(self.execution.go_on)

    def published(self) -> int:
        """See ``execution.Gate``."""
        return self.hub.published

    def before_effects(self) -> Awaitable[None] | None:
        """See ``lanes.Surroundings``: all that the node's effects follow from is stored first."""
        hub = self.hub
        return self._until_stored(hub.published) if hub.stored < hub.published else None

    def message(self, attempt: Attempt, value: Any) -> Awaitable[None]:
        """Publish what an async generator yielded."""
        body = freeze(value)
        event = types.NodeMessage(scope="yield", message=Raw(body), metadata=EMPTY)
        return self._voice.emit(attempt, event, len(body))

    def warn(self, attempt: Attempt, problem: str, message: str, facts: Mapping[str, Any]) -> None:
        """Publish a warning about a node. Those about time would make two runs differ: they are logged then."""
        if self._is_in_order or attempt.phase is Phase.CLOSED:
            _LOG.warning("%s", message, extra={"execution_id": self.id})
        else:
            self._report.diagnostic(attempt, problem, "warning", message, facts)

    def moved(self, now_ns: int) -> None:
        """Tell the progress, at most four times a second."""
        self._glances.keep()
        if now_ns >= self._next_notice and self.execution.end is None:
            self._next_notice = now_ns + NOTICE_NS
            self._tell_progress(self._estimate.of(self.execution))

    def broke(self, error: Exception) -> None:
        """See ``lanes.Surroundings``: what was accepted reaches an end all the same."""
        _LOG.error("the engine broke", exc_info=error, extra={"execution_id": self.id})
        self.execution.abandon()

    def _tell_progress(self, progress: Progress) -> None:
        self.hub.notice = ExecutionProgress(
            percent=progress.percent,
            completed=progress.completed,
            total=progress.total,
            running=progress.running,
            eta_s=msgspec.UNSET if progress.eta_s is None else progress.eta_s,
        )

    def flush(self) -> None:
        """See ``lanes.Surroundings``: what was taken from a thread is not lost at the end of its attempt."""
        self._voice.flush()

    # --- waiting --------------------------------------------------------------------------------------------------

    async def _until_stored(self, seq: int) -> None:
        waiter: asyncio.Future[None] = self._loop.create_future()
        self.hub.when_stored(seq, resolver(waiter))
        self._storing.add(waiter)
        try:
            await waiter
        finally:
            self._storing.discard(waiter)
