"""The definition of a graph: what JSON, a file and the Python form all become."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, Field, ValidatorFunctionWrapHandler, field_validator

from graphwire.graphs.fields import (
    STRICT,
    FromList,
    Given,
    OneProblem,
    Seconds,
)
from graphwire.graphs.resilience import CircuitBreaker, Quarantine, Retry
from graphwire.graphs.shape import parse_model
from graphwire.types import ConflictPolicy, EdgeId, ErrorPolicy, GraphId, NodeId, Overlap, Priority

MAX_STEPS_CEILING: Final = 100_000
MAX_TEXT_LENGTH: Final = 65_536
ERRORS_KEY: Final = "errors"
BUILT_IN_REDUCERS: Final = frozenset({"append", "extend", "add", "merge", "union", "min", "max", "first"})

_ID_PATTERN: Final = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$"
Id: TypeAlias = Annotated[str, Field(pattern=_ID_PATTERN, max_length=128)]
EdgeIdText: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.>#-]{0,299}$", max_length=300)]
Name: TypeAlias = Annotated[str, Field(max_length=1_024)]
Text: TypeAlias = Annotated[str, Field(max_length=MAX_TEXT_LENGTH)]
ExpressionText: TypeAlias = Annotated[str, Field(max_length=4_096)]
StateKey: TypeAlias = Annotated[str, Field(min_length=1, max_length=1_024)]
TypeName: TypeAlias = Annotated[str, Field(min_length=1, max_length=128)]
Join: TypeAlias = Annotated[
    Literal["all", "any"] | Annotated[int, Field(ge=1)], OneProblem('must be "all", "any" or a whole number from 1')
]
EdgeCondition: TypeAlias = Literal["success", "error", "always"]


class _Part(BaseModel):
    model_config = STRICT


class Limits(_Part):
    """What an execution of the graph may use. ``None`` is no limit, for ``max_steps`` the default of the graph."""

    max_steps: Annotated[int | None, Field(ge=1, le=MAX_STEPS_CEILING), Given()] = None
    timeout_s: Annotated[Seconds | None, Given()] = None
    node_timeout_s: Annotated[Seconds | None, Given()] = None
    max_parallelism: int = Field(default=64, ge=1, le=10_000)
    max_state_bytes: int = Field(default=64 * 1024 * 1024, ge=1, le=1024 * 1024 * 1024)
    max_running: Annotated[int | None, Field(ge=1, le=1_000_000), Given()] = None
    max_events_per_activation: int = Field(default=1_000_000, ge=1, le=1_000_000_000)


class StateDefinition(_Part):
    """What the state begins as, and how its keys are written and merged.

    Attributes:
        schema_: JSON Schema of the whole state, ``schema`` in JSON.
        reducers: Per key a built-in's name, or ``module:name`` of a callable.
    """

    initial: dict[StateKey, Any] = {}
    schema_: Annotated[dict[str, Any] | None, Given()] = Field(default=None, alias="schema")
    reducers: dict[StateKey, Annotated[str, Field(min_length=1, max_length=300)]] = {}
    conflicts: dict[StateKey, ConflictPolicy] = {}
    on_conflict: ConflictPolicy = "last_write_wins"


class NodeDefinition(_Part):
    """One node.

    Attributes:
        config: What the node's type asks for; checked by the type's own model.
        input: Per parameter an expression over the state.
        output: The state key that takes the result.
        priority: Which of several that are ready begins first; ``None`` is ``normal``.
        cost: How many permits it takes where the service is governed, before its priority counts.
        retry: What follows when an attempt fails; None lets it be the last.
        fallback: A result that stands in for that of an activation that failed; None for none.
        goto: The nodes that a ``Goto`` of this node may name.
    """

    id: Id
    type: TypeName
    name: Annotated[Name | None, Given()] = None
    config: dict[str, Any] = {}
    input: dict[Annotated[str, Field(min_length=1, max_length=128)], ExpressionText] = {}
    output: Annotated[StateKey | None, Given()] = None
    join: Join = "all"
    on_conflict: Annotated[ConflictPolicy | None, Given()] = None
    timeout_s: Annotated[Seconds | None, Given()] = None
    retry: Annotated[Retry | None, Given()] = None
    circuit_breaker: Annotated[CircuitBreaker | None, Given()] = None
    quarantine: Annotated[Quarantine | None, Given()] = None
    fallback: Annotated[Any, Given()] = None
    on_error: Annotated[ErrorPolicy | None, Given()] = None
    priority: Annotated[Priority | None, Given()] = None
    cost: Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)] = 1.0
    effects: Annotated[bool | None, Given()] = None
    goto: Annotated[tuple[Id, ...], FromList()] = ()

    @property
    def node_id(self) -> NodeId:
        return NodeId(self.id)


class EdgeDefinition(_Part):
    """One edge.

    Attributes:
        id: Filled in by the graph where it is not given: ``source>target``, for the second one between the same
            nodes ``source>target#2``.
        when: An expression that gives a boolean; ``None`` is true.
        else_: Fires when no other success edge of the node did; ``else`` in JSON.
    """

    id: Annotated[EdgeIdText | None, Given()] = None
    source: Id
    target: Id
    when: Annotated[ExpressionText | None, Given()] = None
    on: EdgeCondition = "success"
    else_: bool = Field(default=False, alias="else")
    label: Annotated[Name | None, Given()] = None

    @property
    def edge_id(self) -> EdgeId:
        """The id. Only for edges of a graph, which fills it in."""
        assert self.id is not None, "an edge has its id from its graph"
        return EdgeId(self.id)


class GraphDefinition(_Part):
    """A graph, immutable. Well-formed in shape; ``validation`` says whether it means something.

    Attributes:
        entry: The nodes that an execution begins at; ``None`` is every node without incoming edges.
        on_overlap: What becomes of a start beyond ``limits.max_running``; None is ``queue`` where that is set, else
            ``allow``.
    """

    id: Id
    name: Annotated[Name | None, Given()] = None
    description: Annotated[Text | None, Given()] = None
    entry: Annotated[Annotated[tuple[Id, ...], FromList()] | None, Given()] = None
    nodes: Annotated[tuple[NodeDefinition, ...], FromList()]
    edges: Annotated[tuple[EdgeDefinition, ...], FromList()] = ()
    state: StateDefinition = StateDefinition()
    limits: Limits = Limits()
    on_error: ErrorPolicy = "fail"
    on_overlap: Annotated[Overlap | None, Given()] = None
    metadata: dict[str, Any] = {}

    @field_validator("edges", mode="wrap")
    @classmethod
    def _name_edges(cls, value: Any, handler: ValidatorFunctionWrapHandler) -> tuple[EdgeDefinition, ...]:
        edges: tuple[EdgeDefinition, ...] = handler(value)
        named = zip(edges, default_edge_ids(edges), value, strict=True)
        return tuple(edge if edge.id is not None else _named(edge, name, given) for edge, name, given in named)

    @property
    def graph_id(self) -> GraphId:
        return GraphId(self.id)

    @property
    def max_steps(self) -> int:
        """The step limit, also where the definition leaves it to the default."""
        if self.limits.max_steps is not None:
            return self.limits.max_steps
        return min(max(1_000, 10 * len(self.nodes)), MAX_STEPS_CEILING)

    @property
    def entries(self) -> tuple[NodeId, ...]:
        """The entry nodes, also where the definition leaves them to the default, in definition order.

        A node that only a ``goto`` leads to is none: what it names are edges too.
        """
        if self.entry is not None:
            return tuple(NodeId(entry) for entry in self.entry)
        targets = {edge.target for edge in self.edges}
        targets.update(*(node.goto for node in self.nodes))
        targets.update(target for node in self.nodes for target in node.goto)
        return tuple(node.node_id for node in self.nodes if node.id not in targets)

    def to_value(self) -> dict[str, Any]:
        """Return the canonical form as JSON values: what equals its default is left out."""
        value = self.model_dump(mode="python", by_alias=True, exclude_defaults=True)
        value["nodes"] = [_with_lists(node) for node in value["nodes"]]
        if "entry" in value:
            value["entry"] = list(value["entry"])
        if self.edges:
            value["edges"] = list(value["edges"])
            for edge, name in zip(value["edges"], default_edge_ids(self.edges), strict=True):
                if edge["id"] == name:
                    del edge["id"]
        return value

    def to_json(self) -> bytes:
        """Return the canonical form as JSON text. Reading it gives an equal definition."""
        return json.dumps(self.to_value(), ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()

    def digest(self) -> str:
        """Return SHA-256, in hex, of the canonical form; the order of an object's members does not matter."""
        text = json.dumps(self.to_value(), allow_nan=False, separators=(",", ":"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


class InlineGraph(_Part):
    """The body of a node that holds a graph."""

    nodes: Annotated[tuple[NodeDefinition, ...], FromList()]
    edges: Annotated[tuple[EdgeDefinition, ...], FromList()] = ()


def parse_definition(value: Any) -> GraphDefinition:
    """Return the definition that a JSON value describes.

    Raises:
        GraphInvalid: With every problem of shape: wrong types, missing and unknown fields, ids that are none.
    """
    return parse_model(GraphDefinition, value)


def is_single(body: Any) -> bool:
    """Whether an inline body is one node rather than nodes and edges."""
    return not (isinstance(body, Mapping) and ("nodes" in body or "edges" in body))


def parse_body(value: Any, *, graph_id: str) -> GraphDefinition:
    """Return the graph of an inline body: a node object, or ``{nodes, edges}``.

    Raises:
        GraphInvalid: As ``parse_definition``; pointers are relative to the body.
    """
    if is_single(value):
        return GraphDefinition(id=graph_id, nodes=(parse_model(NodeDefinition, value),))
    inline = parse_model(InlineGraph, value)
    return GraphDefinition(id=graph_id, nodes=inline.nodes, edges=inline.edges)


def default_edge_ids(edges: tuple[EdgeDefinition, ...]) -> list[str]:
    """Return what the edges are called where they have no id of their own, in order."""
    names: list[str] = []
    counts: Counter[str] = Counter()
    for edge in edges:
        name = f"{edge.source}>{edge.target}"
        counts[name] += 1
        names.append(name if counts[name] == 1 else f"{name}#{counts[name]}")
    return names


def _named(edge: EdgeDefinition, name: str, given: object) -> EdgeDefinition:
    if given is edge:
        return edge.model_copy(update={"id": name})
    edge.__dict__["id"] = name  # made a moment ago from JSON, so nobody else has it; a copy takes ten times as long
    return edge


def _with_lists(node: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _LISTED[key](part) if key in _LISTED else part for key, part in node.items()}


def _names_listed(policy: Mapping[str, Any]) -> dict[str, Any]:
    return {key: list(part) if key == "on" else part for key, part in policy.items()}


_LISTED: Final[Mapping[str, Callable[[Any], Any]]] = {
    "goto": list,
    "retry": _names_listed,
    "circuit_breaker": _names_listed,
}
