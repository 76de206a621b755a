"""Takes up what an earlier process left unfinished: 202 was a promise of an end."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec.structs import replace

from app.services.errors import CodeChanged
from app.services.graphs import GraphService
from app.services.interrupted import end_told
from app.services.launching import Launcher
from app.services.starts import Wishes, graphs_of, prepare, wishes_of
from app.storage.repositories.executions import ExecutionRepository, UnfinishedExecution
from graphwire.clock import Clock, utc
from graphwire.engine.ports import ExecutionStore
from graphwire.engine.restoring import Restoring, Told
from graphwire.engine.runner import Runner
from graphwire.engine.starting import Past
from graphwire.engine.supervisor import Supervisor
from graphwire.engine.taking_up import INTERRUPTED, Left
from graphwire.errors import GraphwireError, HistoryDamaged, StorageUnavailable
from graphwire.events.encoding import Envelope, decode_line
from graphwire.events.hub import MAX_UNSTORED_EVENTS
from graphwire.events.types import TERMINAL_TYPES, ExecutionStarted, NodeCancelled, NodeStarted
from graphwire.types import ExecutionId

log = logging.getLogger(__name__)

UNREADABLE = "its events are not what this version writes"
PAGE_EVENTS = 1_000
PAGE_BYTES = 1024 * 1024
AT_ONCE = 8
"""So many are taken up side by side."""
RECORDS_AT_ONCE = 200
"""So many records are repeated before others have a turn."""

_CLOSING = frozenset({"node_completed", "node_failed", "node_cancelled", "node_suspended"})


@dataclass(slots=True)
class _Said:
    """What the newest events of an execution say."""

    told: dict[str, Told] = field(default_factory=dict)
    starts: dict[str, Envelope] = field(default_factory=dict)
    last: Envelope | None = None
    last_line: bytes = b""


class Recovery:
    """Takes executions up, one after the other, while the service serves.

    Args:
        went_on: Called for each that goes on, with its wishes and its newest stored event.
    """

    def __init__(
        self,
        graphs: GraphService,
        repository: ExecutionRepository,
        store: ExecutionStore,
        supervisor: Supervisor,
        launcher: Launcher,
        clock: Clock,
    ) -> None:
        self._graphs = graphs
        self._repository = repository
        self._store = store
        self._supervisor = supervisor
        self._launcher = launcher
        self._clock = clock
        self._left: dict[ExecutionId, UnfinishedExecution] = {}
        self._waiting: dict[ExecutionId, asyncio.Task[None]] = {}
        self._went_on: Callable[[Runner, Wishes, int], None] | None = None

    async def begin(self, went_on: Callable[[Runner, Wishes, int], None]) -> None:
        """Find out what there is, and take it up in the background.

        Raises:
            StorageUnavailable: Not now.
        """
        self._went_on = went_on
        for unfinished in await self._repository.unfinished():
            self._left[unfinished.summary.id] = unfinished
            self._launcher.admissions.expect(unfinished.summary.id, unfinished.summary.graph_id)
        for number in range(min(AT_ONCE, len(self._left))):
            self._supervisor.spawn(self._take_up_all(), name=f"recovery:{number}")

    def waits(self, execution_id: ExecutionId) -> bool:
        """Whether an execution is yet to be taken up."""
        return execution_id in self._left or execution_id in self._waiting

    async def taken_up(self, execution_id: ExecutionId) -> None:
        """Wait until an execution has been taken up, or was ended; at once where nobody left it.

        Raises:
            StorageUnavailable: Not now.
        """
        if execution_id in self._left:
            self._begin(execution_id)
        task = self._waiting.get(execution_id)
        if task is not None:
            await asyncio.wait([task])
            if self.waits(execution_id):
                raise StorageUnavailable("the execution cannot be taken up now: the database does not answer")

    def _begin(self, execution_id: ExecutionId) -> "asyncio.Task[None]":
        unfinished = self._left.pop(execution_id)
        task = self._supervisor.spawn(self._take_up(unfinished), name=f"recovery:{execution_id}")
        self._waiting[execution_id] = task
        return task

    async def _take_up_all(self) -> None:
        while self._left:
            await asyncio.wait([self._begin(next(iter(self._left)))])

    async def _take_up(self, unfinished: UnfinishedExecution) -> None:
        execution_id = unfinished.summary.id
        goes_on = False
        try:
            goes_on = await self._goes_on(unfinished)
        except StorageUnavailable as error:
            log.warning("not taken up now: %s", error, extra={"execution_id": execution_id})
            self._left[execution_id] = unfinished
            await asyncio.sleep(1.0)
            return
        except Exception as error:  # border: no history may keep the others from going on
            log.error("it cannot go on", exc_info=error, extra={"execution_id": execution_id})
            reason = error.detail if isinstance(error, GraphwireError) else UNREADABLE
            now = utc(self._clock.wall_ns())
            await self._repository.end_damaged(execution_id, reason, last_seq=unfinished.last_seq, now=now)
        finally:
            self._waiting.pop(execution_id, None)
            if not goes_on and execution_id not in self._left:
                self._launcher.admissions.refuse(execution_id)

    async def _goes_on(self, unfinished: UnfinishedExecution) -> bool:
        """Take one up; False where it had told its end, which is stored now."""
        summary, last_seq = unfinished.summary, unfinished.last_seq
        refuses: GraphwireError | None = None
        graphs = graphs_of(unfinished.options)
        try:
            plan = (await self._graphs.runnable(summary.graph_id, summary.graph_version, graphs)).plan
        except CodeChanged as error:
            refuses, plan = error, await self._graphs.replayable(summary.graph_id, summary.graph_version, graphs)
        wishes = wishes_of(unfinished.options)
        start = replace(prepare(wishes, plan), correlation_id=summary.correlation_id, forked_from=summary.forked_from)
        restoring = Restoring(plan, start.state, start.options, self._clock)
        await self._repeat(summary.id, restoring)
        said = await self._said(summary.id, restoring.open_since, last_seq)
        if said.last is None:
            raise HistoryDamaged("none of its events is stored")
        if said.last.type in TERMINAL_TYPES:
            await end_told(unfinished, said.last, said.last_line, restoring, self._store, self._clock)
            return False
        past = Past(summary.started_at, said.last_line, last_seq - restoring.skipped)
        began_ns = await self._began_ns(summary.id)
        active_ns = restoring.paused_ns
        if restoring.execution.status != "paused":
            since_ns = await self._mono_ns(summary.id, restoring.resumed_seq) if restoring.resumed_seq else began_ns
            active_ns += max(0, said.last.mono_ns - since_ns)
        # What a reader may have seen is never further ahead of the store than this, so no number is used again.
        next_seq = last_seq + MAX_UNSTORED_EVENTS + 1
        runner = await self._launcher.make_again(plan, start, summary.id, past, next_seq)
        left = Left(
            restoring, said.starts, said.told, last_seq, said.last.mono_ns, began_ns, active_ns, refuses=refuses
        )
        runner.take_up(left)
        self._supervisor.submit(runner)
        if self._went_on is not None:
            self._went_on(runner, wishes, last_seq)
        return True

    async def _repeat(self, execution_id: ExecutionId, restoring: Restoring) -> None:
        place, count = 0, 0
        while True:
            page = await self._store.read_deltas(execution_id, after=place)
            if not page.items:
                return
            for record in page.items:
                restoring.apply(record)
                count += 1
                if count % RECORDS_AT_ONCE == 0:
                    await asyncio.sleep(0)
            place = page.upto

    async def _said(self, execution_id: ExecutionId, since: int, last_seq: int) -> _Said:
        """Read the events from a number on: which attempts began, and which of them did not end."""
        said = _Said()
        cursor = min(since, last_seq - 1)
        while cursor < last_seq:
            page = await self._store.read_events(
                execution_id, after=cursor, upto=last_seq, limit=PAGE_EVENTS, max_bytes=PAGE_BYTES
            )
            if not page:
                break
            for event in page:
                if event.type == "node_started":
                    _started(said, decode_line(event.line))
                elif event.type in _CLOSING:
                    _closed(said, decode_line(event.line))
            cursor, said.last_line = page[-1].seq, page[-1].line
        if said.last_line:
            said.last = decode_line(said.last_line)
        return said

    async def _began_ns(self, execution_id: ExecutionId) -> int:
        """Return when an execution began, as events count the time: before that it may have been queued."""
        first = await self._store.read_events(execution_id, after=0, upto=100, limit=100, max_bytes=PAGE_BYTES)
        for event in first:
            if event.type == ExecutionStarted.type:
                return decode_line(event.line).mono_ns
        return 0

    async def _mono_ns(self, execution_id: ExecutionId, seq: int) -> int:
        found = await self._store.read_events(execution_id, after=seq - 1, upto=seq, limit=1, max_bytes=1)
        return decode_line(found[0].line).mono_ns if found else 0


def _started(said: _Said, started: Envelope) -> None:
    # Where a member is too large for its line, and in a later version, the data is a plain object.
    number = started.data.attempt if isinstance(started.data, NodeStarted) else _number(started)
    name = started.activation or ""
    said.told[name] = Told(number, is_open=True, mono_ns=started.mono_ns)
    said.starts[name] = started


def _closed(said: _Said, closing: Envelope) -> None:
    name = closing.activation or ""
    said.starts.pop(name, None)
    if isinstance(closing.data, NodeCancelled) and closing.data.reason == INTERRUPTED:
        said.told[name] = Told(closing.data.attempt, is_open=False)
    else:
        said.told.pop(name, None)


def _number(started: Envelope) -> int:
    number = started.data.get("attempt") if isinstance(started.data, dict) else None
    if not isinstance(number, int):
        raise HistoryDamaged(f"Event {started.seq} does not say which attempt began.", seq=started.seq)
    return number
