"""A definition made ready to run: indexes, expressions, behaviours, topology. Immutable, shared by executions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from graphwire.engine.choosing import chooser
from graphwire.engine.merge import Policies
from graphwire.engine.policies.line import LEVELS, NORMAL
from graphwire.engine.policies.retry import RetryPolicy
from graphwire.engine.reducers import Reducers
from graphwire.engine.topology import Topology
from graphwire.errors import UnknownNodeType, quoted
from graphwire.graphs.behaviour import Ask, Behaviour, Choose, Opens, Subgraph, Wait
from graphwire.graphs.code import Code
from graphwire.graphs.definition import EdgeDefinition, GraphDefinition, NodeDefinition
from graphwire.graphs.expressions import Expression, compile_expression
from graphwire.graphs.references import Named
from graphwire.graphs.registry import Registry
from graphwire.graphs.resilience import CircuitBreaker, Quarantine
from graphwire.graphs.state_schema import StateSchema
from graphwire.types import ErrorPolicy
from graphwire.values import freeze

EDGE_ROOTS = frozenset({"state", "result", "error"})
ERRORS = "errors"
"""The reserved key under which failures are listed."""


class Route(NamedTuple):
    """Edges that fire, in definition order."""

    fired: tuple[int, ...]
    ids: list[str]


@dataclass(frozen=True, slots=True)
class EdgePlan:
    """One edge, with its index in definition order; ``goto`` edges come after the declared ones."""

    index: int
    id: str
    source: int
    target: int
    on: str
    when: Expression | None
    is_else: bool


@dataclass(frozen=True, slots=True)
class NodeGuard:
    """What may keep a node from running.

    Attributes:
        name: The node's, over all graphs.
        breaker_name: Its circuit breaker's.
    """

    name: str
    breaker: CircuitBreaker | None
    quarantine: Quarantine | None

    @property
    def breaker_name(self) -> str:
        return self.name if self.breaker is None or self.breaker.name is None else self.breaker.name


@dataclass(slots=True)
class NodePlan:
    """One node.

    Attributes:
        edges: Declared outgoing edges in definition order.
        plain_route: What fires on success when no edge has a condition; None if that depends on the state.
        goto: By the id of the target the edge that a ``Goto`` fires.
        inputs: What replaces the parameters that are read by key.
        has_output: Its result is one value, also where it is a mapping; not where the mapping has it under the key.
        level: Its priority; the higher, the sooner it begins.
        needs_slot: Its attempts run; others sleep, ask or are open.
        body: The plan of the graph that its child scopes run.
        reference: Where that is another graph: its name; ``linking`` puts its plan in ``body``.
    """

    index: int
    id: str
    type: str
    definition: NodeDefinition
    behaviour: Behaviour
    edges: tuple[EdgePlan, ...]
    plain_route: Route | None
    goto: Mapping[str, EdgePlan]
    policies: Policies
    on_error: ErrorPolicy
    inputs: Mapping[str, Expression]
    timeout_s: float | None
    level: int
    retry: RetryPolicy | None
    guard: NodeGuard | None
    fallback: Any
    output: str
    has_output: bool
    effects: bool
    reads_result: bool
    needs_slot: bool
    body: "Plan | None" = None
    reference: Named | None = None


@dataclass(slots=True)
class Plan:
    """A graph, ready to run. Made by ``compile_plan``; nothing in it changes afterwards.

    Attributes:
        has_priorities: Some node of it, or of a body in it, has one.
        draws: The engine itself needs the execution's seed: for the waits between attempts.
        graphs: The versions of the graphs that it names without one, its own and those of what it runs, by id.
        runs: Every graph that runs inside of it, in which version.
    """

    definition: GraphDefinition
    version: int
    nodes: list[NodePlan]
    edges: list[EdgePlan]
    topology: Topology
    index: Mapping[str, int]
    entries: tuple[int, ...]
    reducers: Reducers
    policies: Policies
    initial: Mapping[str, bytes]
    schema: StateSchema | None
    max_steps: int
    timeout_s: float | None
    node_timeout_s: float | None
    max_parallelism: int
    max_state_bytes: int
    max_events_per_activation: int
    node_ids: list[str] = field(default_factory=list)
    edge_ids: list[str] = field(default_factory=list)
    has_priorities: bool = False
    draws: bool = False
    graphs: Mapping[str, int] = field(default_factory=dict)
    runs: Sequence[tuple[str, int]] = ()

    def source_of(self, edge: int) -> str:
        """Return the id of the node that an edge comes from; "" for the virtual input of an entry."""
        return self.nodes[self.edges[edge].source].id if edge >= 0 else ""

    def entry_indexes(self, names: Sequence[str] | None) -> tuple[int, ...]:
        """Return the entries of an execution: those named, else the definition's."""
        if not names:
            return self.entries
        return tuple(sorted({self.index[name] for name in names}))


