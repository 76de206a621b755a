"""What is told about executions, whether they run or have long ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from graphwire.engine.breakpoints import Breakpoint
from graphwire.engine.progress import Progress
from graphwire.events.types import ExecutionQueued, ForkedFrom
from graphwire.types import Engine, ExecutionId, GraphId, Outcome, Status


@dataclass(frozen=True, slots=True)
class InterruptView:
    """What a node waits for.

    Attributes:
        payload: What is asked, as JSON.
        schema: JSON Schema of the answer, as JSON; None where any value will do.
    """

    id: str
    node: str
    activation: str
    payload: bytes
    schema: bytes | None
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class ExecutionView:
    """An execution as of one moment.

    Attributes:
        engine: Who carries it out; ``foreign`` is one that runs elsewhere.
        duration_ms: So far, while it runs.
        last_seq: The newest event that may be told.
        error: The failure as JSON, for ``failed``.
        errors: Every failure of a node that was not retried away, as a JSON list.
        reason: Why it was cancelled.
        forked_from: Where it goes on from; None for one that was started.
        interrupts: What waits for an answer, as long as it has not ended.
        progress: None where it is not known any more; an ended execution is complete or it is not.
        queue: Its place while it waits for its turn.
    """

    id: ExecutionId
    graph_id: GraphId
    graph_version: int
    engine: Engine
    status: Status
    outcome: Outcome | None
    started_at: datetime
    ended_at: datetime | None
    duration_ms: float
    steps: int
    last_seq: int
    error: bytes | None = None
    errors: bytes = b"[]"
    reason: str | None = None
    progress: Progress | None = None
    queue: ExecutionQueued | None = None
    interrupts: Sequence[InterruptView] = ()
    breakpoints: Sequence[Breakpoint] = ()
    forked_from: ForkedFrom | None = None


@dataclass(frozen=True, slots=True)
class ConflictView:
    """A key of a merged state whose sides differ; values are JSON, None where absent."""

    key: str
    nodes: Sequence[str]
    values: Sequence[bytes | None]
    policy: str


@dataclass(frozen=True, slots=True)
class StateView:
    """The merged state of an execution as of event ``seq``, as JSON."""

    seq: int
    state: bytes
    conflicts: Sequence[ConflictView] = ()
