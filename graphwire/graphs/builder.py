"""Graphs written in Python."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Self, TypeAlias, TypedDict, TypeVar, Unpack, overload

from graphwire.errors import GraphInvalid, InvalidInput, Problem
from graphwire.graphs.code import Code
from graphwire.graphs.definition import EdgeCondition, GraphDefinition, Join, Limits, parse_definition
from graphwire.graphs.resilience import CircuitBreaker, Quarantine, Retry
from graphwire.json_text import read_json
from graphwire.types import ConflictPolicy, ErrorPolicy, Overlap, Priority

LOADED_PREFIX: Final = "graphwire.loaded."
"""Begins the names of modules from graph folders; references leave it out."""

Function = TypeVar("Function", bound=Callable[..., Any])
End: TypeAlias = str | Callable[..., Any]


class NodeOptions(TypedDict, total=False):
    """What ``Graph.node`` takes by name: the fields of a node, as in its JSON form."""

    id: str
    name: str
    input: Mapping[str, str]
    output: str
    join: Join
    on_conflict: ConflictPolicy
    timeout_s: float
    retry: Mapping[str, Any] | Retry
    circuit_breaker: Mapping[str, Any] | CircuitBreaker
    quarantine: Mapping[str, Any] | Quarantine
    fallback: Any
    on_error: ErrorPolicy
    priority: Priority
    cost: float
    effects: bool
    goto: Sequence[str]


class GraphOptions(TypedDict, total=False):
    """What ``Graph`` takes by name. ``state`` holds the initial values, a reducer may be a callable."""

    name: str
    description: str
    state: Mapping[str, Any]
    schema: Mapping[str, Any]
    reducers: Mapping[str, str | Callable[[Any, Any], Any]]
    conflicts: Mapping[str, ConflictPolicy]
    on_conflict: ConflictPolicy
    limits: Mapping[str, Any] | Limits
    on_error: ErrorPolicy
    on_overlap: Overlap
    metadata: Mapping[str, Any]


class Graph:
    """A graph in the making: ``Graph("orders").node(fetch).node(price).edge(fetch, price)``.

    What is wrong with it shows when ``definition`` is read, all at once.
    """

    def __init__(self, id: str, **options: Unpack[GraphOptions]) -> None:
        self._id = id
        self._options = options
        self._nodes: list[dict[str, Any]] = []
        self._edges: list[dict[str, Any]] = []
        self._entry: list[str] = []
        self._run: list[Graph] = []

    @overload
    def node(
        self,
        node: End,
        type: str | None = None,
        config: Mapping[str, Any] | None = None,
        **options: Unpack[NodeOptions],
    ) -> Self: ...

    @overload
    def node(self, **options: Unpack[NodeOptions]) -> Callable[[Function], Function]: ...

    def node(
        self,
        node: End | None = None,
        type: str | None = None,
        config: Mapping[str, Any] | None = None,
        **options: Unpack[NodeOptions],
    ) -> Self | Callable[[Function], Function]:
        """Add a node.

        Either a function, ``.node(fetch, output="orders")``; or an id with a type and its config,
        ``.node("total", "transform", {…})``; or as a decorator, ``@graph.node()``, brackets included. A function's
        node is called like the function unless ``id`` says otherwise.
        """
        if node is None:
            return lambda function: self._decorated(function, options)
        if callable(node):
            node_id = options.pop("id", getattr(node, "__name__", _type_name(node)))
            self._nodes.append({"id": node_id, "type": "function", "config": {"function": node}, **options})
        else:
            fields: dict[str, Any] = {"id": node, "type": type, "config": config or {}}
            self._nodes.append({**fields, **options})
        return self

    def subgraph(
        self,
        node: str,
        graph: "str | Graph",
        *,
        version: int | None = None,
        inherit: bool = True,
        **options: Unpack[NodeOptions],
    ) -> Self:
        """Add a node that runs another graph: a ``Graph``, or the id of one that is found when an execution starts.

        To put a graph into this one instead, give it as a body: ``.node("x", "subgraph", {"body": graph})``.
        """
        config: dict[str, Any] = {"graph": graph._id if isinstance(graph, Graph) else graph, "inherit": inherit}
        if isinstance(graph, Graph):
            self._run.append(graph)
        if version is not None:
            config["version"] = version
        return self.node(node, "subgraph", config, **options)

    def edge(
        self,
        source: End,
        target: End,
        *,
        when: str | None = None,
        on: EdgeCondition = "success",
        else_: bool = False,
        label: str | None = None,
        id: str | None = None,
    ) -> Self:
        """Add an edge between two nodes, named by their ids or their functions."""
        fields = {"when": when, "label": label, "id": id}
        given = {name: value for name, value in fields.items() if value is not None}
        ends = {"source": self._end(source), "target": self._end(target)}
        self._edges.append({**ends, "on": on, "else": else_, **given})
        return self

    def entry(self, *nodes: End) -> Self:
        """Begin at these nodes, and not at those without incoming edges."""
        self._entry += [self._end(node) for node in nodes]
        return self

    @property
    def id(self) -> str:
        """The graph's id."""
        return self._id

    @property
    def definition(self) -> GraphDefinition:
        """What the graph is now: equal to the one that its JSON form gives.

        Raises:
            GraphInvalid: With every problem of shape, or a value in it is no JSON.
        """
        return parse_definition(self.value)

    @property
    def value(self) -> dict[str, Any]:
        """The JSON form, however wrong it is.

        Raises:
            GraphInvalid: Something in it is no JSON.
        """
        return self._built()[0]

    @property
    def code(self) -> Code:
        """The functions that the definition refers to."""
        return self._built()[1]

    @property
    def graphs(self) -> "Sequence[Graph]":
        """The graphs that were given to ``subgraph``, of bodies too, and those that were given to them."""
        found: list[Graph] = []
        waiting = [self]
        while waiting:
            new = [each for each in waiting.pop()._built()[2] if all(each is not known for known in found)]
            found += new
            waiting += new
        return tuple(found)

    def _decorated(self, function: Function, options: NodeOptions) -> Function:
        self.node(function, **options)
        return function

    def _end(self, node: "End | Graph") -> str:
        if isinstance(node, str):
            return node
        if isinstance(node, Graph):
            raise TypeError("a graph is no end of an edge; to decorate write @graph.node(), with brackets")
        for known in self._nodes:
            if known["config"].get("function") is node:
                return str(known["id"])
        return str(getattr(node, "__name__", _type_name(node)))

    def _built(self) -> "tuple[dict[str, Any], Code, list[Graph]]":
        references = _References()
        try:
            text = json.dumps(self._value(), default=references.encode, allow_nan=False)
            value = read_json(text.encode())
        except InvalidInput as error:
            raise GraphInvalid(error.detail, error.problems, left_out=error.left_out) from None
        except (TypeError, ValueError, RecursionError) as error:
            detail = f"the graph holds a value that is no JSON: {error}"
            raise GraphInvalid(detail, [Problem("", "invalid_value", detail)]) from None
        named = [each for graph in (self, *references.bodies) for each in graph._run]
        return value, Code(references.functions), named

    def _value(self) -> dict[str, Any]:
        options: dict[str, Any] = dict(self._options)
        state = {"initial": options.pop("state", {})}
        for name in ("schema", "reducers", "conflicts", "on_conflict"):
            if name in options:
                state[name] = options.pop(name)
        entry = {"entry": self._entry} if self._entry else {}
        return {"id": self._id, **options, **entry, "nodes": self._nodes, "edges": self._edges, "state": state}

    def _inline(self) -> dict[str, Any]:
        return {"nodes": self._nodes, "edges": self._edges}


class _References:
    """Names functions while a graph is written out."""

    def __init__(self) -> None:
        self.functions: dict[str, Callable[..., Any]] = {}
        self.bodies: list[Graph] = []

    def encode(self, value: Any) -> Any:
        match value:
            case Graph():
                self.bodies.append(value)
                return value._inline()
            case Limits() | Retry() | CircuitBreaker() | Quarantine():
                return value.model_dump(exclude_defaults=True)
            case type() if issubclass(value, BaseException):
                return value.__name__
            case Mapping():
                return dict(value)
            case _ if callable(value):
                return self._reference(value)
            case _:
                raise TypeError(f"a value of type {_type_name(value)}")

    def _reference(self, function: Callable[..., Any]) -> str:
        module = str(getattr(function, "__module__", "")).removeprefix(LOADED_PREFIX)
        name = f"{module}:{getattr(function, '__qualname__', _type_name(function))}"
        number, reference = 1, name
        while self.functions.setdefault(reference, function) is not function:
            number += 1
            reference = f"{name}#{number}"
        return reference


def _type_name(value: object) -> str:
    return type(value).__name__
