"""Batches as executions hand them over, and outboxes that tell what became of them."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from graphwire.engine.ports import Batch, Claim, ExecutionEnd, ExecutionRecord
from graphwire.events.hub import Published
from graphwire.types import ExecutionId, GraphId
from tests.waiting import PATIENCE_S

NOW = datetime(2026, 11, 20, 19, 45, 30, 123456, tzinfo=UTC)
DAY = timedelta(days=1)
EXECUTION = ExecutionId("execution-1")


def make_event(seq: int, *, type: str = "node_started", padding: int = 0, whole: bytes | None = None) -> Published:
    line = b'{"seq":%d,"type":"%s","node_id":"price","data":"%s"}' % (seq, type.encode(), b"x" * padding)
    return Published(seq, type, "price", line, whole)


def make_record(id: str = EXECUTION, *, graph_id: str = "orders", version: int = 1, seed: int = 7) -> ExecutionRecord:
    return ExecutionRecord(ExecutionId(id), GraphId(graph_id), version, b'{"state":{}}', seed, NOW)


def make_end(
    last_seq: int, *, durations_ms: Mapping[str, tuple[int, float]] | None = None, duration_ms: float = 12.5
) -> ExecutionEnd:
    return ExecutionEnd(
        status="completed",
        outcome="success",
        ended_at=NOW,
        duration_ms=duration_ms,
        steps=3,
        last_seq=last_seq,
        state=b'{"total":90}',
        error=None,
        errors=b"[]",
        durations_ms=durations_ms or {},
    )


def make_batch(
    seqs: Iterable[int] = (1,),
    *,
    id: str = EXECUTION,
    start: ExecutionRecord | None = None,
    deltas: Sequence[bytes] = (),
    end: ExecutionEnd | None = None,
    padding: int = 0,
    claims: Sequence[tuple[int, Claim]] = (),
) -> Batch:
    events = [make_event(seq, padding=padding) for seq in seqs]
    size = sum(event.size for event in events) + sum(map(len, deltas))
    return Batch(ExecutionId(id), start, events, deltas, end, size, claims)


def make_claim(key: str = "key-1", *, fingerprint: bytes = b"asked", later_s: float = 0) -> Claim:
    """A claim for a day, made some time after ``NOW``."""
    made = NOW + timedelta(seconds=later_s)
    return Claim(key, fingerprint, made, made + DAY)


def start_batch(id: str = EXECUTION, *, claim: Claim | None = None) -> Batch:
    return make_batch([1], id=id, start=make_record(id), claims=[] if claim is None else [(1, claim)])


class RecordingOutbox:
    """Hands over its batches one by one, and keeps what it is told."""

    def __init__(self, *batches: Batch) -> None:
        self.batches = list(batches)
        self.stored_batches: list[Batch] = []
        self.refusals: list[str] = []
        self.taken = 0
        self._told = asyncio.Event()

    def add(self, *batches: Batch) -> None:
        self.batches += batches

    def take(self, max_bytes: int) -> Batch | None:
        if not self.batches:
            return None
        self.taken += 1
        return self.batches.pop(0)

    def stored(self, batch: Batch) -> None:
        self.stored_batches.append(batch)
        self._told.set()

    def refused(self, batch: Batch, reason: str) -> None:
        self.refusals.append(reason)
        self._told.set()

    async def wait_stored(self, count: int) -> None:
        """Wait until that many batches are stored."""
        while len(self.stored_batches) < count:
            await self.wait_told()

    async def wait_refused(self) -> None:
        """Wait until the start is refused."""
        while not self.refusals:
            await self.wait_told()

    async def wait_told(self) -> None:
        """Wait until something was told since the last wait."""
        async with asyncio.timeout(PATIENCE_S):
            await self._told.wait()
        self._told.clear()
