"""One try of one activation, and the scope that it belongs to: the records that an execution keeps."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final, Self

from msgspec import Struct

from graphwire.engine.plan import NodePlan, Plan
from graphwire.engine.policies.breaker import Permit
from graphwire.engine.scheduler import Activation, Scheduler
from graphwire.engine.state import State
from graphwire.errors import NodeError
from graphwire.events.types import EventData, Failure
from graphwire.values import Frozen

if TYPE_CHECKING:
    from graphwire.engine.opened import Opened


class Phase(Enum):
    """Where an attempt is."""

    READY = auto()
    RUNNING = auto()
    SLEEPING = auto()
    WAITING = auto()
    """Not begun: the attempt before failed, and this one is due after a while."""
    OPEN = auto()
    SUSPENDED = auto()
    CLOSED = auto()


RUNNING: Final = Phase.RUNNING  # asking the class takes as long as a call, and this is asked per node
CLOSED: Final = Phase.CLOSED
NOT_BEGUN: Final = (Phase.READY, Phase.WAITING)


class Scope:
    """A run of one plan: the graph itself, or a body of an attempt that opened it.

    Attributes:
        name: Names its start token; "" for the root.
        path: The enclosing openers, outermost first, as in events; None for the root.
        index: Its number among the scopes of its opener.
        counted: The scope whose ``steps`` count its steps: the root, the item of a ``foreach`` that it is in.
        failure: Set once the scope is ending with an error.
        result: The single inner node's result, where the body is one node.
    """

    __slots__ = (
        "attempts",
        "counted",
        "failure",
        "index",
        "name",
        "opener",
        "path",
        "plan",
        "result",
        "scheduler",
        "start",
        "steps",
    )

    def __init__(self, plan: Plan, scheduler: Scheduler[State], name: str, start: State) -> None:
        self.plan = plan
        self.name = name
        self.scheduler = scheduler
        self.start = start
        self.path: list[dict[str, Any]] | None = None
        self.opener: Attempt | None = None
        self.index = 0
        self.steps = 0
        self.counted: Scope = self
        self.attempts: dict[Attempt, None] = {}
        self.failure: Failure | None = None
        self.result = b"null"

    @classmethod
    def open(cls, plan: Plan, entries: Sequence[int], name: str, start: State) -> Self:
        """Return a scope that has not started, with a scheduler of its own."""
        return cls(plan, Scheduler(plan.topology, plan.node_ids, plan.edge_ids, entries, name), name, start)


class Attempt(Struct, eq=False):
    """One try of one activation.

    Attributes:
        state: What the node sees; the merge of its tokens' states, made when the attempt begins.
        interrupted: How many attempts of the activation were lost with a process: they use up no retry.
        again: Set where it is a retry.
        outcome: What it came to, kept until its turn comes (``ordering: deterministic``).
        follows: The number of the last event of the commit that made it ready.
        on_turn: Called when its turn to speak comes (``ordering: deterministic``).
        held_ns: How long its node was seen to hold the event loop, at least; 0 if it was not.
        held: What it emitted, kept likewise.
        opened: The child scopes of an attempt that is open.
        folded: What functions made of keys when its tokens' states were merged.
        reason: Why it is being ended from outside.
        asked: What its activation has asked from outside; None where it has asked nothing.
        lane: What the runner keeps with a running attempt.
        permit: What its circuit breaker gave it, until it is given back.
        emitted: Emissions so far; ``dropped``: those of them that were dropped at a bound.
    """

    scope: Scope
    activation: Activation[State]
    node: NodePlan
    state: State
    phase: Phase = Phase.READY
    number: int = 1
    interrupted: int = 0
    again: "Again | None" = None
    started_ns: int = 0
    ended_ns: int = 0
    outcome: "Outcome | None" = None
    held: deque[EventData] | None = None
    held_bytes: int = 0
    opened: "Opened | None" = None
    reason: str | None = None
    folded: Mapping[str, Frozen] | None = None
    emitted: int = 0
    dropped: int = 0
    held_ns: int = 0
    follows: int = 0
    on_turn: Callable[[], None] | None = None
    asked: "Asked | None" = None
    lane: Any = None
    permit: Permit | None = None

    @property
    def duration_ms(self) -> float:
        """How long it took, once it has ended."""
        return (self.ended_ns - self.started_ns) // 1000 / 1000


class Again(Struct, frozen=True):
    """What an attempt that is a retry knows of those before it.

    Attributes:
        delay_ms: The wait that was scheduled before it.
        since_us: When the first one began: a wall time, in microseconds since the Unix epoch.
    """

    delay_ms: float
    since_us: int


class Asked:
    """What an activation has asked from outside (``Context.interrupt``).

    Attributes:
        answers: What it was answered, as JSON, in order: what its next run is given.
        count: How often it has asked; numbers its interrupts.
        waits_for: Its open interrupt.
        by: Who gave the last answer, if that is known.
        failure: What its next run fails with before it begins: nobody answered in time.
    """

    __slots__ = ("answers", "by", "count", "failure", "waits_for")

    def __init__(self) -> None:
        self.answers: list[bytes] = []
        self.by: str | None = None
        self.count = 0
        self.waits_for: str | None = None
        self.failure: NodeError | None = None


class Outcome:
    """How an attempt ended: with a value, with an error, or by being ended from outside."""

    __slots__ = ("error", "is_cancelled", "value")

    def __init__(self, value: Any = None, error: BaseException | None = None, *, is_cancelled: bool = False) -> None:
        self.value = value
        self.error = error
        self.is_cancelled = is_cancelled


def lives(scope: Scope) -> bool:
    """Whether a scope, and all around it, is open and not ending."""
    inner: Scope | None = scope
    while inner is not None and inner.opener is not None:
        opener = inner.opener
        if inner.failure is not None or opener.opened is None or inner not in opener.opened.scopes:
            return False
        inner = opener.scope
    return True


def below(scope: Scope) -> list[Scope]:
    """Return a scope and all that are open below it, outer ones first."""
    found = [scope]
    for known in found:
        for attempt in known.attempts:
            if attempt.opened is not None:
                found.extend(attempt.opened.scopes)
    return found
