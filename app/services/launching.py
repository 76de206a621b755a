"""Makes executions, and has them stored and begun, or queued."""

import logging
import time
from collections.abc import Mapping

from msgspec.structs import replace as replaced

from app.services.admission import Admissions
from app.services.graphs import GraphService
from app.services.starts import Wishes, graphs_of, prepare, rules_of, wishes_of
from app.storage.repositories.executions import ExecutionRepository, UnfinishedExecution
from graphwire.clock import Clock
from graphwire.engine.guards import Guards
from graphwire.engine.permitting import Permits
from graphwire.engine.plan import Plan
from graphwire.engine.policies.admission import Rules
from graphwire.engine.ports import Claim, ExecutionStore
from graphwire.engine.progress import Estimate
from graphwire.engine.revived import Revived
from graphwire.engine.runner import Runner
from graphwire.engine.starting import Past, Start
from graphwire.engine.supervisor import Supervisor
from graphwire.errors import GraphwireError, HistoryDamaged, StorageUnavailable
from graphwire.events.hub import Hub
from graphwire.events.room import Room
from graphwire.events.types import ExecutionQueued
from graphwire.ids import new_execution_id
from graphwire.types import ExecutionId, GraphId

log = logging.getLogger(__name__)

DURATIONS_AGE_S = 5.0
LAST_BYTES = 65_536
RESTARTED = "the service was started again"


