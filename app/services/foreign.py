"""Executions of engines that run elsewhere: declared, reported, and ended when their producers are lost."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

import msgspec

from app.services.errors import ExecutionExists, no_execution
from app.services.graphs import GraphService
from app.services.producers import Producers
from app.services.readers import opener
from app.storage.repositories.executions import ExecutionRepository, StoredExecution
from graphwire.clock import Clock, utc
from graphwire.engine.foreign import Command, ForeignExecution, Taken
from graphwire.engine.ports import Claim, ExecutionRecord, ExecutionStore
from graphwire.engine.reported import Report
from graphwire.engine.supervisor import Supervisor
from graphwire.errors import (
    AtCapacity,
    CommandNotAllowed,
    HistoryDamaged,
    ShuttingDown,
    StorageUnavailable,
    quoted,
)
from graphwire.events.hub import Hub
from graphwire.events.room import Room
from graphwire.events.types import Failure
from graphwire.ids import new_execution_id
from graphwire.sinks import Sinks
from graphwire.types import ExecutionId, GraphId, Status

log = logging.getLogger(__name__)

NO_VERSION = 0
PAGE_EVENTS = 1_000
PAGE_BYTES = 1024 * 1024
LOST = "producer_lost"
_GONE = "another server goes on with the execution, or has ended it"


@dataclass(frozen=True, slots=True)
class Declaration:
    """An execution that is about to run elsewhere.

    Attributes:
        graph_id: The name of what runs; with a ``version``, that of a graph which is stored here.
        id: None for a new one.
    """

    graph_id: GraphId
    version: int | None = None
    id: ExecutionId | None = None
    correlation_id: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of reported events, in their order.

    Attributes:
        last_seq: The newest event of the execution.
        commands: What the producer has still to follow.
    """

    events: Sequence[Taken]
    last_seq: int
    status: Status
    commands: Sequence[Command]


@dataclass(slots=True)
class _Kept:
    """An execution in memory; ``waiting`` are those who wait for the store."""

    execution: ForeignExecution
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: set["asyncio.Future[None]"] = field(default_factory=set)


