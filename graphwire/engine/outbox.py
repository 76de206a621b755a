"""An execution's side of storing: its events, its commits' deltas, its start and its end, in order."""

from collections import deque
from collections.abc import Callable

from graphwire.engine.ports import Batch, Claim, ExecutionEnd, ExecutionRecord, ExecutionStore, Turn
from graphwire.events.hub import Hub
from graphwire.types import ExecutionId


class ExecutionOutbox:
    """Hands batches to the store so that a commit's events and its delta are never parted.

    Attributes:
        is_submitted: Whether the store knows that there is something.
    """

    def __init__(self, id: ExecutionId, hub: Hub, store: ExecutionStore, record: ExecutionRecord | None = None) -> None:
        self._id = id
        self._hub = hub
        self._store = store
        self._start = record
        self._end: ExecutionEnd | None = None
        self._deltas: deque[tuple[int, int, bytes]] = deque()
        self._claims: list[tuple[int, Claim]] = []
        self._reported: list[tuple[int, str]] = []
        self._turns: list[tuple[int, Turn]] = []
        self._on_refused: Callable[[str], None] | None = None
        self.is_submitted = False

    def submit(self) -> None:
        """Tell the store that there is something new. Cheap to repeat."""
        if not self.is_submitted:
            self.is_submitted = True
            self._store.submit(self)

    def commit(self, first_seq: int, last_seq: int, delta: bytes) -> None:
        """Add a commit: its events are ``first_seq`` to ``last_seq``."""
        self._deltas.append((first_seq, last_seq, delta))

    def claim(self, seq: int, claim: Claim) -> None:
        """Add a caller's claim. Before its event is published, so that they are stored together."""
        self._claims.append((seq, claim))

    def report(self, seq: int, producer_id: str) -> None:
        """Add the producer's own name for an event. Before it is published, so that they are stored together."""
        self._reported.append((seq, producer_id))

    def turn(self, seq: int, turn: Turn) -> None:
        """Add a change of the status. Before its event is published, so that they are stored together."""
        self._turns.append((seq, turn))

    def finish(self, end: ExecutionEnd) -> None:
        """Add the end; its last event must have been published."""
        self._end = end

    def when_refused(self, callback: Callable[[str], None]) -> None:
        """Call with the reason if the start cannot be stored, or nothing more of the execution."""
        self._on_refused = callback

    def take(self, max_bytes: int) -> Batch | None:
        """See ``ports.Outbox``. A commit is not cut in two, so a batch may be a little larger than asked."""
        before = self._hub.taken_bytes
        events = self._hub.take_unstored(max_bytes)
        if not events:
            self.is_submitted = False
            return None
        last = events[-1].seq
        deltas: list[bytes] = []
        while self._deltas and self._deltas[0][0] <= last:
            _, upto, delta = self._deltas.popleft()
            deltas.append(delta)
            if upto > last:
                events += self._hub.take_unstored(1 << 62, upto=upto)
                last = upto
        start, self._start = self._start, None
        end = None
        if self._end is not None and self._end.last_seq <= last:
            end, self._end = self._end, None
        claims: list[tuple[int, Claim]] = []
        if self._claims:
            claims = [each for each in self._claims if each[0] <= last]
            self._claims = [each for each in self._claims if each[0] > last]
        reported: list[tuple[int, str]] = []
        if self._reported:
            reported = [each for each in self._reported if each[0] <= last]
            self._reported = self._reported[len(reported) :]
        turns: list[Turn] = []
        if self._turns:
            turns = [turn for seq, turn in self._turns if seq <= last]
            self._turns = self._turns[len(turns) :]
        size = self._hub.taken_bytes - before + sum(map(len, deltas))
        return Batch(self._id, start, events, deltas, end, size, claims, reported, turns)

    def stored(self, batch: Batch) -> None:
        """See ``ports.Outbox``."""
        self._hub.mark_stored(batch.events[-1].seq)

    def refused(self, batch: Batch, reason: str) -> None:
        """See ``ports.Outbox``."""
        self.is_submitted = True  # nothing more is ever handed over
        self._hub.is_lost = batch.start is None
        self._hub.discard()
        if self._on_refused is not None:
            self._on_refused(reason)
