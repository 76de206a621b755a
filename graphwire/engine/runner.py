"""One execution, alive: its machine, its log, its lanes and its place in the store."""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Mapping
from concurrent.futures import Executor
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Raw, Struct, field

from graphwire.clock import Clock, utc
from graphwire.engine.attempt import Attempt, Phase
from graphwire.engine.context import EMPTY, Context
from graphwire.engine.ending import End, timeout
from graphwire.engine.execution import Execution
from graphwire.engine.glance import Glance, Glances
from graphwire.engine.lanes import GRACE_S, Lanes, Spawn
from graphwire.engine.options import Options
from graphwire.engine.outbox import ExecutionOutbox
from graphwire.engine.plan import Plan
from graphwire.engine.ports import Claim, ExecutionEnd, ExecutionRecord, ExecutionStore
from graphwire.engine.progress import Estimate, Progress
from graphwire.engine.records import Recorder
from graphwire.engine.report import Reporter
from graphwire.errors import CommandNotAllowed, StorageUnavailable
from graphwire.events import types
from graphwire.events.hub import Hub
from graphwire.events.log import EventLog
from graphwire.events.notices import ExecutionProgress
from graphwire.events.types import EventData
from graphwire.types import Detail, Durability, ExecutionId, GraphId, Status
from graphwire.values import freeze

NOTICE_NS = 250_000_000
MAX_FROM_THREADS = 1_000
_LOG = logging.getLogger(__name__)


class Start(Struct, frozen=True):
    """What an execution is started with.

    Attributes:
        state: Replaces initial values of the graph key by key; encoded values.
        told: The options as ``execution_started`` shows them, JSON.
        kept: The whole start as it is stored, JSON.
        timeout_s, node_timeout_s: Replace the graph's limits; None for those.
        claim: Stored with the start.
        forked_from: Where it goes on from, if it is a fork.
    """

    state: Mapping[str, bytes] = field(default_factory=dict)
    options: Options = field(default_factory=Options)
    durability: Durability = "async"
    detail: Detail = "standard"
    timeout_s: float | None = None
    node_timeout_s: float | None = None
    correlation_id: str | None = None
    told: bytes = b"{}"
    kept: bytes = b"{}"
    claim: Claim | None = None
    forked_from: types.ForkedFrom | None = None


