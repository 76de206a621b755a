"""Looking back: the checkpoints of an execution, and the state as of any of them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from app.services.errors import CheckpointCorrupt
from app.services.executions import ExecutionService
from app.services.views import ConflictView, StateView
from app.storage.cursors import Cursor, decode_cursor, encode_cursor
from app.storage.repositories.checkpoints import CheckpointRepository
from graphwire.engine.ports import ExecutionStore
from graphwire.engine.records import Commit, Edited, Record, decode_record
from graphwire.errors import HistoryDamaged, InvalidInput, NotFound, Problem, StorageUnavailable
from graphwire.events.encoding import Envelope, decode_line
from graphwire.types import ExecutionId

ROWS = 8
"""So many transactions are read at once."""
FIRST = 1
"""As of which there is no checkpoint yet; of a fork the one that it begins with."""
STORE_S = 10.0
EVENTS = 64
EVENT_BYTES = 256 * 1024
_ORDER = "checkpoints"


@dataclass(frozen=True, slots=True)
class CheckpointView:
    """A stored place in the past of an execution at which its state changed.

    Attributes:
        seq: The number of its last event; of the first that was stored with it, where it is damaged.
        event: That event; None where it cannot be read.
        keys: What was written or removed, sorted.
        size: Bytes of what is stored of it.
        is_valid: Whether it is what was written. Of what is not, nothing else is known.
    """

    seq: int
    event: Envelope | None
    keys: Sequence[str]
    size: int
    is_valid: bool = True


class CheckpointService:
    """Tells of the checkpoints that are stored, and of the states there."""

    def __init__(self, executions: ExecutionService, repository: CheckpointRepository, store: ExecutionStore) -> None:
        self._executions = executions
        self._repository = repository
        self._store = store

    async def list(
        self, execution_id: ExecutionId, *, limit: int, after: str | None
    ) -> tuple[Sequence[CheckpointView], str | None]:
        """Return a page of checkpoints, newest first, and the cursor of the next one.

        Raises:
            NotFound: There is no such execution.
            InvalidCursor: ``after`` is no ``next`` of a page.
        """
        await self._executions.status(execution_id)
        before = None if after is None else int(decode_cursor(after, order=_ORDER).value)
        found: list[CheckpointView] = []
        async for view in self._newest_first(execution_id, before):
            if len(found) == limit:
                following = encode_cursor(Cursor(_ORDER, found[-1].seq, execution_id))
                return await self._with_events(execution_id, found), following
            found.append(view)
        return await self._with_events(execution_id, found), None

    async def state(self, execution_id: ExecutionId, at: int) -> StateView:
        """Return the merged state as of the last checkpoint at or before an event.

        Raises:
            NotFound: There is no such execution, or its states cannot be made again.
            InvalidInput: The event is none of its past.
            CheckpointCorrupt: What is stored cannot be read so far.
            StorageUnavailable: Not now.
        """
        await self.until_stored(execution_id, at, pointer="/query/at")
        states = await self._executions.states(execution_id)
        if states is None:
            raise NotFound("the states of this execution cannot be made again: it ran elsewhere, or its graph is gone")
        replay, reached = states.replay, FIRST
        for text, record in await self.records(execution_id, at):
            try:
                replay.commit(text)
            except (HistoryDamaged, ValueError, LookupError) as error:
                raise corrupt(error, reached) from error
            reached = record.seq
        merged = replay.merged()
        conflicts = [ConflictView(each.key, each.nodes, each.values, each.policy) for each in merged.conflicts]
        return StateView(reached, merged.state.to_json(), conflicts)

    async def records(self, execution_id: ExecutionId, upto: int) -> Sequence[tuple[bytes, Record]]:
        """Return the stored records up to an event, decoded too; what comes after it need not be readable.

        Raises:
            CheckpointCorrupt: One of them cannot be read.
            StorageUnavailable: Not now.
        """
        found: list[tuple[bytes, Record]] = []
        place, reached = 0, FIRST
        while True:
            try:
                page = await self._store.read_deltas(execution_id, after=place)
                for text in page.items:
                    record = decode_record(text)
                    if record.seq > upto:
                        return found
                    found.append((text, record))
                    reached = record.seq
            except HistoryDamaged as error:
                first = error.facts.get("seq")
                if reached >= upto or (isinstance(first, int) and first > upto):
                    return found
                raise corrupt(error, reached) from error
            if not page.items:
                return found
            place = page.upto

    async def until_stored(self, execution_id: ExecutionId, at: int | None, *, pointer: str) -> int:
        """Wait until an event is stored, and return its number.

        Args:
            at: None for the newest.
            pointer: Where the request names it.

        Raises:
            NotFound: There is no such execution.
            InvalidInput: The event is in the future, or none.
            StorageUnavailable: It is not stored for long.
        """
        hub = (await self._executions.follow(execution_id)).hub
        last = hub.visible
        seq = last if at is None else at
        if not 1 <= seq <= last:
            detail = f"an event of the past is meant, from 1 to {last}"
            raise InvalidInput(detail, [Problem(pointer, "invalid_value", detail)])
        if hub.stored < seq and not hub.closed:
            stored = asyncio.Event()
            hub.when_stored(seq, stored.set)
            try:
                async with asyncio.timeout(STORE_S):
                    await stored.wait()
            except TimeoutError:
                raise StorageUnavailable(self._store.unavailable or "the database does not answer") from None
        return seq

    async def _newest_first(self, execution_id: ExecutionId, before: int | None) -> AsyncIterator[CheckpointView]:
        place = before
        while rows := await self._repository.before(execution_id, place, rows=ROWS):
            for row in rows:
                for view in reversed(_views(row.first_seq, row.documents)):
                    if before is None or view.seq < before:
                        yield view
            place = rows[-1].first_seq

    async def _with_events(
        self, execution_id: ExecutionId, views: Sequence[CheckpointView]
    ) -> Sequence[CheckpointView]:
        """Add their last events. Those that stand near each other are read together."""
        told: dict[int, Envelope] = {}
        wanted = {view.seq for view in views if view.is_valid}
        looked_at = 0
        for seq in sorted(wanted):
            if seq <= looked_at:
                continue
            try:
                events = await self._store.read_events(
                    execution_id, after=seq - 1, upto=max(wanted), limit=EVENTS, max_bytes=EVENT_BYTES
                )
            except HistoryDamaged:
                continue
            told.update({event.seq: decode_line(event.line) for event in events if event.seq in wanted})
            looked_at = events[-1].seq if events else seq
        return [CheckpointView(each.seq, told.get(each.seq), each.keys, each.size, each.is_valid) for each in views]


def corrupt(error: Exception, usable: int) -> CheckpointCorrupt:
    """Return the error for a past that cannot be read so far; ``usable`` is the newest place that can."""
    detail = error.detail if isinstance(error, HistoryDamaged) else "what is stored does not fit the graph"
    return CheckpointCorrupt(f"{detail} The newest place that can be used is {usable}.", usable=usable)


def _views(first_seq: int, documents: Sequence[bytes] | None) -> list[CheckpointView]:
    """Return the checkpoints of a transaction: one that is not valid where something of it cannot be read."""
    damaged = CheckpointView(first_seq, None, (), 0, is_valid=False)
    if documents is None:
        return [damaged]
    views: list[CheckpointView] = []
    for text in documents:
        try:
            record: Record = decode_record(text)
        except HistoryDamaged:
            return [damaged]
        match record:
            case Commit():
                keys = {*record.update, *record.operations, *record.deleted}
            case Edited():
                keys = {*record.values, *record.deleted}
            case _:
                continue
        views.append(CheckpointView(record.seq, None, sorted(keys), len(text)))
    return views
