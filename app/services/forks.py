"""Forks of executions, and retries of those that failed."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
from msgspec.structs import replace as replaced

from app.services.checkpoints import CheckpointService, corrupt
from app.services.errors import CodeChanged, no_execution
from app.services.executions import ExecutionService
from app.services.graphs import GraphService
from app.services.starts import Wishes, graphs_of, prepare, wishes_of
from app.storage.repositories.executions import ExecutionRepository, StoredExecution
from graphwire.clock import Clock
from graphwire.engine.forking import before_end, before_failure, fork_record, translated
from graphwire.engine.plan import ERRORS, Plan
from graphwire.engine.ports import Claim, ExecutionStore
from graphwire.engine.records import decode_record, encode_record
from graphwire.engine.restoring import Restoring
from graphwire.engine.runner import Runner
from graphwire.engine.start_state import freeze_fork
from graphwire.engine.starting import Start
from graphwire.errors import CommandNotAllowed, HistoryDamaged, InvalidInput, Problem, quoted
from graphwire.events.types import Failure, ForkedFrom
from graphwire.types import TERMINAL_STATUSES, ExecutionId
from graphwire.values import DELETE, Frozen, thaw

AT_ONCE = 256
"""So many records are repeated before others have a turn."""
_EVERYTHING = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a fork is to be.

    Attributes:
        at: The event as of which it goes on; None for the newest.
        state: Replaces values of the state there, key by key.
        version: None for that of the original.
        entry: Nodes at which it begins anew; None where it goes on.
    """

    at: int | None = None
    state: Mapping[str, Any] = field(default_factory=dict)
    version: int | None = None
    entry: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """An activation that runs at once, and whose node has effects."""

    node: str
    activation: str
    path: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class _Past:
    """A past, repeated.

    Attributes:
        records: What it is made of, as stored.
        seq: The last of them; 1 before the first.
        start: What its execution was started with.
    """

    records: Sequence[bytes]
    seq: int
    plan: Plan
    start: Start
    restoring: Restoring


