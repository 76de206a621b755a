"""What the engine needs from its surroundings: protocols, fulfilled by adapters above or by ``memory``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from msgspec import Struct, field

from graphwire.events.hub import Published
from graphwire.events.types import ForkedFrom
from graphwire.types import Engine, ExecutionId, GraphId, Outcome, Status, TerminalStatus


@dataclass(frozen=True, slots=True)
class Claim:
    """A caller's name for what is to happen once. Stored in one transaction with the event that it led to.

    Attributes:
        key: The caller's name. Until the claim is over, no other one with this key is stored.
        fingerprint: Of what was asked for; a store only keeps it.
        made_at, over_at: Aware, UTC.
    """

    key: str
    fingerprint: bytes
    made_at: datetime
    over_at: datetime


class ExecutionRecord(Struct, frozen=True):
    """An accepted start, as it is stored with ``seq`` 1.

    Attributes:
        options: The start's body as JSON, defaults filled in (its ``state`` included).
        started_at: Aware, UTC.
        engine: Who carries it out; ``foreign`` is one that runs elsewhere and reports its events. What names no version
            of a graph has version 0.
        forked_from: Where it goes on from; None for one that was started.
        status: ``running``, or ``queued`` where it has to wait.
        runs: The graphs that run inside of it, in which versions.
    """

    id: ExecutionId
    graph_id: GraphId
    graph_version: int
    options: bytes
    seed: int
    started_at: datetime
    correlation_id: str | None = None
    engine: Engine = "graphwire"
    forked_from: ForkedFrom | None = None
    status: Status = "running"
    runs: Sequence[tuple[str, int]] = ()


class Turn(Struct, frozen=True):
    """A change of an execution's status that is neither its start nor its end, stored with the event that tells of it.

    Attributes:
        status: What it is from then on: ``running`` or ``paused``.
        at: Aware, UTC.
        waiting: Whether it waits for input.
        begins: The version of the graph where the execution begins only now: it was queued. None for any other turn.
    """

    status: Status
    at: datetime
    begins: int | None = None
    waiting: bool = False


class ExecutionEnd(Struct, frozen=True):
    """How an execution ended, stored with its terminal event and the sentinel.

    Attributes:
        state: The merged state as JSON.
        error: The failure as JSON, for ``failed``.
        errors: The list under the reserved key ``errors``, as JSON.
        durations_ms: Per node id: how many attempts completed, and their durations added up.
    """

    status: TerminalStatus
    outcome: Outcome | None
    ended_at: datetime
    duration_ms: float
    steps: int
    last_seq: int
    state: bytes
    error: bytes | None
    errors: bytes
    reason: str | None = None
    durations_ms: Mapping[str, tuple[int, float]] = field(default_factory=dict)


class Batch(Struct, frozen=True):
    """What one execution has to store, in order: one part of a transaction.

    Attributes:
        events: Consecutive events; their ``line`` is stored, and ``whole`` where an event is too large for a line.
        deltas: What the commits among them changed, a JSON document each; restoring replays them in order.
        size: Bytes of all of it, roughly.
        claims: Each with the number of its event. With a ``start``, a claim whose key is taken gets the batch refused;
            without one, such a claim is left out and the rest is stored.
        reported: The producer's own names for events that an engine elsewhere reported, each with the event's number.
        turns: Changes of the status, in order.
    """

    execution_id: ExecutionId
    start: ExecutionRecord | None
    events: Sequence[Published]
    deltas: Sequence[bytes]
    end: ExecutionEnd | None
    size: int
    claims: Sequence[tuple[int, Claim]] = ()
    reported: Sequence[tuple[int, str]] = ()
    turns: Sequence[Turn] = ()


class Deltas(NamedTuple):
    """Some of the commits of an execution, in order.

    Attributes:
        upto: Where to go on; the place that was asked for when there are no more.
    """

    items: list[bytes]
    upto: int


class Outbox(Protocol):
    """An execution's side of storing. All methods are called on the event loop."""

    def take(self, max_bytes: int) -> Batch | None:
        """Hand over what is to be stored next, at least one event if there is any; None when nothing is left."""
        ...

    def stored(self, batch: Batch) -> None:
        """The batch is on disk."""
        ...

    def refused(self, batch: Batch, reason: str) -> None:
        """The batch could not be stored and never will be: it has a ``start``, or somebody else ended the execution.

        Any other batch is tried until it is stored. Nothing more is asked for.
        """
        ...


class ExecutionStore(Protocol):
    """Where executions are kept."""

    @property
    def unavailable(self) -> str | None:
        """Why nothing can be stored at the moment; None while all is well."""
        ...

    def submit(self, outbox: Outbox) -> None:
        """Say that an outbox has something to store. Returns at once; idempotent until the outbox is drained."""
        ...

    async def read_events(
        self, execution_id: ExecutionId, *, after: int, upto: int, limit: int, max_bytes: int
    ) -> list[Published]:
        """Return stored events with ``after < seq <= upto`` in order.

        Stops at ``limit`` events or ``max_bytes`` of lines, but never before the first event.
        """
        ...

    async def read_event(self, execution_id: ExecutionId, seq: int) -> bytes | None:
        """Return one stored event, whole, as JSON; None if there is none."""
        ...

    async def read_deltas(self, execution_id: ExecutionId, *, after: int = 0) -> Deltas:
        """Return the next stored deltas behind a place, as many as are read at once; from the first one at 0.

        The deltas of the commits up to a stored event are found before any place is returned twice.
        """
        ...
