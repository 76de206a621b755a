"""Executions: started, looked at, cancelled."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import msgspec
from msgspec import Raw

from app.services.errors import CodeChanged, no_execution
from app.services.foreign import ForeignService
from app.services.graphs import GraphService
from app.services.launching import Launcher
from app.services.presence import Presence
from app.services.readers import opener
from app.services.recovery import Recovery
from app.services.sharing import LookUps
from app.services.starts import Wishes, graphs_of
from app.services.states import States, replay
from app.services.views import ConflictView, ExecutionView, InterruptView, StateView
from app.storage.repositories.executions import (
    ExecutionQuery,
    ExecutionRepository,
    ExecutionSummary,
    StoredExecution,
)
from graphwire.clock import Clock, utc
from graphwire.engine.commands import Cancel, Command
from graphwire.engine.foreign import ForeignExecution
from graphwire.engine.plan import Plan
from graphwire.engine.ports import Claim, ExecutionStore
from graphwire.engine.progress import Progress
from graphwire.engine.runner import Runner
from graphwire.engine.starting import Start
from graphwire.engine.supervisor import Supervisor
from graphwire.engine.suspending import Interrupt
from graphwire.errors import (
    AtCapacity,
    CommandNotAllowed,
    GraphwireError,
    HistoryDamaged,
    InvalidInput,
    NotFound,
    ShuttingDown,
)
from graphwire.events.hub import Hub
from graphwire.events.types import ExecutionQueued
from graphwire.sinks import Sinks
from graphwire.types import ExecutionId, GraphId, Status

log = logging.getLogger(__name__)

_STORED_AS: Mapping[str, frozenset[str]] = {
    "pausing": frozenset({"running"}),
    "stopping": frozenset({"queued", "running", "paused"}),
}
"""How those are stored that have a status which is not stored."""
ABANDONED = "its last reader left"


@dataclass(frozen=True, slots=True)
class Followed:
    """An execution for its readers.

    Attributes:
        node_ids: What a filter may name; None where the graph cannot be read any more.
    """

    id: ExecutionId
    hub: Hub
    node_ids: frozenset[str] | None


class ExecutionService:
    """Starts executions and tells about them, whether they are alive or stored.

    Args:
        presence: Told which executions are to end with their readers.
        sinks: Given the events of every execution that is started.
        foreign: Keeps those that run elsewhere.
        launcher: Makes them, and lets them begin.
        recovery: Takes up those that an earlier process left.
        max_executions: How many may be alive at once, those included that wait.
    """

    def __init__(
        self,
        graphs: GraphService,
        repository: ExecutionRepository,
        store: ExecutionStore,
        supervisor: Supervisor,
        presence: Presence,
        sinks: Sinks,
        foreign: ForeignService,
        launcher: Launcher,
        recovery: Recovery,
        clock: Clock,
        *,
        max_executions: int,
    ) -> None:
        self._graphs = graphs
        self._repository = repository
        self._store = store
        self._supervisor = supervisor
        self._presence = presence
        self._sinks = sinks
        self._foreign = foreign
        self._launcher = launcher
        self._recovery = recovery
        self._clock = clock
        self._max_executions = max_executions
        self._starting = 0
        self._following = LookUps[ExecutionId, Followed]()
        self._draining = asyncio.Event()

    @property
    def is_draining(self) -> bool:
        """Whether nothing is started any more."""
        return self._draining.is_set()

    def drain(self) -> None:
        """Start nothing any more, and let nobody wait for an end. Idempotent."""
        self._draining.set()
        self._launcher.admissions.close()
        self._foreign.drain()

    async def node_ids(self, graph_id: GraphId, version: int | None) -> frozenset[str]:
        """Return the nodes of a graph, those inside bodies included. Raises as ``GraphService.runnable``."""
        return (await self._graphs.runnable(graph_id, version)).node_ids

    async def start(self, graph_id: GraphId, wishes: Wishes, claim: Claim | None = None) -> Runner:
        """Start an execution. When it returns, the execution is stored, with ``claim``, and will reach an end.

        Raises:
            NotFound: There is no such graph.
            InvalidInput: The graph or the wishes are not valid.
            AlreadyRunning: The graph lets no more be started while it runs.
            AtCapacity: Too many are alive.
            ShuttingDown, StorageUnavailable: Not now.
        """
        return await self.launch(graph_id, lambda: self._launcher.launch(graph_id, wishes, claim), wishes.on_disconnect)

    async def put(self, plan: Plan, start: Start, wishes: Wishes) -> Runner:
        """Start what is ready to start, as the fork of an execution is. Raises as ``start``."""
        graph_id = GraphId(plan.definition.id)
        made = partial(self._launcher.put, plan, start, wishes)
        return await self.launch(graph_id, made, wishes.on_disconnect)

    async def launch(
        self, graph_id: GraphId, make: Callable[[], Awaitable[Runner]], on_disconnect: Literal["continue", "cancel"]
    ) -> Runner:
        """Start what ``make`` makes. Raises as ``start``."""
        if self._draining.is_set():
            raise ShuttingDown("the service stops; try again")
        if len(self._supervisor) + self._starting >= self._max_executions:
            detail = f"{self._max_executions:,} executions are alive (GRAPHWIRE_MAX_EXECUTIONS)"
            raise AtCapacity(detail, limit=self._max_executions)
        self._starting += 1
        try:
            async with self._graphs.starting(graph_id):
                runner = await make()
                self._sinks.follow(runner.hub, opener(runner.id, self._store))
        finally:
            self._starting -= 1
        if on_disconnect == "cancel":
            self._watch(runner)
        return runner

    async def take_up(self) -> None:
        """Take up what an earlier process left. Raises StorageUnavailable."""
        await self._recovery.begin(self._went_on)
        await self._take_up_queued()

    def _went_on(self, runner: Runner, wishes: Wishes, last_seq: int) -> None:
        self._sinks.follow(runner.hub, opener(runner.id, self._store), after=last_seq)
        if wishes.on_disconnect == "cancel":
            self._watch(runner)

    async def _take_up_queued(self) -> None:
        """Let those wait again, in order of arrival, that an earlier process accepted and that have not begun.

        After what had begun is carried on, and before anything is started. One that cannot begin any more fails.

        Raises:
            StorageUnavailable: Not now.
        """
        for queued in await self._repository.queued():
            id, last_seq = queued.summary.id, queued.last_seq
            try:
                runner, wishes = await self._launcher.take_up(queued)
            except (NotFound, InvalidInput, CodeChanged, HistoryDamaged, ValueError, LookupError) as error:
                log.error("it cannot begin any more", exc_info=error, extra={"execution_id": id})
                now = utc(self._clock.wall_ns())
                await self._repository.end_damaged(id, f"it cannot begin any more: {error}", last_seq=last_seq, now=now)
                continue
            self._went_on(runner, wishes, last_seq)
        self._launcher.admissions.go_on()

    def _watch(self, runner: Runner) -> None:
        self._presence.watch(runner.id, partial(self._give_up, runner))
        self._supervisor.spawn(self._unwatch(runner), name=f"watch:{runner.id}")

    def live(self, execution_id: ExecutionId) -> Runner | None:
        """Return an execution that has not ended; None for any other."""
        return self._supervisor.get(execution_id)

    async def alive(self, execution_id: ExecutionId) -> Runner | None:
        """As ``live``, for one too that is yet to be taken up after the start of the service.

        Raises:
            StorageUnavailable: It cannot be taken up now.
        """
        await self._recovery.taken_up(execution_id)
        return self._supervisor.get(execution_id)

    async def wait(self, runner: Runner, timeout_s: float) -> bool:
        """Wait for the end; whether it came. The end of the service ends the wait."""
        ends = [
            self._supervisor.spawn(runner.wait_ended(), name=f"wait:{runner.id}"),
            self._supervisor.spawn(self._until_draining(), name=f"wait:{runner.id}"),
        ]
        try:
            await asyncio.wait(ends, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()
        return runner.is_ended

    async def follow(self, execution_id: ExecutionId) -> Followed:
        """Return what a reader subscribes to.

        Raises:
            NotFound: There is no such execution.
        """
        runner = await self.alive(execution_id)
        if runner is not None:
            nodes = await self._known_nodes(runner.graph_id, runner.graph_version, runner.plan.graphs)
            return Followed(execution_id, runner.hub, nodes)
        foreign = await self._foreign.find(execution_id)
        if foreign is not None:
            return Followed(execution_id, foreign.hub, None)
        return await self._following.get(execution_id, lambda: self._follow_stored(execution_id))

    async def states(self, execution_id: ExecutionId) -> States | None:
        """Return an execution at its start; None where its states cannot be made again."""
        stored = await self._repository.get(execution_id)
        if stored is None or stored.summary.engine == "foreign":
            return None
        try:
            plan = await self._graphs.replayable(stored.summary.graph_id, stored.summary.graph_version)
        except (NotFound, InvalidInput, CodeChanged, LookupError) as error:
            log.info("its states are not shown: %s", error, extra={"execution_id": execution_id})
            return None
        return States(execution_id, self._store, replay(plan, stored.options))

    async def status(self, execution_id: ExecutionId) -> Status:
        """Return the status. Raises as ``view``."""
        alive = await self.alive(execution_id) or await self._foreign.find(execution_id)
        return alive.status if alive is not None else (await self._stored(execution_id)).summary.status

    async def view(self, execution_id: ExecutionId) -> ExecutionView:
        """Return all about an execution but its events and its state.

        Raises:
            NotFound: There is no such execution.
        """
        runner = await self.alive(execution_id)
        if runner is not None:
            return self.view_live(runner, with_errors=True)
        foreign = await self._foreign.find(execution_id)
        if foreign is not None:
            return view_foreign(foreign)
        return await self._ended(await self._stored(execution_id))

    async def result(self, execution_id: ExecutionId) -> tuple[ExecutionView, StateView]:
        """Return an ended execution with its state. Raises as ``view``."""
        stored = await self._stored(execution_id)
        view = await self._ended(stored)
        return view, StateView(view.last_seq, stored.state or b"{}")

    async def state(self, execution_id: ExecutionId) -> StateView:
        """Return the merged state, of a running execution as of now. Raises as ``view``."""
        runner = await self.alive(execution_id)
        foreign = await self._foreign.find(execution_id)
        if foreign is not None:
            return StateView(foreign.hub.visible, b"{}")  # it is told at the end
        if runner is None:
            return (await self.result(execution_id))[1]
        glance = runner.look()
        snapshot = glance.state()
        conflicts = [ConflictView(each.key, each.nodes, each.values, each.policy) for each in snapshot.conflicts]
        return StateView(min(glance.seq, runner.hub.visible), snapshot.state, conflicts)

    async def list(self, query: ExecutionQuery) -> tuple[Sequence[ExecutionView], str | None]:
        """Return a page of executions and the cursor of the next one. A page may be shorter than ``query.limit``.

        Args:
            query: Its statuses are those that are told.

        Raises:
            InvalidCursor: ``query.after`` is no ``next`` of a page in this order.
        """
        statuses = query.statuses
        stored = frozenset[str]().union(*(_STORED_AS.get(status, {status}) for status in statuses))
        page = await self._repository.list(replace(query, statuses=stored))
        views = [await self._listed(summary) for summary in page.items]
        return [view for view in views if not statuses or view.status in statuses], page.next

    async def command(self, execution_id: ExecutionId, command: Command, *, claim: Claim | None = None) -> int:
        """Carry a command out; returns the number of the stored ``command_accepted`` event.

        Args:
            claim: Stored with that event.

        Raises:
            NotFound: There is no such execution.
            CommandNotAllowed: It does not fit the status, or what runs elsewhere.
            GraphwireError: Likewise, by what the command says of itself.
            StorageUnavailable: Not now.
        """
        runner = await self.alive(execution_id)
        if runner is not None:
            return await runner.command(command, claim=claim)
        foreign = await self._foreign.find(execution_id)
        if foreign is not None:
            if isinstance(command, Cancel):
                return await self._foreign.cancel(foreign, command.reason, claim)
            detail = f"cannot {command.name}: the execution runs elsewhere"
            raise CommandNotAllowed(detail, status=foreign.status, allowed=["cancel"], engine="foreign")
        status = (await self._stored(execution_id)).summary.status
        raise CommandNotAllowed(f"cannot {command.name}: the execution is {status}", status=status, allowed=[])

    def view_live(self, runner: Runner, *, with_errors: bool = False) -> ExecutionView:
        """Return what is known of an execution that is alive."""
        queue = self._launcher.admissions.see(runner.id)
        if queue is not None:
            return view_queued(runner, queue)
        glance = runner.look()
        errors = b"[]"
        if with_errors:
            errors = bytes(msgspec.json.decode(glance.state().state, type=_Errors).errors)
        return ExecutionView(
            id=runner.id,
            graph_id=runner.graph_id,
            graph_version=runner.graph_version,
            engine="graphwire",
            status=runner.status,
            outcome=None,
            started_at=runner.started_at,
            ended_at=None,
            duration_ms=runner.elapsed_ns // 1000 / 1000,
            steps=glance.steps,
            last_seq=runner.hub.visible,
            errors=errors,
            progress=glance.progress,
            forked_from=runner.forked_from,
            interrupts=[_interrupt(each) for each in runner.interrupts()] if with_errors else (),
            breakpoints=list(runner.execution.control.breakpoints) if with_errors else (),
        )

    async def _follow_stored(self, execution_id: ExecutionId) -> Followed:
        stored = await self._stored(execution_id)
        summary = stored.summary
        nodes = None
        if summary.engine != "foreign":
            graphs = graphs_of(stored.options)
            nodes = await self._known_nodes(summary.graph_id, summary.graph_version, graphs)
        last_seq = summary.last_seq
        if last_seq is None:
            last_seq = await self._repository.last_seq(execution_id)
        return Followed(execution_id, Hub.ended(last_seq), nodes)

    async def _stored(self, execution_id: ExecutionId) -> StoredExecution:
        stored = await self._repository.get(execution_id)
        if stored is None:
            raise no_execution(execution_id)
        return stored

    async def _ended(self, stored: StoredExecution) -> ExecutionView:
        summary = stored.summary
        progress = None
        if summary.status == "completed" and summary.engine == "graphwire":
            nodes = await self._known_nodes(summary.graph_id, summary.graph_version, graphs_of(stored.options))
            count = len(nodes or ())
            progress = Progress(100.0, count, count)
        return _view(summary, errors=stored.errors or b"[]", progress=progress)

    async def _listed(self, summary: ExecutionSummary) -> ExecutionView:
        runner = self._supervisor.get(summary.id)
        if runner is not None:
            return self.view_live(runner)
        try:
            foreign = await self._foreign.find(summary.id)
        except HistoryDamaged:
            foreign = None  # whoever asks for it alone is told
        if foreign is not None:
            return view_foreign(foreign)
        return _view(summary)

    async def _known_nodes(self, graph_id: GraphId, version: int, graphs: Mapping[str, int]) -> frozenset[str] | None:
        try:
            return (await self._graphs.runnable(graph_id, version, graphs)).node_ids
        except (NotFound, InvalidInput, CodeChanged):
            return None

    async def _unwatch(self, runner: Runner) -> None:
        await runner.wait_ended()
        self._presence.forget(runner.id)

    def _give_up(self, runner: Runner) -> None:
        if not self._draining.is_set():
            self._supervisor.spawn(_cancel_quietly(runner), name=f"abandoned:{runner.id}")

    async def _until_draining(self) -> None:
        await self._draining.wait()


def view_queued(runner: Runner, queue: ExecutionQueued) -> ExecutionView:
    """Return what is known of an execution that waits for its turn."""
    return ExecutionView(
        id=runner.id,
        graph_id=runner.graph_id,
        graph_version=runner.graph_version,
        engine="graphwire",
        status=runner.status,
        outcome=None,
        started_at=runner.started_at,
        ended_at=None,
        duration_ms=0.0,
        steps=0,
        last_seq=runner.hub.visible,
        progress=Progress(0.0, 0, len(runner.plan.nodes)),
        queue=queue,
    )


def view_foreign(execution: ForeignExecution) -> ExecutionView:
    """Return what is known of an execution that runs elsewhere. How much of it there is to come, nobody knows."""
    return ExecutionView(
        id=execution.id,
        graph_id=execution.graph_id,
        graph_version=execution.graph_version,
        engine="foreign",
        status=execution.status,
        outcome=None,
        started_at=execution.started_at,
        ended_at=None,
        duration_ms=execution.duration_ms,
        steps=execution.steps,
        last_seq=execution.hub.visible,
    )


def _interrupt(interrupt: Interrupt) -> InterruptView:
    expires_us = interrupt.expires_us
    return InterruptView(
        id=interrupt.id,
        node=interrupt.attempt.node.id,
        activation=interrupt.attempt.activation.id,
        payload=interrupt.payload,
        schema=interrupt.schema,
        expires_at=None if expires_us is None else utc(expires_us * 1000),
    )


class _Errors(msgspec.Struct):
    errors: Raw = Raw(b"[]")


async def _cancel_quietly(runner: Runner) -> None:
    try:
        await runner.cancel(ABANDONED)
    except GraphwireError as error:
        log.info("the last reader left; not cancelled: %s", error, extra={"execution_id": runner.id})


def _view(summary: ExecutionSummary, *, errors: bytes = b"[]", progress: Progress | None = None) -> ExecutionView:
    return ExecutionView(
        id=summary.id,
        graph_id=summary.graph_id,
        graph_version=summary.graph_version,
        engine=summary.engine,
        status=summary.status,
        outcome=summary.outcome,
        started_at=summary.started_at,
        ended_at=summary.ended_at,
        duration_ms=summary.duration_ms or 0.0,
        steps=summary.steps or 0,
        last_seq=summary.last_seq or 0,
        error=summary.error,
        errors=errors,
        reason=summary.reason,
        progress=progress,
        forked_from=summary.forked_from,
    )