class ForeignService:
    """Keeps the executions that run elsewhere. One that nobody asks for costs no task and, after a start, no memory.

    Args:
        supervisor: Owns the tasks that end what is given up.
        producers: Watched from ``open`` to ``drain``.
        sinks: Given the events of every execution.
        max_executions: How many may be running elsewhere at once.
    """

    def __init__(
        self,
        graphs: GraphService,
        repository: ExecutionRepository,
        store: ExecutionStore,
        supervisor: Supervisor,
        producers: Producers,
        sinks: Sinks,
        clock: Clock,
        room: Room,
        *,
        ring_events: int,
        ring_bytes: int,
        max_executions: int,
    ) -> None:
        self._graphs = graphs
        self._repository = repository
        self._store = store
        self._supervisor = supervisor
        self._producers = producers
        self._sinks = sinks
        self._clock = clock
        self._room = room
        self._ring_events = ring_events
        self._ring_bytes = ring_bytes
        self._max_executions = max_executions
        self._kept: dict[ExecutionId, _Kept] = {}
        self._loading = WeakValueDictionary[ExecutionId, asyncio.Lock]()  # each as long as somebody is at it
        self._declaring: set[ExecutionId] = set()
        self._is_draining = False

    async def open(self) -> None:
        """Find those that an earlier process left running: their producers have the whole time again.

        Raises:
            StorageUnavailable: The database cannot be read.
        """
        self._producers.watch(await self._repository.reported_elsewhere(), self._give_up)

    def drain(self) -> None:
        """Take nothing more: who reports is told to come back. Idempotent."""
        self._is_draining = True
        self._producers.close()

    # --- declared and found ---------------------------------------------------------------------------------------

    async def declare(self, declared: Declaration, claim: Claim | None) -> ForeignExecution:
        """Begin one. When it returns it is stored, with ``claim``.

        Raises:
            NotFound: A version is named, and there is no such version of a graph.
            ExecutionExists: The id is taken.
            AtCapacity: Too many have not ended.
            ShuttingDown, StorageUnavailable: Not now.
        """
        self._require_store()
        if len(self._producers) + len(self._declaring) >= self._max_executions:
            detail = f"{self._max_executions:,} executions run elsewhere (GRAPHWIRE_MAX_EXECUTIONS)"
            raise AtCapacity(detail, limit=self._max_executions)
        if declared.version is not None:
            await self._graphs.version(declared.graph_id, declared.version)
        execution_id = declared.id or new_execution_id(self._clock)
        if execution_id in self._declaring:
            raise _exists(execution_id)
        self._declaring.add(execution_id)
        try:
            if declared.id is not None and await self._repository.is_taken(execution_id):
                raise _exists(execution_id)
            return await self._accepted(declared, execution_id, claim)
        finally:
            self._declaring.discard(execution_id)

    async def _accepted(
        self, declared: Declaration, execution_id: ExecutionId, claim: Claim | None
    ) -> ForeignExecution:
        options = {"engine": "foreign", "version": declared.version, "metadata": declared.metadata}
        record = ExecutionRecord(
            id=execution_id,
            graph_id=declared.graph_id,
            graph_version=declared.version or NO_VERSION,
            options=msgspec.json.encode(options),
            seed=0,
            started_at=utc(self._clock.wall_ns()),
            correlation_id=declared.correlation_id,
            engine="foreign",
        )
        execution = ForeignExecution(record, hub=self._hub(1), store=self._store, clock=self._clock)
        kept = _Kept(execution)
        seq = execution.accept(claim, lambda why: self._refused(kept, why))
        self._kept[execution_id] = kept  # who finds it in the database, a moment before this waiter does, finds it here
        self._heard(execution)
        await self._until_stored(kept, seq)
        self._sinks.follow(execution.hub, opener(execution_id, self._store))
        return execution

    async def find(self, execution_id: ExecutionId) -> ForeignExecution | None:
        """Return an execution that runs elsewhere and has not ended; None for any other.

        Raises:
            HistoryDamaged: Its history cannot be read.
            StorageUnavailable: Not now.
        """
        if execution_id not in self._producers:
            return None
        kept = await self._found(execution_id)
        return None if kept is None else kept.execution

    async def _found(self, execution_id: ExecutionId) -> _Kept | None:
        kept = self._kept.get(execution_id)
        if kept is not None:
            return kept
        async with self._loading.setdefault(execution_id, asyncio.Lock()):
            kept = self._kept.get(execution_id)
            if kept is None:
                stored = await self._repository.get(execution_id)
                if stored is not None and stored.summary.status == "running":
                    kept = self._kept[execution_id] = await self._restored(stored)
        return kept

    async def _restored(self, stored: StoredExecution) -> _Kept:
        """Make it again from its stored events, which is done once."""
        summary = stored.summary
        last_seq = await self._repository.last_seq(summary.id)
        record = ExecutionRecord(
            id=summary.id,
            graph_id=summary.graph_id,
            graph_version=summary.graph_version,
            options=stored.options,
            seed=summary.seed,
            started_at=summary.started_at,
            correlation_id=summary.correlation_id,
            engine="foreign",
        )
        hub = self._hub(last_seq + 1)
        execution = ForeignExecution.restored(record, hub=hub, store=self._store, clock=self._clock)
        cursor, page = 0, []
        while cursor < last_seq:
            page = await self._store.read_events(
                summary.id, after=cursor, upto=last_seq, limit=PAGE_EVENTS, max_bytes=PAGE_BYTES
            )
            if not page or page[0].seq != cursor + 1:
                break
            execution.replay(page)
            cursor = page[-1].seq
        if cursor < last_seq or not page:
            raise HistoryDamaged(f"Event {cursor + 1} is missing.", seq=cursor + 1)
        kept = _Kept(execution)
        execution.resume(page[-1], lambda why: self._refused(kept, why))
        if execution.commands:
            self._producers.hurry(summary.id)
        self._sinks.follow(hub, opener(summary.id, self._store), after=last_seq)
        return kept

    def _hub(self, first_seq: int) -> Hub:
        return Hub(
            ring_events=self._ring_events,
            ring_bytes=self._ring_bytes,
            durability="sync",
            first_seq=first_seq,
            room=self._room,
        )

    # --- reported -------------------------------------------------------------------------------------------------

    async def append(self, execution_id: ExecutionId, reports: Sequence[Report]) -> Appended:
        """Take events, all or none. When it returns they are stored, those included that were there before.

        Cancelling it takes nothing back.

        Raises:
            NotFound: There is no such execution.
            CommandNotAllowed: It has ended, or runs in this service.
            InvalidInput: Events are wrong; with every problem.
            ShuttingDown, StorageUnavailable: Not now.
        """
        self._require_store()
        kept = await self._found(execution_id) if execution_id in self._producers else None
        if kept is None:
            return await self._repeated(execution_id, reports)
        execution = kept.execution
        async with self._turn(kept):
            known = await self._known(kept, reports)
            fresh: dict[str, Report] = {}
            for report in reports:
                if report.id not in known:
                    fresh.setdefault(report.id, report)
            given = {each.id: each for each in execution.take(list(fresh.values()))}
            if given and execution.is_over:
                execution.hub.when_stored(execution.hub.published, lambda: self._drop(execution_id))
        self._heard(execution)
        answer = _in_order(reports, known, given)
        await self._until_stored(kept, max((each.seq for each in answer), default=0))
        return Appended(answer, execution.hub.visible, execution.status, execution.commands)

    async def _known(self, kept: _Kept, reports: Sequence[Report]) -> dict[str, int]:
        """Return what is known already. First what is to be stored: what is stored meanwhile is still found there."""
        known = {}
        for report in reports:
            seq = kept.execution.unstored(report.id)
            if seq is not None:
                known[report.id] = seq
        asked = list({report.id for report in reports if report.id not in known})
        if asked:
            known.update(await self._repository.reported(kept.execution.id, asked))
        return known

    async def _repeated(self, execution_id: ExecutionId, reports: Sequence[Report]) -> Appended:
        """Answer a report on what does not run elsewhere any more: what is known is said again, nothing is added."""
        stored = await self._repository.get(execution_id)
        if stored is None:
            raise no_execution(execution_id)
        summary = stored.summary
        if summary.engine != "foreign":
            detail = "this execution is carried out here; only one that was declared takes events"
            raise CommandNotAllowed(detail, status=summary.status, allowed=[])
        known = await self._repository.reported(execution_id, list({report.id for report in reports}))
        if any(report.id not in known for report in reports):
            detail = f"nothing can be added: the execution is {summary.status}"
            raise CommandNotAllowed(detail, status=summary.status, allowed=[])
        return Appended(_in_order(reports, known, {}), summary.last_seq or 0, summary.status, [])

    async def cancel(self, execution: ForeignExecution, reason: str | None, claim: Claim | None) -> int:
        """Tell the producer to end it; returns the number of the stored ``command_accepted`` event. Safe to repeat.

        Raises:
            CommandNotAllowed: It has ended.
            StorageUnavailable: Not now.
        """
        self._require_store()
        kept = self._kept.get(execution.id) or _Kept(execution)
        async with self._turn(kept):
            seq = execution.cancel(reason, claim)
        self._producers.hurry(execution.id)
        self._heard(execution)
        await self._until_stored(kept, seq)
        return seq

    @asynccontextmanager
    async def _turn(self, kept: _Kept) -> AsyncIterator[None]:
        """Let one request after the other add events; there is room for them, and an end that was told is stored."""
        async with kept.turn:
            hub = kept.execution.hub
            while not hub.has_room and not hub.is_lost:
                async with _waiter(kept) as waiter:
                    hub.wait_room(partial(_resolve, waiter))
                    await waiter
            if kept.execution.is_over:
                await self._until_stored(kept, hub.published)
            if hub.is_lost:
                raise StorageUnavailable(_GONE)
            yield

    # --- given up -------------------------------------------------------------------------------------------------

    def _give_up(self, execution_id: ExecutionId) -> None:
        self._supervisor.spawn(self.end_lost(execution_id), name=f"lost:{execution_id}")

    async def end_lost(self, execution_id: ExecutionId) -> None:
        """End one whose producer is lost: as cancelled if it was to be cancelled, else as failed. Never raises."""
        try:
            kept = await self._found(execution_id)
            if kept is None:
                self._drop(execution_id)
                return
            async with self._turn(kept):
                if not self._producers.is_lost(execution_id):
                    return  # it was heard of meanwhile, or has ended
                seq = kept.execution.give_up(self._loss())
                kept.execution.hub.when_stored(seq, lambda: self._drop(execution_id))
            await self._until_stored(kept, seq)
        except StorageUnavailable as error:
            log.info("not given up now: %s", error, extra={"execution_id": execution_id})
        except HistoryDamaged as error:
            log.error("the history cannot be read", exc_info=error, extra={"execution_id": execution_id})
            now = utc(self._clock.wall_ns())
            last_seq = await self._repository.last_seq(execution_id)
            await self._repository.end_damaged(execution_id, error.detail, last_seq=last_seq, now=now)
            self._drop(execution_id)

    def _loss(self) -> Failure:
        message = f"nothing was heard of its producer for {self._producers.idle_s:g} s (GRAPHWIRE_FOREIGN_IDLE_S)"
        return Failure(code=LOST, type="ProducerLost", message=message)

    def _heard(self, execution: ForeignExecution) -> None:
        if not execution.is_ended:
            self._producers.hear(execution.id)

    # --- the store ------------------------------------------------------------------------------------------------

    def _require_store(self) -> None:
        if self._is_draining:
            raise ShuttingDown("the service stops; try again")
        reason = self._store.unavailable
        if reason is not None:
            raise StorageUnavailable(f"Nothing can be stored at the moment: {reason}")

    async def _until_stored(self, kept: _Kept, seq: int) -> None:
        async with _waiter(kept) as waiter:
            kept.execution.hub.when_stored(seq, partial(_resolve, waiter))
            await waiter

    def _refused(self, kept: _Kept, why: str) -> None:
        """The start cannot be stored, or another server has the execution: let go of it."""
        self._kept.pop(kept.execution.id, None)
        if not kept.execution.hub.is_lost:
            self._drop(kept.execution.id)
        for waiter in kept.waiting:
            if not waiter.done():
                waiter.set_exception(StorageUnavailable(_GONE if kept.execution.hub.is_lost else why))

    def _drop(self, execution_id: ExecutionId) -> None:
        self._kept.pop(execution_id, None)
        self._producers.forget(execution_id)


@asynccontextmanager
async def _waiter(kept: _Kept) -> AsyncIterator["asyncio.Future[None]"]:
    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    kept.waiting.add(waiter)
    try:
        yield waiter
    finally:
        kept.waiting.discard(waiter)


def _resolve(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)


def _exists(execution_id: ExecutionId) -> ExecutionExists:
    return ExecutionExists(f"there is an execution {quoted(execution_id)} already; take another id, or none")


def _in_order(reports: Sequence[Report], known: Mapping[str, int], given: Mapping[str, Taken]) -> list[Taken]:
    """Return what became of each event; the first of two with one id is the one that counts."""
    answer: list[Taken] = []
    seen: set[str] = set()
    for report in reports:
        new = given.get(report.id)
        if new is None:
            answer.append(Taken(report.id, known[report.id], is_known=True))
        else:
            answer.append(new if report.id not in seen else Taken(report.id, new.seq, is_known=True))
        seen.add(report.id)
    return answer
