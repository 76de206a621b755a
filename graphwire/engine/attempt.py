"""One try of one activation, and the scope that it belongs to: the records that an execution keeps."""

from collections import deque
from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Any, Self

from graphwire.engine.plan import NodePlan, Plan
from graphwire.engine.scheduler import Activation, Scheduler
from graphwire.engine.state import State
from graphwire.events.types import EventData, Failure
from graphwire.values import Frozen


class Phase(Enum):
    """Where an attempt is."""

    READY = auto()
    RUNNING = auto()
    SLEEPING = auto()
    OPEN = auto()
    CLOSED = auto()


class Scope:
    """A run of one plan: the graph itself, or the body of a ``foreach`` for one item.

    Attributes:
        name: Names its start token; "" for the root.
        path: The enclosing openers, outermost first, as in events; None for the root.
        failure: Set once the scope is ending with an error.
        result: The single inner node's result, where the body is one node.
    """

    __slots__ = (
        "attempts",
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
        self.attempts: set[Attempt] = set()
        self.failure: Failure | None = None
        self.result = b"null"

    @classmethod
    def open(cls, plan: Plan, entries: Sequence[int], name: str, start: State) -> Self:
        """Return a scope that has not started, with a scheduler of its own."""
        return cls(plan, Scheduler(plan.topology, plan.node_ids, plan.edge_ids, entries, name), name, start)


class Attempt:
    """One try of one activation.

    Attributes:
        state: What the node sees; the merge of its tokens' states, made when the attempt begins.
        outcome: What it came to, kept until its turn comes (``ordering: deterministic``).
        held: What it emitted, kept likewise.
        folded: What functions made of keys when its tokens' states were merged.
        reason: Why it is being ended from outside.
        emitted: Emissions so far; ``dropped``: those of them that were dropped at a bound.
    """

    __slots__ = (
        "activation", "dropped", "emitted", "folded", "held", "held_bytes", "items", "node", "number", "outcome",
        "phase", "reason", "scope", "started_ns", "state",
    )  # fmt: skip

    def __init__(self, scope: Scope, activation: Activation[State]) -> None:
        self.scope = scope
        self.activation = activation
        self.node: NodePlan = scope.plan.nodes[activation.node]
        self.state: State = activation.tokens[0].state
        self.phase = Phase.READY
        self.number = 1
        self.started_ns = 0
        self.outcome: Outcome | None = None
        self.held: deque[EventData] | None = None
        self.held_bytes = 0
        self.items: Items | None = None
        self.reason: str | None = None
        self.folded: Mapping[str, Frozen] | None = None
        self.emitted = 0
        self.dropped = 0


class Outcome:
    """How an attempt ended: with a value, or with an error."""

    __slots__ = ("error", "value")

    def __init__(self, value: Any = None, error: BaseException | None = None) -> None:
        self.value = value
        self.error = error


class Items:
    """The open items of a ``foreach``.

    Attributes:
        results: Each item's result as JSON, by index; b"" until it is there.
        failure: Set once the opener is failing; it fails when the last scope is closed.
    """

    __slots__ = ("done", "failure", "following", "results", "scopes", "values")

    def __init__(self, values: list[Any]) -> None:
        self.values = values
        self.results: list[bytes] = [b""] * len(values)
        self.scopes: set[Scope] = set()
        self.following = 0
        self.done = 0
        self.failure: Failure | None = None
