"""What an execution is started with, and what is stored of that."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from msgspec import Struct, field

from graphwire.clock import Clock
from graphwire.engine.options import Options
from graphwire.engine.plan import Plan
from graphwire.engine.ports import Claim, ExecutionRecord
from graphwire.events.hub import Hub
from graphwire.events.log import EventLog
from graphwire.events.types import ForkedFrom
from graphwire.types import Detail, Durability, ExecutionId, GraphId, Priority


class Start(Struct, frozen=True):
    """What an execution is started with.

    Attributes:
        state: Replaces initial values of the graph key by key; encoded values.
        told: The options as ``execution_started`` shows them, JSON.
        kept: The whole start as it is stored, JSON.
        timeout_s, node_timeout_s: Replace the graph's limits; None for those.
        claim: Stored with the start.
        forked_from: Where it goes on from, if it is a fork.
        fork: The record of the past that it goes on from; None where it begins at its entries.
        priority: Of its nodes that have none of their own.
    """

    state: Mapping[str, bytes] = field(default_factory=dict)
    options: Options = field(default_factory=Options)
    durability: Durability = "async"
    detail: Detail = "standard"
    timeout_s: float | None = None
    node_timeout_s: float | None = None
    correlation_id: str | None = None
    told: bytes = b"{}"
    kept: bytes = b"{}"
    claim: Claim | None = None
    forked_from: ForkedFrom | None = None
    fork: bytes | None = None
    priority: Priority = "normal"


class Past(NamedTuple):
    """What an earlier process left of an execution that is queued.

    Attributes:
        started_at: When it was accepted.
        last_line: Its newest stored event.
        events: How many are stored.
    """

    started_at: datetime
    last_line: bytes
    events: int


def log_of(id: ExecutionId, plan: Plan, start: Start, past: Past | None, clock: Clock, hub: Hub) -> EventLog:
    """Return the log of an execution, which begins, or goes on, where the hub stands."""
    return EventLog(
        id,
        GraphId(plan.definition.id),
        clock,
        hub,
        correlation_id=start.correlation_id,
        last_line=None if past is None else past.last_line,
        events_before=0 if past is None else past.events,
    )


def record_of(id: ExecutionId, plan: Plan, start: Start, started_at: datetime, *, is_queued: bool) -> ExecutionRecord:
    """Return what is stored of an accepted start."""
    return ExecutionRecord(
        id=id,
        graph_id=GraphId(plan.definition.id),
        graph_version=plan.version,
        options=start.kept,
        seed=start.options.seed,
        started_at=started_at,
        correlation_id=start.correlation_id,
        status="queued" if is_queued else "running",
        forked_from=start.forked_from,
        runs=plan.runs,
    )