class ForkService:
    """Starts executions that go on from the past of others. Those are never touched."""

    def __init__(
        self,
        executions: ExecutionService,
        checkpoints: CheckpointService,
        graphs: GraphService,
        repository: ExecutionRepository,
        store: ExecutionStore,
        clock: Clock,
    ) -> None:
        self._executions = executions
        self._checkpoints = checkpoints
        self._graphs = graphs
        self._repository = repository
        self._store = store
        self._clock = clock

    async def fork(self, execution_id: ExecutionId, wanted: Wanted, claim: Claim | None = None) -> Runner:
        """Start a fork. When it returns, it is stored, with ``claim``, and will reach an end.

        Raises:
            NotFound: There is no such execution, or its graph is gone.
            CommandNotAllowed: It runs elsewhere, or has not begun.
            InvalidInput: ``wanted`` does not fit it.
            CheckpointCorrupt: What is stored of its past cannot be read so far.
            CodeChanged, AtCapacity, ShuttingDown, StorageUnavailable: Not now.
        """
        stored = await self._original(execution_id, "fork")
        at = await self._checkpoints.until_stored(execution_id, wanted.at, pointer="/at")
        records = await self._checkpoints.records(execution_id, at)
        kept = before_end([record for _, record in records])
        return await self._start(stored, [text for text, _ in records[:kept]], wanted, claim)

    async def retry(self, execution_id: ExecutionId, claim: Claim | None = None) -> Runner:
        """Start a fork of an execution that failed, from the last point before the failure. Raises as ``fork``."""
        stored = await self._original(execution_id, "retry")
        status = await self._executions.status(execution_id)
        if status != "failed" or stored.summary.error is None:
            raise CommandNotAllowed(f"cannot retry: the execution is {status}", status=status, allowed=None)
        failure = msgspec.json.decode(stored.summary.error, type=Failure)
        records = await self._checkpoints.records(execution_id, _EVERYTHING)
        kept = before_failure([record for _, record in records], failure)
        return await self._start(stored, [text for text, _ in records[:kept]], Wanted(), claim)

    async def effects(self, fork_id: ExecutionId) -> tuple[Due, ...]:
        """Return which activations ran at once when a fork began, of nodes that have effects. Raises as ``fork``."""
        stored = await self._original(fork_id, "fork")
        records = await self._checkpoints.records(fork_id, 1)
        past = await self._repeat(stored, [text for text, _ in records], None)
        due = past.restoring.due
        return tuple(Due(each.node.id, each.activation.id, each.scope.path or ()) for each in due if each.node.effects)

    async def _original(self, execution_id: ExecutionId, command: str) -> StoredExecution:
        stored = await self._repository.get(execution_id)
        if stored is None:
            raise no_execution(execution_id)
        status = await self._executions.status(execution_id)
        if stored.summary.engine == "foreign" or status == "queued":
            because = "has not begun" if status == "queued" else "runs elsewhere"
            allowed = [] if status in TERMINAL_STATUSES else ["cancel"]
            raise CommandNotAllowed(f"cannot {command}: the execution {because}", status=status, allowed=allowed)
        return stored

    async def _repeat(
        self, stored: StoredExecution, records: Sequence[bytes], claim: Claim | None, *, is_left: bool = False
    ) -> _Past:
        """Repeat a past in its version, which the fork may be about to leave."""
        summary, pinned = stored.summary, graphs_of(stored.options)
        try:
            plan = (await self._graphs.runnable(summary.graph_id, summary.graph_version, pinned)).plan
        except CodeChanged:
            if not is_left:
                raise
            plan = await self._graphs.replayable(summary.graph_id, summary.graph_version, pinned)
        start = replaced(prepare(wishes_of(stored.options), plan, claim), correlation_id=summary.correlation_id)
        restoring = Restoring(plan, start.state, start.options, self._clock)
        try:
            await _apply(restoring, records)
        except HistoryDamaged as error:
            raise corrupt(error, max(1, restoring.seq)) from error
        return _Past(records, max(1, restoring.seq), plan, start, restoring)

    async def _start(
        self, stored: StoredExecution, records: Sequence[bytes], wanted: Wanted, claim: Claim | None
    ) -> Runner:
        summary = stored.summary
        is_left = wanted.version not in (None, summary.graph_version)
        past = await self._repeat(stored, records, claim, is_left=is_left)
        origin = ForkedFrom(summary.id, past.seq)
        plan = past.plan
        if is_left:
            plan = (await self._graphs.runnable(summary.graph_id, wanted.version)).plan
        update = freeze_fork(wanted.state, plan, past.restoring.shown())
        if wanted.entry is not None:
            start = _anew(past, stored, wanted, plan, update, claim)
        elif plan is past.plan:
            start = replaced(past.start, fork=fork_record(records, update))
        else:
            start = await self._moved(past, plan, update)
        return await self._executions.put(plan, replaced(start, forked_from=origin), wishes_of(stored.options))

    async def _moved(self, past: _Past, plan: Plan, update: Mapping[str, Frozen]) -> Start:
        """Return the start of a fork that goes on with another version.

        Raises:
            InvalidInput: The past does not fit it.
        """
        root = past.restoring.execution.root
        due = {attempt.node.id for attempt in past.restoring.active if attempt.scope is root}
        problems = [
            Problem("/version", "unknown_node", f"it has no node {quoted(name)}, which is due")
            for name in sorted(due - set(plan.index))
        ]
        try:
            texts = [encode_record(translated(decode_record(text), past.plan, plan)) for text in past.records]
            start = replaced(past.start, state={**past.plan.initial, **past.start.state})
            restoring = Restoring(plan, start.state, start.options, self._clock)
            await _apply(restoring, texts)
        except (HistoryDamaged, LookupError, ValueError):
            problems = problems or [Problem("/version", "does_not_fit", "nodes or edges of the past are not in it")]
        else:
            if not problems and not _is_same(past.restoring, restoring):
                problems = [Problem("/version", "does_not_fit", "the past would have come to something else in it")]
        if problems:
            raise InvalidInput(f"version {plan.version} does not fit the past", problems)
        kept = {**msgspec.json.decode(start.kept), "version": plan.version}
        kept["state"] = {key: thaw(value) for key, value in start.state.items()}
        told = {**msgspec.json.decode(start.told), "version": plan.version}
        return replaced(
            start,
            told=msgspec.json.encode(told),
            kept=msgspec.json.encode(kept),
            fork=fork_record(texts, update),
        )


def _anew(
    past: _Past, stored: StoredExecution, wanted: Wanted, plan: Plan, update: Mapping[str, Frozen], claim: Claim | None
) -> Start:
    """Return the start of a fork that begins anew at some nodes, with the state of the past."""
    state = past.restoring.shown().edited(update)
    values = {key: thaw(value) for key in state.keys() if key != ERRORS and (value := state.get(key)) is not None}
    wishes: Wishes = replace(wishes_of(stored.options), version=plan.version, state=values, entry=wanted.entry)
    start = replaced(prepare(wishes, plan, claim), correlation_id=past.start.correlation_id)
    removed: dict[str, Frozen] = {key: DELETE for key in plan.initial if key not in values}
    return replaced(start, fork=fork_record([], removed)) if removed else start


async def _apply(restoring: Restoring, records: Sequence[bytes]) -> None:
    for number, text in enumerate(records):
        if number % AT_ONCE == AT_ONCE - 1:
            await asyncio.sleep(0)
        restoring.apply(text)


def _is_same(old: Restoring, new: Restoring) -> bool:
    """Whether a past came to the same in two versions, of which the new one may have further keys."""
    places = [sorted((each.scope.name, each.activation.id) for each in past.active) for past in (old, new)]
    ended = [len(past.execution.root.scheduler.ended) for past in (old, new)]
    before, after = old.shown(), new.shown()
    is_kept = all(before.get(key) == after.get(key) for key in before.keys())
    return places[0] == places[1] and ended[0] == ended[1] and is_kept
