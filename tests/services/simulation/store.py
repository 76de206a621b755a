"""A database that takes its time, refuses, and may be gone with what it was about to write."""

import asyncio
from dataclasses import dataclass, field
from random import Random

from graphwire.engine.ports import Batch, Deltas, ExecutionEnd, ExecutionRecord, Outbox
from graphwire.events.hub import Published
from graphwire.types import ExecutionId


@dataclass
class Disk:
    """What has been stored of one execution. Survives every process."""

    start: ExecutionRecord | None = None
    events: list[Published] = field(default_factory=list)
    records: list[bytes] = field(default_factory=list)
    end: ExecutionEnd | None = None

    @property
    def last_seq(self) -> int:
        return self.events[-1].seq if self.events else 0

    def keep(self, batch: Batch) -> None:
        """Store a batch, whole."""
        assert not self.events or batch.events[0].seq > self.last_seq, "a number is stored twice"
        assert self.end is None, "something is stored behind the end"
        self.start = batch.start or self.start
        self.events += batch.events
        self.records += batch.deltas
        self.end = batch.end or self.end


class SimulatedStore:
    """The store of one process. Fulfils ``ports.ExecutionStore``.

    Args:
        delay_s: At most so long until a batch is on disk, and again until that is known.
        failures: The share of writes that fail and are tried again.
    """

    def __init__(self, disk: Disk, random: Random, *, delay_s: float, failures: float) -> None:
        self.unavailable: str | None = None
        self._disk = disk
        self._random = random
        self._delay_s = delay_s
        self._failures = failures
        self._is_writing = False
        self._is_gone = False
        self._loop = asyncio.get_running_loop()

    def crash(self) -> None:
        """Nothing more is stored, and nobody hears of anything."""
        self._is_gone = True

    def submit(self, outbox: Outbox) -> None:
        if not self._is_writing and not self._is_gone:
            self._is_writing = True
            self._later(self._take, outbox)

    def _take(self, outbox: Outbox) -> None:
        if self._is_gone:
            return
        batch = outbox.take(self._random.choice((1, 200, 2_000, 1 << 22)))
        if batch is None:
            self._is_writing = False
        else:
            self._later(self._write, outbox, batch)

    def _write(self, outbox: Outbox, batch: Batch) -> None:
        if self._is_gone:
            return
        if self._random.random() < self._failures:
            self._later(self._write, outbox, batch)
            return
        self._disk.keep(batch)
        self._later(self._tell, outbox, batch)

    def _tell(self, outbox: Outbox, batch: Batch) -> None:
        if not self._is_gone:
            outbox.stored(batch)
            self._take(outbox)

    def _later(self, callback: object, *arguments: object) -> None:
        self._loop.call_later(self._random.random() * self._delay_s, callback, *arguments)  # type: ignore[arg-type]

    async def read_events(
        self, execution_id: ExecutionId, *, after: int, upto: int, limit: int, max_bytes: int
    ) -> list[Published]:
        await asyncio.sleep(self._random.random() * self._delay_s)  # the time that a read takes, of the virtual loop
        return [event for event in self._disk.events if after < event.seq <= upto][: self._random.choice((1, 3, limit))]

    async def read_event(self, execution_id: ExecutionId, seq: int) -> bytes | None:
        return next((event.line for event in self._disk.events if event.seq == seq), None)

    async def read_deltas(self, execution_id: ExecutionId, *, after: int = 0) -> Deltas:
        return Deltas(self._disk.records[after:], len(self._disk.records))