async def _absent() -> None:
    """Stands for a function of a plan that is never run."""


class _NoCode(Code):
    def resolve(self, reference: str) -> Callable[..., Any]:
        return _absent


def outline(definition: GraphDefinition, registry: Registry, version: int = 1) -> Plan:
    """Make a plan for restoring states only, where a graph's code is not at hand: its functions do nothing."""
    return compile_plan(definition, registry, _NoCode(), version)


def compile_plan(definition: GraphDefinition, registry: Registry, code: Code, version: int = 1) -> Plan:
    """Make a valid definition ready to run.

    Raises:
        GraphInvalid: Something that the definition names cannot be found; ``validation.check`` tells all of it.
    """
    return _Compiler(definition, registry, code, version).plan(definition)


class _Compiler:
    """Compiles a graph and the bodies in it, which share the graph's reducers, policies and limits."""

    def __init__(self, root: GraphDefinition, registry: Registry, code: Code, version: int) -> None:
        self._root = root
        self._registry = registry
        self._code = code
        self._version = version
        self._reducers = self._resolve_reducers()
        self._path = [root.id]

    def plan(self, definition: GraphDefinition) -> Plan:
        index = {node.id: position for position, node in enumerate(definition.nodes)}
        edges = [self._edge(edge, position, index) for position, edge in enumerate(definition.edges)]
        outgoing: list[list[EdgePlan]] = [[] for _ in definition.nodes]
        for edge in edges:
            outgoing[edge.source].append(edge)
        gotos: list[dict[str, EdgePlan]] = []
        for node in definition.nodes:
            jumps: dict[str, EdgePlan] = {}
            for target in node.goto:
                jumps[target] = _goto_edge(len(edges), index[node.id], index[target], node.id, target)
                edges.append(jumps[target])
            gotos.append(jumps)
        nodes = [
            self._node(definition, position, tuple(outgoing[position]), gotos[position])
            for position in range(len(definition.nodes))
        ]
        limits, state = self._root.limits, self._root.state
        return Plan(
            definition=definition,
            version=self._version,
            nodes=nodes,
            edges=edges,
            topology=Topology([node.join for node in definition.nodes], [(e.source, e.target) for e in edges]),
            index=index,
            entries=tuple(sorted({index[name] for name in definition.entries})),
            reducers=self._reducers,
            policies=Policies(state.conflicts, None, state.on_conflict),
            initial={key: freeze(value) for key, value in definition.state.initial.items()},
            schema=None if state.schema_ is None else StateSchema(state.schema_),
            max_steps=self._root.max_steps,
            timeout_s=limits.timeout_s,
            node_timeout_s=limits.node_timeout_s,
            max_parallelism=limits.max_parallelism,
            max_state_bytes=limits.max_state_bytes,
            max_events_per_activation=limits.max_events_per_activation,
            node_ids=[node.id for node in nodes],
            edge_ids=[edge.id for edge in edges],
            has_priorities=any(
                node.level != NORMAL or (node.body is not None and node.body.has_priorities) for node in nodes
            ),
            draws=any(node.retry is not None or (node.body is not None and node.body.draws) for node in nodes),
        )

    def _edge(self, edge: EdgeDefinition, position: int, index: Mapping[str, int]) -> EdgePlan:
        when = None if edge.when is None else compile_expression(edge.when, roots=EDGE_ROOTS)
        return EdgePlan(position, edge.edge_id, index[edge.source], index[edge.target], edge.on, when, edge.else_)

    def _node(
        self, definition: GraphDefinition, position: int, edges: tuple[EdgePlan, ...], goto: Mapping[str, EdgePlan]
    ) -> NodePlan:
        node = definition.nodes[position]
        node_type = self._registry.get(node.type)
        if node_type is None:
            raise UnknownNodeType(f"there is no node type {quoted(node.type)}")
        behaviour: Behaviour = node_type.prepare(node, node_type.parse(node), self._code)
        plain_route = _plain_route(edges)
        places_output = isinstance(behaviour, Choose) or (isinstance(behaviour, Ask) and behaviour.by is not None)
        if isinstance(behaviour, Choose):
            plain_route, goto, edges = None, *_choices(definition, edges, behaviour.default)
            behaviour = chooser(behaviour)
        body = behaviour.body if isinstance(behaviour, Opens) else None
        reference = behaviour.reference if isinstance(behaviour, Subgraph) else None
        state = self._root.state
        return NodePlan(
            index=position,
            id=node.id,
            type=node.type,
            definition=node,
            behaviour=behaviour,
            edges=edges,
            plain_route=plain_route,
            goto=goto,
            policies=Policies(state.conflicts, node.on_conflict, state.on_conflict),
            on_error=node.on_error or self._root.on_error,
            inputs={name: compile_expression(text) for name, text in node.input.items()},
            timeout_s=node.timeout_s,
            level=NORMAL if node.priority is None else LEVELS[node.priority],
            retry=None if node.retry is None else RetryPolicy.of(node.retry),
            guard=self._guard(node),
            fallback=node.fallback,
            output=node.output or node.id,
            has_output=node.output is not None and not places_output,
            effects=node_type.has_effects if node.effects is None else node.effects,
            reads_result=any("result" in edge.when.roots_used for edge in edges if edge.when is not None),
            needs_slot=not isinstance(behaviour, Opens | Wait | Ask),
            body=None if body is None else self._body(node, body),
            reference=reference,
        )

    def _body(self, node: NodeDefinition, body: GraphDefinition) -> Plan:
        self._path.append(node.id)
        try:
            return self.plan(body)
        finally:
            self._path.pop()

    def _guard(self, node: NodeDefinition) -> NodeGuard | None:
        if node.circuit_breaker is None and node.quarantine is None:
            return None
        return NodeGuard("/".join((*self._path, node.id)), node.circuit_breaker, node.quarantine)

    def _resolve_reducers(self) -> Reducers:
        reducers = self._root.state.reducers.items()
        named = {key: self._code.resolve(name) if ":" in name else name for key, name in reducers}
        return Reducers({**named, ERRORS: "append"})


def _goto_edge(position: int, source: int, target: int, source_id: str, target_id: str) -> EdgePlan:
    return EdgePlan(position, f"{source_id}>{target_id}#goto", source, target, "goto", None, False)


def _choices(
    definition: GraphDefinition, edges: tuple[EdgePlan, ...], default: str | None
) -> tuple[Mapping[str, EdgePlan], tuple[EdgePlan, ...]]:
    """Return the edges that a node chooses among, by target, and all of its edges: none of those fires by itself.

    Where its failure is passed over (``on_error: continue``), the one to the default does.
    """
    chosen: dict[str, EdgePlan] = {}
    others: list[EdgePlan] = []
    for edge in edges:
        if edge.on == "success":
            target = definition.edges[edge.index].target
            is_default = target == default
            chosen[target] = edge = replace(edge, on="success" if is_default else "goto", is_else=is_default)
        others.append(edge)
    return chosen, tuple(others)


def _plain_route(edges: tuple[EdgePlan, ...]) -> Route | None:
    if any(edge.when is not None or edge.is_else for edge in edges if edge.on != "error"):
        return None
    fired = [edge for edge in edges if edge.on != "error"]
    return Route(tuple(edge.index for edge in fired), [edge.id for edge in fired])
