"""What a node does when it runs, as a value: node types make it, the engine carries it out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from graphwire.graphs.definition import GraphDefinition
    from graphwire.graphs.expressions import Expression
    from graphwire.graphs.references import Named

StateReader: TypeAlias = Mapping[str, Any]
"""The state as a read-only mapping whose values are decoded when they are read."""


class Mode(Enum):
    """How a function is called."""

    THREAD = "thread"
    """A plain function of a user: called in a worker thread."""
    ASYNC = "async"
    """A coroutine function: awaited on the loop."""
    STREAM = "stream"
    """An async generator function: each yield is a message, the last one the result too."""


class Missing(Enum):
    """No default: a key that is absent fails the attempt."""

    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a call: where its value comes from.

    Attributes:
        source: ``"context"`` and ``"state"`` give the node's context and the whole state; otherwise ``key`` is read.
    """

    name: str
    source: str  # "context" | "state" | "key"
    default: Any = Missing.MISSING


@dataclass(frozen=True, slots=True)
class Call:
    """Call a function.

    Attributes:
        parameters: In the order of the signature; all are passed by name. A node's ``input`` replaces what
            ``key`` parameters read.
    """

    function: Callable[..., Any]
    mode: Mode
    parameters: tuple[Parameter, ...] = ()


@dataclass(frozen=True, slots=True)
class Compute:
    """Compute the result from the state alone, on the loop. For ``transform`` and ``template``."""

    compute: Callable[[StateReader], Any]


@dataclass(frozen=True, slots=True)
class Wait:
    """Sleep, then complete without a result.

    Attributes:
        seconds: Gives the duration from the state, in seconds. Raises ``InputError``.
    """

    seconds: Callable[[StateReader], float]


@dataclass(frozen=True, slots=True)
class ForEach:
    """Open a child scope for each item of a list.

    Attributes:
        items: Gives the list, evaluated on the opener's state.
        body: The graph that each item runs.
        single: The body is one node: the item's result is that node's result, else the keys that the item wrote.
        max_parallelism: How many items are open at once.
        collect: An item's error takes its place in the list (``on_item_error: collect``), else it fails the opener.
    """

    items: "Expression"
    body: "GraphDefinition"
    single: bool
    item: str
    index: str
    max_parallelism: int
    collect: bool


@dataclass(frozen=True, slots=True)
class Subgraph:
    """Open one child scope that runs a graph.

    Attributes:
        body: The graph, where it stands in the node; else ``reference`` names it, and a start looks it up.
        inherits: The scope begins with the opener's state, else with its graph's initial values and ``input`` alone.
    """

    body: "GraphDefinition | None"
    reference: "Named | None"
    inherits: bool


@dataclass(frozen=True, slots=True)
class While:
    """Open child scopes one after the other, each with what those before it wrote, as long as a condition holds.

    Attributes:
        condition: Evaluated before each of them, on the state that it would begin with.
        index: The state key that holds the number of the iteration, from 0; None for none.
    """

    condition: "Expression"
    body: "GraphDefinition"
    index: str | None
    max_iterations: int


@dataclass(frozen=True, slots=True)
class Choose:
    """Fire one edge: to the target of the first case that holds.

    Attributes:
        cases: Conditions with the ids of nodes that edges lead to.
        default: Where to go if none holds; None fails the attempt.
        output: The state key that takes the id of the target; None for none.
    """

    cases: "tuple[tuple[Expression, str], ...]"
    default: str | None
    output: str | None


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask a person, and complete with the answer.

    Attributes:
        payload: What is asked, made of the state. Raises ``NodeError``.
        schema: JSON Schema of the answer; None for any.
        timeout_s: How long an answer is waited for; None for ever.
        defaults: The answer if nobody gives one in time; empty fails the attempt.
        by: The state key that takes who answered; None for none.
    """

    payload: Callable[[StateReader], Any]
    schema: Mapping[str, Any] | None
    timeout_s: float | None
    defaults: tuple[Any, ...]
    by: str | None


Opens: TypeAlias = ForEach | Subgraph | While
"""What opens child scopes: its attempt holds no slot."""

Behaviour: TypeAlias = Call | Compute | Wait | Choose | Ask | Opens