class Runner:
    """One execution, alive. Made on the event loop; ``accept`` stores it, ``run`` carries it out.

    Attributes:
        hub: Where its readers subscribe.
        execution: The state machine; read it, do not call it.
    """

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
    ) -> None:
        """Make the runner.

        Args:
            hub: A new one; its readers may subscribe at once.
            estimate: Judges the progress by earlier executions.
            is_restorable: Commits leave deltas in the store; without them nobody can go on after a crash.
        """
        self.id = id
        self.graph_id = GraphId(plan.definition.id)
        self.graph_version = plan.version
        self.plan = plan
        self.hub = hub
        self.started_at = utc(clock.wall_ns())
        self.log = EventLog(
            execution_id=id, graph_id=self.graph_id, clock=clock, hub=hub, correlation_id=start.correlation_id
        )
        self._start = start
        self._store = store
        self._loop = asyncio.get_running_loop()
        self._outbox = ExecutionOutbox(id, hub, store, _record(id, plan, start, self.started_at))
        self._is_sync = start.durability == "sync"
        self._is_in_order = start.options.in_order
        self._lanes = Lanes(
            name=f"lane:{id}",
            spawn=spawn,
            threads=threads,
            surroundings=self,
            node_timeout_s=start.node_timeout_s or plan.node_timeout_s,
            grace_s=grace_s,
        )
        self._report = Reporter(self.log, self._outbox, full=start.detail == "full")
        self.execution = Execution(
            plan,
            state=start.state,
            options=start.options,
            clock=clock,
            performer=self._lanes,
            reporter=self._report,
            recorder=Recorder(self._outbox, hub) if is_restorable else None,
            host=self,
            gate=self if self._is_sync or self._is_in_order else None,
        )
        self._lanes.execution = self.execution
        self._estimate = estimate or Estimate(plan)
        self._glances = Glances(self.execution, self._estimate, hub, is_sync=self._is_sync)
        self._next_notice = time.monotonic_ns() + NOTICE_NS
        self._limit: asyncio.TimerHandle | None = None
        self._over = asyncio.Event()
        self._storing: set[asyncio.Future[None]] = set()
        self._thread = threading.get_ident()
        self.from_threads: deque[tuple[Attempt, EventData, int]] = deque()
        self._gate = threading.Condition()
        self._stopping_from: int | None = None
        self._is_draining = self._waits_for_room = False
        self._turn = self._lanes.turn()

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
        entry = [self.plan.nodes[index].id for index in self.plan.entry_indexes(start.options.entry)]
        self._report.execution(
            types.ExecutionStarted(
                entry=entry,
                seed=start.options.seed,
                options=Raw(start.told),
                forked_from=start.forked_from or msgspec.UNSET,
            )
        )
        self.hub.when_stored(self.hub.published, lambda: None if accepted.done() else accepted.set_result(None))
        await accepted

    async def run(self) -> None:
        """Carry the execution out; returns when its end is stored, by whomever. Called once, after ``accept``."""
        if self.hub.is_lost:
            return
        limit_s = self._start.timeout_s or self.plan.timeout_s
        if limit_s is not None:
            self._limit = self._loop.call_later(limit_s, self._time_is_up, limit_s)
        self._glances.keep()
        self._lanes.start()
        await self._over.wait()

    def abort(self) -> None:
        """Let go of everything at once, as if the process had died."""
        if self._limit is not None:
            self._limit.cancel()
        self._lanes.abort()
        self._over.set()

    def _lose(self, why: str) -> None:
        """Let go because the store says that the execution has ended elsewhere."""
        self.abort()
        for waiter in self._storing:
            if not waiter.done():
                waiter.set_exception(StorageUnavailable(why))

    async def wait_ended(self) -> None:
        """Wait until the end is stored."""
        await self._over.wait()

    # --- looked at from outside: all as of the visible mark -------------------------------------------------------

    @property
    def status(self) -> Status:
        """The status as it may be told: terminal only once the end is stored."""
        if self.hub.closed:
            return self.execution.status
        since = self._stopping_from
        return "running" if since is None or self.hub.visible < since else "stopping"

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
        """Cancel the execution; safe to repeat. Returns the number of the stored ``command_accepted`` event.

        Args:
            claim: Stored with that event.

        Raises:
            CommandNotAllowed: It has ended.
            StorageUnavailable: The command cannot be stored now.
        """
        unavailable = self._store.unavailable
        if unavailable is not None:
            raise StorageUnavailable(f"Nothing can be stored at the moment: {unavailable}")
        if self.execution.is_over:
            await self._over.wait()
            if self.hub.is_lost:
                raise StorageUnavailable("The execution has ended elsewhere.")
            raise CommandNotAllowed(f"cannot cancel: the execution is {self.status}", status=self.status, allowed=[])
        if claim is not None:
            self._outbox.claim(self.log.next_seq, claim)
        arguments = msgspec.json.encode({"reason": reason})
        self._report.execution(
            types.CommandAccepted(command="cancel", arguments=Raw(arguments), by=msgspec.UNSET if by is None else by)
        )
        seq = self.hub.published
        self.execution.stop(End("cancelled", reason=reason))
        await self._until_stored(seq)
        return seq

    def _time_is_up(self, limit_s: float) -> None:
        self.execution.stop(timeout("limits.timeout_s", limit_s))

    def stopping(self) -> None:
        """See ``ending.Host``."""
        self._stopping_from = self.hub.published

    def before_end(self, end: End) -> None:
        """See ``ending.Host``: the last progress is told directly before the terminal event."""
        if self._limit is not None:
            self._limit.cancel()
        self._tell_progress(self._estimate.ended(self.execution))

    def after_end(self, end: End, record: Callable[[], ExecutionEnd]) -> None:
        """See ``ending.Host``: hand the end to the store; over when it is stored."""
        self._outbox.finish(record())
        self._outbox.submit()
        self.hub.when_stored(self.hub.published, self._over.set)

    # --- what lanes ask (``lanes.Surroundings``) --------------------------------------------------------------------

    def context(self, attempt: Attempt, deadline: float | None) -> Context:
        """Make the context of an attempt."""
        return Context(
            attempt,
            self._emit,
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
            return self._until_room()
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
        return self._emit(attempt, event, len(body))

    def warn(self, attempt: Attempt, problem: str, message: str, facts: Mapping[str, Any]) -> None:
        """Publish a warning about a node. Those about time would make two runs differ: they are logged then."""
        if self._is_in_order or attempt.phase is Phase.CLOSED:
            _LOG.warning("%s", message, extra={"execution_id": self.id})
        else:
            self._report.diagnostic(attempt, problem, "warning", message, facts)

    def moved(self, now_ns: int) -> None:
        """Tell the progress, at most four times a second."""
        self._glances.keep()
        if now_ns >= self._next_notice and self.execution.status == "running":
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

    # --- emitting -------------------------------------------------------------------------------------------------

    def _emit(self, attempt: Attempt, event: EventData, size: int) -> Awaitable[None]:
        if threading.get_ident() != self._thread:
            self._emit_from_thread(attempt, event, size)
            return self._turn
        if self.may_emit(attempt, size):
            self.execution.emit(attempt, event, size)
            return self._turn
        return _Delivery(self, attempt, event, size)

    def may_emit(self, attempt: Attempt, size: int) -> bool:
        """Whether there is room for an emission, in memory and in what is held until its turn."""
        return self.hub.has_room and (not self._is_in_order or self.execution.emissions.has_room(attempt, size))

    def _emit_from_thread(self, attempt: Attempt, event: EventData, size: int) -> None:
        with self._gate:
            while len(self.from_threads) >= MAX_FROM_THREADS and _may_speak(attempt):
                self._gate.wait(timeout=1.0)  # woken by the drain; looks again whether the attempt is to end
            if not _may_speak(attempt):
                return
            self.from_threads.append((attempt, event, size))
            if self._is_draining:
                return
            self._is_draining = True
        self._loop.call_soon_threadsafe(self._drain)

    def flush(self) -> None:
        """See ``lanes.Surroundings``: what was taken from a thread is not lost at the end of its attempt."""
        with self._gate:
            handed_over = list(self.from_threads)
            self.from_threads.clear()
            self._gate.notify_all()
        for attempt, event, size in handed_over:
            self.execution.emit(attempt, event, size)

    def _drain(self) -> None:
        """Publish what threads emitted, as far as there is room."""
        try:
            while self.from_threads and self.hub.has_room:
                self.execution.emit(*self.from_threads.popleft())
        finally:
            with self._gate:
                waits = self._is_draining = bool(self.from_threads)
                self._gate.notify_all()
        if waits:
            self.hub.wait_room(self._drain_soon)

    def _drain_soon(self) -> None:
        self._loop.call_soon(self._drain)

    async def until_emitted(self, attempt: Attempt, size: int) -> None:
        """Wait until there is room for an emission."""
        while not self.may_emit(attempt, size):
            if not self.hub.has_room:
                await self._until_room()
                continue
            turn: asyncio.Future[None] = self._loop.create_future()
            attempt.on_turn = _resolver(turn)
            await turn

    # --- waiting --------------------------------------------------------------------------------------------------

    async def _until_stored(self, seq: int) -> None:
        waiter: asyncio.Future[None] = self._loop.create_future()
        self.hub.when_stored(seq, _resolver(waiter))
        self._storing.add(waiter)
        try:
            await waiter
        finally:
            self._storing.discard(waiter)

    async def _until_room(self) -> None:
        while not self.hub.has_room:
            waiter: asyncio.Future[None] = self._loop.create_future()
            self.hub.wait_room(_resolver(waiter))
            await waiter


class _Delivery:
    """An emission at the bound: delivered when it is awaited and there is room, else dropped and counted."""

    __slots__ = ("_attempt", "_event", "_is_delivered", "_runner", "_size")

    def __init__(self, runner: Runner, attempt: Attempt, event: EventData, size: int) -> None:
        self._runner = runner
        self._attempt = attempt
        self._event = event
        self._size = size
        self._is_delivered = False
        attempt.dropped += 1

    def __await__(self) -> Generator[Any, None, None]:
        if self._is_delivered:
            return
        self._is_delivered = True
        yield from self._runner.until_emitted(self._attempt, self._size).__await__()
        self._attempt.dropped -= 1
        self._runner.execution.emit(self._attempt, self._event, self._size)


def _record(id: ExecutionId, plan: Plan, start: Start, started_at: datetime) -> ExecutionRecord:
    return ExecutionRecord(
        id=id,
        graph_id=GraphId(plan.definition.id),
        graph_version=plan.version,
        options=start.kept,
        seed=start.options.seed,
        started_at=started_at,
        correlation_id=start.correlation_id,
        forked_from=start.forked_from,
    )


def _may_speak(attempt: Attempt) -> bool:
    return attempt.phase is Phase.RUNNING and attempt.reason is None


def _resolver(waiter: "asyncio.Future[None]") -> Callable[[], None]:
    def resolve() -> None:
        if not waiter.done():
            waiter.set_result(None)

    return resolve
