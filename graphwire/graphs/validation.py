"""Whether a definition means something: everything that its shape cannot say."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Final, assert_never

from graphwire.errors import CodeNotAllowed, GraphInvalid, Problem, UnknownNodeType, quoted
from graphwire.graphs.code import Code, is_reference
from graphwire.graphs.definition import (
    BUILT_IN_REDUCERS,
    ERRORS_KEY,
    GraphDefinition,
    NodeDefinition,
    StateDefinition,
    is_single,
    parse_body,
)
from graphwire.graphs.expression_checks import EDGE_ROOTS, STATE_ROOTS, ExpressionChecks
from graphwire.graphs.registry import (
    BodyPart,
    CodePart,
    ConfigPart,
    ExpressionPart,
    KeyPart,
    NodeType,
    Registry,
    TemplatePart,
)
from graphwire.graphs.scope import Scope
from graphwire.graphs.shape import invalid_graph
from graphwire.graphs.signature import call_of, reducer_problems
from graphwire.graphs.state_schema import StateSchema
from graphwire.graphs.structure import structure_problems
from graphwire.graphs.structure_warnings import structure_warnings
from graphwire.json_text import pointer
from graphwire.near_names import NearNames

MAX_NODES: Final = 10_000
MAX_EDGES: Final = 50_000
MAX_BODY_DEPTH: Final = 8


@dataclass(frozen=True, slots=True)
class Findings:
    """What validation found: a graph with problems cannot run, one with warnings can."""

    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...] = ()


def validate(
    definition: GraphDefinition,
    registry: Registry,
    *,
    code: Code | None = None,
    max_nodes: int = MAX_NODES,
    max_edges: int = MAX_EDGES,
) -> Findings:
    """Return everything that is wrong or odd, in time linear in nodes and edges.

    Args:
        code: What references resolve to; ``None`` for a definition that came as data, which may not name code.
        max_nodes: The limit of nodes, those inside bodies included; likewise ``max_edges``.
    """
    return _Validation(registry, code, max_nodes, max_edges).run(definition)


def check(
    definition: GraphDefinition,
    registry: Registry,
    *,
    code: Code | None = None,
    max_nodes: int = MAX_NODES,
    max_edges: int = MAX_EDGES,
) -> tuple[Problem, ...]:
    """Return the warnings of a definition that can run.

    Raises:
        CodeNotAllowed: It came as data and names code, and that is its only fault.
        UnknownNodeType: It names node types that there are not, and that is its only fault.
        GraphInvalid: Every other case, with all problems.
    """
    findings = validate(definition, registry, code=code, max_nodes=max_nodes, max_edges=max_edges)
    if not findings.problems:
        return findings.warnings
    error = invalid_graph(findings.problems)
    codes = {problem.code for problem in findings.problems}
    if codes == {CodeNotAllowed.code}:
        raise CodeNotAllowed(error.detail, error.problems)
    if codes == {UnknownNodeType.code}:
        raise UnknownNodeType(error.detail, error.problems)
    raise error


@dataclass(frozen=True, slots=True)
class _Pending:
    """A scope still to be checked; ``keys`` are the state keys that are known there, None if they are open."""

    scope: Scope
    keys: frozenset[str] | None
    depth: int = 0


class _Validation:
    """One run over one definition. Bodies wait on a list, so nothing recurses."""

    def __init__(self, registry: Registry, code: Code | None, max_nodes: int, max_edges: int) -> None:
        self._registry = registry
        self._code = code
        self._nodes_left, self._max_nodes = max_nodes, max_nodes
        self._edges_left, self._max_edges = max_edges, max_edges
        self._near = NearNames()
        self._expressions = ExpressionChecks()
        self._pending: list[_Pending] = []

    def run(self, definition: GraphDefinition) -> Findings:
        problems = list(self._state_problems(definition.state))
        warnings: list[Problem] = []
        self._pending.append(_Pending(Scope(definition), _known_keys(definition)))
        while self._pending:
            pending = self._pending.pop()
            found = list(self._size_problems(pending.scope))
            if not found:  # nothing larger than the limits is looked at any further
                found += structure_problems(pending.scope, self._near)
                warnings += [] if found else structure_warnings(pending.scope)
                found += self._content_problems(pending)
            problems += found
        return Findings(tuple(problems), tuple(warnings))

    def _size_problems(self, scope: Scope) -> Iterator[Problem]:
        if not scope.nodes:
            yield Problem(f"{scope.at}/nodes", "no_nodes", "a graph has at least one node")
        self._nodes_left -= len(scope.nodes)
        self._edges_left -= len(scope.edges)
        if self._nodes_left < 0:
            count = f"{self._max_nodes - self._nodes_left:,} nodes; the limit is {self._max_nodes:,}"
            yield Problem(f"{scope.at}/nodes", "too_many_nodes", f"{count} (GRAPHWIRE_MAX_NODES)")
        if self._edges_left < 0:
            count = f"{self._max_edges - self._edges_left:,} edges; the limit is {self._max_edges:,}"
            yield Problem(f"{scope.at}/edges", "too_many_edges", f"{count} (GRAPHWIRE_MAX_EDGES)")

    def _content_problems(self, pending: _Pending) -> Iterator[Problem]:
        scope = pending.scope
        for index, edge in enumerate(scope.edges):
            if edge.when is not None:
                place = f"{scope.edge_place(index)}/when"
                yield from self._expressions.expression(edge.when, place, EDGE_ROOTS, pending.keys)
        for index, node in enumerate(scope.nodes):
            yield from self._node_problems(node, scope.node_place(index), pending)

    def _node_problems(self, node: NodeDefinition, place: str, pending: _Pending) -> Iterator[Problem]:
        if (node.output or node.id) == ERRORS_KEY:  # what every type writes that gives no mapping
            yield _reserved(f"{place}/{'output' if node.output else 'id'}")
        for name, text in node.input.items():
            yield from self._expressions.expression(text, f"{place}/input{pointer(name)}", STATE_ROOTS, pending.keys)
        node_type = self._registry.get(node.type)
        if node_type is None:
            detail = f"there is no node type {quoted(node.type)}{self._near(node.type, self._registry.names())}"
            yield Problem(f"{place}/type", UnknownNodeType.code, detail)
            return
        if node.input and not node_type.takes_input:
            detail = f"a node of type {quoted(node.type)} has no parameters, so it takes no input"
            yield Problem(f"{place}/input", "input_refused", detail)
        yield from self._config_problems(node, node_type, place, pending)

    def _config_problems(
        self, node: NodeDefinition, node_type: NodeType[Any], place: str, pending: _Pending
    ) -> Iterator[Problem]:
        try:
            config = node_type.parse(node)
        except GraphInvalid as error:
            yield from _moved(error.problems, place)
            return
        for part in node_type.parts(config):
            yield from self._part_problems(part, f"{place}/config{part.pointer}", node, place, pending)

    def _part_problems(
        self, part: ConfigPart, at: str, node: NodeDefinition, node_place: str, pending: _Pending
    ) -> Iterator[Problem]:
        match part:
            case ExpressionPart():
                yield from self._expressions.expression(part.text, at, STATE_ROOTS, pending.keys)
            case TemplatePart():
                yield from self._expressions.template(part.text, at, pending.keys)
            case CodePart():
                yield from self._code_problems(part.reference, at, node, node_place)
            case BodyPart():
                yield from self._body_problems(part, at, node, pending)
            case KeyPart():
                if part.key == ERRORS_KEY and not (part.is_result and node.output):
                    yield _reserved(at)
            case _:
                assert_never(part)

    def _code_problems(self, reference: str, at: str, node: NodeDefinition, node_place: str) -> Iterator[Problem]:
        if self._code is None:
            yield _code_not_allowed(at)
            return
        try:
            parameters = call_of(self._code.resolve(reference)).parameters
        except GraphInvalid as error:
            yield from _moved(error.problems, at)
            return
        names = [parameter.name for parameter in parameters if parameter.source == "key"]
        for name in node.input:
            if name not in names:
                detail = f"the function has no parameter {quoted(name)}{self._near(name, names)}"
                yield Problem(f"{node_place}/input{pointer(name)}", "unknown_parameter", detail)

    def _body_problems(self, part: BodyPart, at: str, node: NodeDefinition, pending: _Pending) -> Iterator[Problem]:
        if pending.depth >= MAX_BODY_DEPTH:
            yield Problem(at, "too_deep", f"bodies may be nested {MAX_BODY_DEPTH} deep")
            return
        try:
            body = parse_body(part.value, graph_id=node.id)
        except GraphInvalid as error:
            yield from _moved(error.problems, at)
            return
        keys = None if pending.keys is None else pending.keys | part.keys | _written_keys(body)
        scope = Scope(body, at, is_single(part.value))
        self._pending.append(_Pending(scope, keys, pending.depth + 1))

    def _state_problems(self, state: StateDefinition) -> Iterator[Problem]:
        for field, keys in (("initial", state.initial), ("reducers", state.reducers), ("conflicts", state.conflicts)):
            if ERRORS_KEY in keys:
                yield _reserved(f"/state/{field}/{ERRORS_KEY}")
        for key, name in state.reducers.items():
            yield from self._reducer_problems(name, f"/state/reducers{pointer(key)}")
        if state.schema_ is not None:
            try:
                StateSchema(state.schema_)
            except GraphInvalid as error:
                yield from _moved(error.problems, "/state/schema")

    def _reducer_problems(self, name: str, at: str) -> Iterator[Problem]:
        if name in BUILT_IN_REDUCERS:
            return
        if not is_reference(name):
            hint = self._near(name, BUILT_IN_REDUCERS)
            known = ", ".join(sorted(BUILT_IN_REDUCERS))
            yield Problem(at, "unknown_reducer", f"there is no reducer {quoted(name)}{hint} (there are {known})")
        elif self._code is None:
            yield _code_not_allowed(at)
        else:
            try:
                reducer = self._code.resolve(name)
            except GraphInvalid as error:
                yield from _moved(error.problems, at)
                return
            yield from _moved(reducer_problems(reducer), at)


def _known_keys(definition: GraphDefinition) -> frozenset[str] | None:
    state = definition.state
    if state.schema_ is None:
        return None
    try:
        named = StateSchema(state.schema_).keys
    except GraphInvalid:
        return None
    if named is None:
        return None
    return named.union(state.initial, state.reducers, {ERRORS_KEY}, _written_keys(definition))


def _written_keys(graph: GraphDefinition) -> frozenset[str]:
    return frozenset(chain.from_iterable((node.id, node.output or node.id) for node in graph.nodes))


def _moved(problems: Iterable[Problem], at: str) -> Iterator[Problem]:
    return (replace(problem, pointer=at + problem.pointer) for problem in problems)


def _reserved(at: str) -> Problem:
    return Problem(at, "reserved_key", f"{quoted(ERRORS_KEY)} is written by the engine alone")


def _code_not_allowed(at: str) -> Problem:
    detail = "names code, which only a graph from a graph folder may do"
    return Problem(at, CodeNotAllowed.code, detail)