class Launcher:
    """Makes executions of graphs.

    Args:
        admissions: Says which of them begin, and which have to wait.
        permits: Says how fast their nodes begin; None where nothing is governed.
    """

    def __init__(
        self,
        graphs: GraphService,
        repository: ExecutionRepository,
        store: ExecutionStore,
        supervisor: Supervisor,
        admissions: Admissions,
        clock: Clock,
        room: Room,
        permits: Permits | None = None,
        *,
        ring_events: int,
        ring_bytes: int,
        tracebacks: bool = False,
    ) -> None:
        self._graphs = graphs
        self._repository = repository
        self._store = store
        self._supervisor = supervisor
        self.admissions = admissions
        self._clock = clock
        self._guards = Guards(clock)
        self._room = room
        self._permits = permits
        self._ring_events = ring_events
        self._ring_bytes = ring_bytes
        self._tracebacks = tracebacks
        self._durations: dict[tuple[GraphId, int], tuple[float, Mapping[str, float]]] = {}

    async def launch(self, graph_id: GraphId, wishes: Wishes, claim: Claim | None) -> Runner:
        """Have an execution stored, and begun or queued.

        Raises:
            NotFound: There is no such graph.
            InvalidInput: The graph or the wishes are not valid.
            AlreadyRunning: The graph lets no more be started while it runs.
            StorageUnavailable: Not now.
        """
        plan = (await self._graphs.runnable(graph_id, wishes.version)).plan
        return await self.put(plan, prepare(wishes, plan, claim), wishes)

    async def put(self, plan: Plan, start: Start, wishes: Wishes) -> Runner:
        """Have what is ready to start stored, and begun or queued.

        Raises:
            StorageUnavailable: Not now.
        """
        estimate = await self._estimate(plan)
        id, rules = new_execution_id(self._clock), rules_of(plan, wishes)
        queued = self.admissions.admit(id, GraphId(plan.definition.id), rules, wishes.priority)
        try:
            runner = self.make(plan, start, id, estimate, queued=queued)
            await runner.accept()
        except BaseException:
            self.admissions.refuse(id)
            raise
        self.admissions.launch(runner, rules, wishes.priority)
        await self.replace(runner, rules)
        return runner

    async def replace(self, runner: Runner, rules: Rules) -> None:
        """Cancel those of its graph whose place an execution takes, if the graph says so."""
        if rules.overlap != "replace":
            return
        for victim in self.admissions.elder(runner, rules):
            try:
                await victim.cancel(f"replaced by {runner.id}")
            except GraphwireError as error:
                log.info("not replaced: %s", error, extra={"execution_id": victim.id})

    async def take_up(self, queued: UnfinishedExecution) -> tuple[Runner, Wishes]:
        """Let one wait again that an earlier process has accepted.

        Raises:
            NotFound, InvalidInput, CodeChanged, LookupError, ValueError: It cannot be run any more.
            HistoryDamaged: What is stored of it cannot be read.
            StorageUnavailable: Not now.
        """
        summary, last_seq = queued.summary, queued.last_seq
        stored = await self._store.read_events(
            summary.id, after=last_seq - 1, upto=last_seq, limit=1, max_bytes=LAST_BYTES
        )
        if not stored:
            raise HistoryDamaged("none of its events is stored")
        wishes = wishes_of(queued.options)
        plan = (await self._graphs.runnable(summary.graph_id, summary.graph_version, graphs_of(queued.options))).plan
        wait = ExecutionQueued(position=1, priority=wishes.priority, reason=RESTARTED)
        # All that it has said were barriers: nobody has seen a number that is not stored.
        past = Past(summary.started_at, stored[0].line, last_seq)
        start = prepare(wishes, plan)
        if summary.forked_from is not None:
            start = replaced(start, forked_from=summary.forked_from, fork=await self._fork_of(summary.id))
        runner = self.make(plan, start, summary.id, await self._estimate(plan), queued=wait, past=past)
        self.admissions.take_up(runner, rules_of(plan, wishes), wishes.priority)
        await self.replace(runner, rules_of(plan, wishes))
        return runner, wishes

    async def _fork_of(self, execution_id: ExecutionId) -> bytes | None:
        records = (await self._store.read_deltas(execution_id)).items
        return records[0] if records else None

    async def make_again(self, plan: Plan, start: Start, id: ExecutionId, past: Past, next_seq: int) -> Revived:
        """Return the runner of an execution that had begun in an earlier process; ``take_up`` comes next."""
        made = self.make(plan, start, id, await self._estimate(plan), past=past, next_seq=next_seq)
        assert isinstance(made, Revived)
        return made

    def make(
        self,
        plan: Plan,
        start: Start,
        id: ExecutionId,
        estimate: Estimate,
        *,
        queued: ExecutionQueued | None = None,
        past: Past | None = None,
        next_seq: int | None = None,
    ) -> Runner:
        """Return the runner of an execution, whose numbers go on at ``next_seq``."""
        if self._tracebacks:
            start = replaced(start, options=replaced(start.options, tracebacks=True))
        hub = Hub(
            ring_events=self._ring_events,
            ring_bytes=self._ring_bytes,
            durability=start.durability,
            room=self._room,
            first_seq=next_seq or (1 if past is None else past.events + 1),
        )
        kind = Runner if next_seq is None else Revived
        runner = kind(
            plan,
            start,
            id=id,
            store=self._store,
            clock=self._clock,
            spawn=self._supervisor.spawn,
            threads=self._supervisor.threads,
            hub=hub,
            estimate=estimate,
            guards=self._guards,
            queued=queued,
            past=past,
        )
        if self._permits is not None:
            runner.govern(self._permits, start.priority)
        return runner

    async def _estimate(self, plan: Plan) -> Estimate:
        """Judge by earlier executions. What they took is looked up again, in the background, when it is old."""
        key = GraphId(plan.definition.id), plan.version
        now = time.monotonic()
        at, durations = self._durations.get(key, (now, {}))
        if not durations:
            durations = await self._learn(*key)
        elif now - at > DURATIONS_AGE_S:
            self._durations[key] = now, durations  # one looks it up, and nobody waits for it
            self._supervisor.spawn(self._refresh(*key), name=f"durations:{key[0]}")
        return Estimate(plan, durations)

    async def _learn(self, graph_id: GraphId, version: int) -> Mapping[str, float]:
        found = await self._repository.node_durations(graph_id, version)
        durations = {node: duration.mean_ms for node, duration in found.items()}
        self._durations[graph_id, version] = time.monotonic(), durations
        return durations

    async def _refresh(self, graph_id: GraphId, version: int) -> None:
        try:
            await self._learn(graph_id, version)
        except StorageUnavailable as error:
            log.info("durations of graph %s are not looked up now: %s", graph_id, error)
