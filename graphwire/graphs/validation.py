"""Whether a definition means something: everything that its shape cannot say."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Final, assert_never

from graphwire.errors import CodeNotAllowed, GraphInvalid, InvalidInput, Problem, UnknownNodeType, quoted
from graphwire.graphs.choices import choice_problems
from graphwire.graphs.code import Code, is_reference
from graphwire.graphs.definition import (
    BUILT_IN_REDUCERS,
    ERRORS_KEY,
    GraphDefinition,
    NodeDefinition,
    StateDefinition,
    is_single,
    parse_body,
    parse_definition,
)
from graphwire.graphs.expression_checks import EDGE_ROOTS, STATE_ROOTS, ExpressionChecks
from graphwire.graphs.references import Reference
from graphwire.graphs.registry import (
    BodyPart,
    CodePart,
    ConfigPart,
    ExpressionPart,
    KeyPart,
    NodeType,
    ReferencePart,
    Registry,
    SchemaPart,
    TargetPart,
    TemplatePart,
)
from graphwire.graphs.resilience import breaker_problems, retry_problems
from graphwire.graphs.salvage import HOLE, Salvaged, salvage_body, salvage_config, salvage_definition
from graphwire.graphs.scope import Scope
from graphwire.graphs.shape import invalid_graph
from graphwire.graphs.signature import call_of, reducer_problems
from graphwire.graphs.state_schema import StateSchema, schema_problems
from graphwire.graphs.structure import structure_problems
from graphwire.graphs.structure_warnings import structure_warnings
from graphwire.json_text import pointer
from graphwire.near_names import NearNames

MAX_NODES: Final = 10_000
MAX_EDGES: Final = 50_000
MAX_BODY_DEPTH: Final = 8
_NAMES: Final = 10**400
"""More than any index: a part of a pointer has at most 300 characters."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What validation found: a graph with problems cannot run, one with warnings can.

    Attributes:
        problems: In the order of their pointers, numbers in them by value.
        left_out: How many more problems of shape there are: of a flood only some are described.
        references: The graphs that it runs, which are not looked at.
    """

    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...] = ()
    left_out: int = 0
    references: tuple[Reference, ...] = ()


def validate(
    value: GraphDefinition | Any,
    registry: Registry,
    *,
    code: Code | None = None,
    max_nodes: int = MAX_NODES,
    max_edges: int = MAX_EDGES,
    known: Iterable[Problem] = (),
) -> Findings:
    """Return everything that is wrong or odd, in time linear in nodes and edges.

    What has no sound shape hides nothing else: the parts that have one are checked without it.

    Args:
        value: A definition, or a JSON value that is to be one.
        code: What references resolve to; ``None`` for a definition that came as data, which may not name code.
        max_nodes: The limit of nodes, those inside bodies included; likewise ``max_edges``.
        known: Problems that were found already, to be among the others.
    """
    return _examine(value, _Validation(registry, code, max_nodes, max_edges), known)[1]


def check(
    value: GraphDefinition | Any,
    registry: Registry,
    *,
    code: Code | None = None,
    max_nodes: int = MAX_NODES,
    max_edges: int = MAX_EDGES,
    known: Iterable[Problem] = (),
) -> tuple[GraphDefinition, tuple[Problem, ...]]:
    """Return a definition that can run, and its warnings. Takes what ``validate`` takes.

    Raises:
        CodeNotAllowed: It came as data and names code, and that is its only fault.
        UnknownNodeType: It names node types that there are not, and that is its only fault.
        GraphInvalid: Every other case, with all problems.
    """
    limits = {"max_nodes": max_nodes, "max_edges": max_edges}
    definition, findings = examined(value, registry, code=code, known=known, **limits)
    return definition, findings.warnings


def examined(
    value: GraphDefinition | Any,
    registry: Registry,
    *,
    code: Code | None = None,
    max_nodes: int = MAX_NODES,
    max_edges: int = MAX_EDGES,
    known: Iterable[Problem] = (),
) -> tuple[GraphDefinition, Findings]:
    """Return a definition that can run, and all that was found. Takes what ``validate`` takes, raises as ``check``."""
    definition, findings = _examine(value, _Validation(registry, code, max_nodes, max_edges), known)
    if definition is None or findings.problems:
        raise refusal(findings)
    return definition, findings


def _examine(
    value: GraphDefinition | Any, validation: "_Validation", known: Iterable[Problem]
) -> tuple[GraphDefinition | None, Findings]:
    try:
        definition = value if isinstance(value, GraphDefinition) else parse_definition(value)
    except GraphInvalid:
        return None, validation.run_salvaged(salvage_definition(value), known)
    return definition, validation.run(Scope(definition), known)


def _overlap_problems(root: Scope) -> Iterator[Problem]:
    if root.graph.on_overlap == "allow" and root.graph.limits.max_running is not None:
        detail = '"allow" lets any number run; leave it out, or leave limits.max_running out'
        yield Problem("/on_overlap", "contradiction", detail)


def refusal(findings: Findings) -> InvalidInput:
    """Return the error that ``check`` raises for these findings."""
    error = invalid_graph(findings.problems, findings.left_out)
    codes = {problem.code for problem in findings.problems}
    if codes == {CodeNotAllowed.code}:
        return CodeNotAllowed(error.detail, error.problems)
    if codes == {UnknownNodeType.code}:
        return UnknownNodeType(error.detail, error.problems)
    return error


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
        self._references: list[Reference] = []
        self._left_out = 0

    def run(self, root: Scope, problems: Iterable[Problem] = ()) -> Findings:
        """Check a graph. ``problems`` are known already."""
        found = [*problems, *self._state_problems(root.graph.state), *_overlap_problems(root)]
        warnings: list[Problem] = []
        self._pending.append(_Pending(root, self._known_keys(root)))
        while self._pending:
            pending = self._pending.pop()
            here = list(self._size_problems(pending.scope))
            if not here:  # nothing larger than the limits is looked at any further
                here += structure_problems(pending.scope, self._near)
                if not here and not pending.scope.gaps.is_any:
                    warnings += structure_warnings(pending.scope)
                here += self._content_problems(pending)
            found += here
        references = tuple(sorted(self._references, key=lambda each: _order(each.pointer)))
        ordered = sorted(found, key=lambda each: _order(each.pointer))
        return Findings(tuple(ordered), tuple(warnings), self._left_out, references)

    def run_salvaged(self, salvaged: Salvaged, problems: Iterable[Problem] = ()) -> Findings:
        """Check what there is of a graph whose shape has problems."""
        self._left_out += salvaged.left_out
        found = [*problems, *salvaged.problems]
        if salvaged.graph is None:
            return Findings(tuple(found), left_out=self._left_out)
        return self.run(Scope(salvaged.graph, gaps=salvaged.gaps), found)

    def _size_problems(self, scope: Scope) -> Iterator[Problem]:
        if not scope.nodes and "nodes" not in scope.gaps.graph:
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
            yield from self._node_problems(node, scope.node_place(index), pending, scope.gaps.of_node(index))

    def _node_problems(
        self, node: NodeDefinition, place: str, pending: _Pending, missing: frozenset[str]
    ) -> Iterator[Problem]:
        if (
            node.output or node.id
        ) == ERRORS_KEY and "output" not in missing:  # what every type writes that gives no mapping
            yield _reserved(f"{place}/{'output' if node.output else 'id'}")
        for name, text in node.input.items():
            yield from self._expressions.expression(text, f"{place}/input{pointer(name)}", STATE_ROOTS, pending.keys)
        if node.retry is not None and "retry" not in missing:
            yield from retry_problems(node.retry, f"{place}/retry")
        if node.circuit_breaker is not None and "circuit_breaker" not in missing:
            yield from breaker_problems(node.circuit_breaker, f"{place}/circuit_breaker")
        if isinstance(node.fallback, dict) and ERRORS_KEY in node.fallback and not node.output:
            yield _reserved(f"{place}/fallback/{ERRORS_KEY}")
        if "type" in missing:
            return
        node_type = self._registry.get(node.type)
        if node_type is None:
            detail = f"there is no node type {quoted(node.type)}{self._near(node.type, self._registry.names())}"
            yield Problem(f"{place}/type", UnknownNodeType.code, detail)
            return
        if (node.input or "input" in missing) and not node_type.takes_input:
            detail = f"a node of type {quoted(node.type)} has no parameters, so it takes no input"
            yield Problem(f"{place}/input", "input_refused", detail)
        if node_type.writes_through and ERRORS_KEY in node.input:
            yield _reserved(f"{place}/input/{ERRORS_KEY}")
        if "config" not in missing:
            yield from self._config_problems(node, node_type, place, pending)

    def _config_problems(
        self, node: NodeDefinition, node_type: NodeType[Any], place: str, pending: _Pending
    ) -> Iterator[Problem]:
        try:
            parts = node_type.parts(node_type.parse(node))
        except GraphInvalid as error:
            self._left_out += error.left_out
            yield from _moved(error.problems, place)
            parts = _sound_parts(node_type, node)
        targets: list[TargetPart] = []
        for part in parts:
            if isinstance(part, TargetPart):
                targets.append(part)
            else:
                yield from self._part_problems(part, f"{place}/config{part.pointer}", node, place, pending)
        if targets:
            yield from choice_problems(pending.scope, node, f"{place}/config", targets, self._near)

    def _part_problems(
        self,
        part: ExpressionPart | TemplatePart | CodePart | BodyPart | KeyPart | ReferencePart | SchemaPart,
        at: str,
        node: NodeDefinition,
        node_place: str,
        pending: _Pending,
    ) -> Iterator[Problem]:
        match part:
            case ExpressionPart():
                keys = None if pending.keys is None else pending.keys | part.keys
                yield from self._expressions.expression(part.text, at, STATE_ROOTS, keys)
            case TemplatePart():
                yield from self._expressions.template(part.text, at, pending.keys)
            case CodePart():
                yield from self._code_problems(part.reference, at, node, node_place)
            case BodyPart():
                yield from self._body_problems(part, at, node, pending)
            case KeyPart():
                if part.key == ERRORS_KEY and not (part.is_result and node.output):
                    yield _reserved(at)
            case ReferencePart():
                self._references.append(Reference(at, part.graph, part.version))
            case SchemaPart():
                yield from _moved(schema_problems(part), at.removesuffix(part.pointer))
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
            scope = Scope(parse_body(part.value, graph_id=node.id), at, is_single(part.value))
        except GraphInvalid:
            salvaged = salvage_body(part.value, graph_id=node.id)
            self._left_out += salvaged.left_out
            yield from _moved(salvaged.problems, at)
            if salvaged.graph is None:
                return
            scope = Scope(salvaged.graph, at, is_single(part.value), salvaged.gaps)
        written = self._written_keys(scope)
        known = pending.keys
        keys = None if known is None or written is None else known.union(part.keys, written, node.input)
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

    def _known_keys(self, root: Scope) -> frozenset[str] | None:
        state = root.graph.state
        if state.schema_ is None or "state" in root.gaps.graph:
            return None
        try:
            named = StateSchema(state.schema_).keys
        except GraphInvalid:
            return None
        written = self._written_keys(root)
        if named is None or written is None:
            return None
        return named.union(state.initial, state.reducers, {ERRORS_KEY}, written)

    def _written_keys(self, scope: Scope) -> frozenset[str] | None:
        """Return the keys that results of nodes are put under; None where there may be others."""
        if "nodes" in scope.gaps.graph or any(missing & {"id", "output"} for missing in scope.gaps.nodes.values()):
            return None
        types = (self._registry.get(node.type) for node in scope.nodes if node.output is None)
        if any(node_type is not None and node_type.writes_through for node_type in types):
            return None
        return frozenset(chain.from_iterable((node.id, node.output or node.id) for node in scope.nodes))


def _sound_parts(node_type: NodeType[Any], node: NodeDefinition) -> Iterator[ConfigPart]:
    """Give the parts of a config with problems that are not in what is wrong."""
    salvaged = salvage_config(node_type.config, node.config)
    if salvaged is None:
        return
    config, sound = salvaged
    absent = sound.touched - sound.fields.keys()
    holed = {name for name, value in sound.fields.items() if isinstance(value, list) and HOLE in value}
    for part in node_type.parts(config):
        field = part.pointer.split("/")[1]
        if field not in absent and (field not in holed or isinstance(part, KeyPart)):
            yield part


def _order(place: str) -> list[tuple[int, str]]:
    """Sort pointers part by part, indexes by number and before names."""
    parts = place.split("/")
    return [(int(part), "") if part.isdecimal() and part.isascii() else (_NAMES, part) for part in parts]


def _moved(problems: Iterable[Problem], at: str) -> Iterator[Problem]:
    return (replace(problem, pointer=at + problem.pointer) for problem in problems)


def _reserved(at: str) -> Problem:
    return Problem(at, "reserved_key", f"{quoted(ERRORS_KEY)} is written by the engine alone")


def _code_not_allowed(at: str) -> Problem:
    detail = "names code, which only a graph from a graph folder may do"
    return Problem(at, CodeNotAllowed.code, detail)
