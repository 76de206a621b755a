"""The engine's ports in memory: what a script or a notebook runs on."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import islice
from typing import TypeAlias

from graphwire.engine.ports import Batch, Claim, Deltas, ExecutionEnd, ExecutionRecord, Outbox
from graphwire.events.hub import Published
from graphwire.types import ExecutionId

MAX_BATCH_BYTES = 4 * 1024 * 1024

Defer: TypeAlias = Callable[[Callable[[], None]], object]


class _History:
    __slots__ = ("deltas", "end", "events", "start")

    def __init__(self) -> None:
        self.start: ExecutionRecord | None = None
        self.events: list[Published] = []
        self.deltas: list[bytes] = []
        self.end: ExecutionEnd | None = None


class MemoryStore:
    """An ``ExecutionStore`` that keeps everything until it is told to forget it. For one thread.

    Args:
        defer: Calls a function soon, but not at once; a loop's ``call_soon``. Without it an outbox is drained
            inside ``submit``, so ``stored`` is called before ``submit`` returns.
    """

    def __init__(self, *, defer: Defer | None = None) -> None:
        self._defer = defer
        self._waiting: dict[int, Outbox] = {}
        self._held: dict[int, tuple[Outbox, Batch]] = {}
        self._is_due = False
        self._unavailable: str | None = None
        self._histories: dict[ExecutionId, _History] = {}
        self._claims: dict[str, tuple[ExecutionId, int, Claim]] = {}

    @property
    def unavailable(self) -> str | None:
        """Why nothing is stored at the moment.

        Settable: starts are refused with it, all else waits until it is None again.
        """
        return self._unavailable

    @unavailable.setter
    def unavailable(self, reason: str | None) -> None:
        self._unavailable = reason
        if reason is None:
            held, self._held = self._held, {}
            for outbox, batch in held.values():
                self._keep(outbox, batch)
                self.submit(outbox)

    def submit(self, outbox: Outbox) -> None:
        """Say that an outbox has something to store. Idempotent until the outbox is drained."""
        key = id(outbox)
        if key in self._waiting or key in self._held:
            return
        self._waiting[key] = outbox
        if not self._is_due:
            self._arrange()

    def _arrange(self) -> None:
        # Set before the call and cleared after it: what ``stored`` leads to may submit again.
        self._is_due = True
        if self._defer is None:
            self._drain()
        else:
            self._defer(self._turn)

    def _drain(self) -> None:
        try:
            while self._waiting:
                self._pass()
        finally:
            self._is_due = False

    def _turn(self) -> None:
        try:
            self._pass()
        finally:
            self._is_due = False
            if self._waiting:
                self._arrange()

    def _pass(self) -> None:
        for key, outbox in list(self._waiting.items()):
            batch = outbox.take(MAX_BATCH_BYTES)
            if batch is None:
                del self._waiting[key]
            elif batch.start is not None and (reason := self._refusal(batch)) is not None:
                del self._waiting[key]
                outbox.refused(batch, reason)
            elif self._unavailable is None:
                self._keep(outbox, batch)
            else:
                del self._waiting[key]
                self._held[key] = (outbox, batch)

    def _refusal(self, start: Batch) -> str | None:
        """Return why a start is not stored."""
        if self._unavailable is None and any(self._is_taken(claim) for _, claim in start.claims):
            return "its key is taken"
        return self._unavailable

    def _is_taken(self, claim: Claim) -> bool:
        known = self._claims.get(claim.key)
        return known is not None and known[2].over_at > claim.made_at

    def _keep(self, outbox: Outbox, batch: Batch) -> None:
        history = self._histories.setdefault(batch.execution_id, _History())
        history.start = batch.start or history.start
        history.events += batch.events
        history.deltas += batch.deltas
        history.end = batch.end or history.end
        for seq, claim in batch.claims:
            if not self._is_taken(claim):
                self._claims[claim.key] = batch.execution_id, seq, claim
        outbox.stored(batch)

    async def read_events(
        self, execution_id: ExecutionId, *, after: int, upto: int, limit: int, max_bytes: int
    ) -> list[Published]:
        """Return stored events with ``after < seq <= upto`` in order.

        Stops at ``limit`` events or ``max_bytes`` of lines, but never before the first event.
        """
        events = self._events(execution_id)
        first = bisect_right(events, after, key=_seq)
        page: list[Published] = []
        size = 0
        for event in islice(events, first, first + limit):
            size += len(event.line)
            if event.seq > upto or (page and size > max_bytes):
                break
            page.append(event)
        return page

    async def read_event(self, execution_id: ExecutionId, seq: int) -> bytes | None:
        """Return one stored event, whole, as JSON; None if there is none."""
        events = self._events(execution_id)
        place = bisect_right(events, seq - 1, key=_seq)
        if place == len(events) or events[place].seq != seq:
            return None
        event = events[place]
        return event.line if event.whole is None else event.whole

    async def read_deltas(self, execution_id: ExecutionId, *, after: int = 0) -> Deltas:
        """Return all stored deltas behind a place, in order. A place is how many there were."""
        history = self._histories.get(execution_id)
        items = [] if history is None else history.deltas[after:]
        return Deltas(items, after + len(items))

    def start_of(self, execution_id: ExecutionId) -> ExecutionRecord | None:
        """Return how an execution started; None if it is unknown."""
        history = self._histories.get(execution_id)
        return None if history is None else history.start

    def end_of(self, execution_id: ExecutionId) -> ExecutionEnd | None:
        """Return how an execution ended; None if it has not, or is unknown."""
        history = self._histories.get(execution_id)
        return None if history is None else history.end

    def claimed(self, key: str) -> tuple[ExecutionId, int, Claim] | None:
        """Return whose event was claimed under a key, and its number; None if none was."""
        return self._claims.get(key)

    def forget_events(self, execution_id: ExecutionId, upto: int) -> None:
        """Drop the events of an execution up to a number: nobody reads them again. Idempotent."""
        history = self._histories.get(execution_id)
        if history is not None:
            del history.events[: bisect_right(history.events, upto, key=_seq)]

    def forget(self, execution_id: ExecutionId) -> None:
        """Drop all of an execution but the claims on it. Idempotent."""
        self._histories.pop(execution_id, None)

    def _events(self, execution_id: ExecutionId) -> Sequence[Published]:
        history = self._histories.get(execution_id)
        return () if history is None else history.events


def _seq(event: Published) -> int:
    return event.seq
