"""What can be read of a definition whose shape has problems, so that the rest is checked in the same round."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar, cast

from pydantic import BaseModel, ValidationError

from graphwire.errors import Problem
from graphwire.graphs.definition import (
    EdgeDefinition,
    GraphDefinition,
    InlineGraph,
    NodeDefinition,
    default_edge_ids,
    is_single,
)
from graphwire.graphs.fields import MAX_LIST_LENGTH
from graphwire.graphs.shape import PROBLEMS_LIMIT, shape_problems
from graphwire.near_names import NearNames

HOLE: Final = ""
"""Stands for an id, a type or an item of a list that has no sound shape; none that is sound is empty."""

_LOOKS: Final = 20_000
"""So many problems are looked at to find out what is sound beside them (some 5 µs each)."""

_STAND_INS: Final[Mapping[type[BaseModel], Mapping[str, Any]]] = {
    GraphDefinition: {"id": "x", "nodes": ()},
    InlineGraph: {"nodes": ()},
    NodeDefinition: {"id": "x", "type": "x"},
    EdgeDefinition: {"source": "x", "target": "x"},
}
_NO_FIELDS: Final[frozenset[str]] = frozenset()

Model = TypeVar("Model", bound=BaseModel)
Place = Sequence[str | int]


@dataclass(frozen=True, slots=True)
class Gaps:
    """Which fields of a graph are not all there, because what was given for them has no sound shape.

    Attributes:
        graph: Names of fields of the graph itself.
        nodes: By a node's index the names of its fields; likewise ``edges``.
        hides_nodes: There are nodes whose ids nobody knows: an id that is not known may be one of theirs.
    """

    graph: frozenset[str] = _NO_FIELDS
    nodes: Mapping[int, frozenset[str]] = field(default_factory=dict)
    edges: Mapping[int, frozenset[str]] = field(default_factory=dict)
    hides_nodes: bool = False

    @property
    def is_any(self) -> bool:
        """Whether anything is missing."""
        return bool(self.graph or self.nodes or self.edges)

    def of_node(self, index: int) -> frozenset[str]:
        """Return the names of fields that are not all there."""
        return self.nodes.get(index, _NO_FIELDS)

    def of_edge(self, index: int) -> frozenset[str]:
        """Return the names of fields that are not all there."""
        return self.edges.get(index, _NO_FIELDS)


NO_GAPS: Final = Gaps()


@dataclass(frozen=True, slots=True)
class Salvaged:
    """What there is of a graph, and what is wrong with the rest.

    Attributes:
        graph: With each node and edge at its place, ``HOLE`` where an id or a type is missing; None if there is none.
        problems: Of shape, with pointers relative to the graph; ``left_out`` more are counted.
    """

    graph: GraphDefinition | None
    gaps: Gaps
    problems: tuple[Problem, ...]
    left_out: int


def salvage_definition(value: Any) -> Salvaged:
    """Return what there is of a definition that ``parse_definition`` refused."""
    return _Salvage().graph(GraphDefinition, value)


def salvage_body(value: Any, *, graph_id: str) -> Salvaged:
    """Return what there is of a body that ``parse_body`` refused."""
    if not is_single(value):
        return _Salvage().graph(InlineGraph, value, graph_id)
    salvage = _Salvage()
    nodes, gaps = salvage.parts(NodeDefinition, [value], [""])
    graph = None
    if isinstance(value, Mapping):
        graph = _STAND_IN_GRAPH.model_copy(update={"id": graph_id, "nodes": nodes})
    return salvage.done(graph, Gaps(nodes=gaps))


_STAND_IN_GRAPH: Final = GraphDefinition(id="x", nodes=())


class _Salvage:
    def __init__(self) -> None:
        self._problems: list[Problem] = []
        self._left_out = 0
        self._looks = _LOOKS
        self._room = PROBLEMS_LIMIT
        self._near = NearNames()

    def done(self, graph: GraphDefinition | None, gaps: Gaps) -> Salvaged:
        return Salvaged(graph, gaps, tuple(self._problems), self._left_out)

    def graph(self, model: type[BaseModel], value: Any, graph_id: str = HOLE) -> Salvaged:
        """Read a graph without its lists, then each part of them for itself."""
        if not isinstance(value, Mapping):
            self._part(model, value, "")
            return self.done(None, NO_GAPS)
        lists = {name: value[name] for name in ("nodes", "edges") if _is_list(value.get(name))}
        shell, missing = self._part(model, {**value, **dict.fromkeys(lists, ())}, "")
        missing -= lists.keys()
        found_nodes, found_edges = lists.get("nodes", ()), lists.get("edges", ())
        nodes, node_gaps = self.parts(NodeDefinition, found_nodes, _places("/nodes", found_nodes))
        edges, edge_gaps = self.parts(EdgeDefinition, found_edges, _places("/edges", found_edges))
        hides_nodes = "nodes" in missing or any(_is_unnamed(found_nodes[i], node_gaps[i]) for i in node_gaps)
        fields: dict[str, Any] = {name: getattr(shell, name) for name in type(shell).model_fields}
        fields |= {"nodes": nodes, "edges": _with_ids(edges)}
        if model is not GraphDefinition:
            fields["id"] = graph_id
        graph = _STAND_IN_GRAPH.model_copy(update=fields)
        return self.done(graph, Gaps(missing, node_gaps, edge_gaps, hides_nodes))

    def parts(
        self, model: type[Model], values: Sequence[Any], places: Iterable[str]
    ) -> tuple[tuple[Model, ...], dict[int, frozenset[str]]]:
        """Read the members of a list; give them and, by index, the fields that are not all there."""
        self._room = PROBLEMS_LIMIT  # for each list: whichever comes first in the report has enough
        found: list[Model] = []
        gaps: dict[int, frozenset[str]] = {}
        for index, (value, at) in enumerate(zip(values, places, strict=True)):
            part, missing = self._part(model, value, at)
            found.append(part)
            if missing:
                gaps[index] = missing
        return tuple(found), gaps

    def _part(self, model: type[Model], value: Any, at: str) -> tuple[Model, frozenset[str]]:
        try:
            return model.model_validate(value), _NO_FIELDS
        except ValidationError as caught:
            error = caught
        self._describe(error, model, value, at)
        if not isinstance(value, Mapping):
            return _nothing(model), frozenset(model.model_fields)
        known = {name: value[name] for name in _names(model) if name in value}
        if len(known) < len(value) and self._looks > 0:
            try:
                return model.model_validate(known), _NO_FIELDS
            except ValidationError as caught:
                error = caught
        self._looks -= error.error_count()
        if self._looks < 0:
            return _only_id(model, known)
        sound = sound_fields(error, known)
        return _made(model, sound.fields, sound.touched), sound.touched

    def _describe(self, error: ValidationError, model: type[BaseModel], value: Any, at: str) -> None:
        if self._room <= 0:
            self._left_out += error.error_count()
            return
        described, left_out = shape_problems(error, model, value, at, self._near)
        self._room -= len(described)
        self._problems += described
        self._left_out += left_out


@dataclass(frozen=True, slots=True)
class SoundFields:
    """The fields of an object that have a sound shape, as JSON.

    Attributes:
        fields: By name; members of a field that are not sound are left out, those of a list are ``HOLE``.
        touched: The fields that are missing, wrong or not all there.
    """

    fields: Mapping[str, Any]
    touched: frozenset[str]


def salvage_config(model: type[BaseModel], value: Mapping[str, Any]) -> tuple[BaseModel, SoundFields] | None:
    """Return what there is of a config that its model refused, if anything is.

    A field that is not sound has its default, or None if the model requires it.
    """
    try:
        model.model_validate(value)
    except ValidationError as error:
        if error.error_count() > _LOOKS:
            return None
        sound = sound_fields(error, value)
    else:
        return None
    if not sound.touched:
        return None  # it is wrong as a whole
    try:
        return _with_holes(model, sound.fields), sound
    except ValidationError:
        required = {name: None for name, each in model.model_fields.items() if each.is_required()}
        return model.model_construct(**{**required, **sound.fields}), sound


def sound_fields(error: ValidationError, value: Mapping[str, Any]) -> SoundFields:
    """Return what is left of an object without what an error of its model names."""
    details = error.errors(include_url=False, include_input=False, include_context=False)
    places = [_place(detail["loc"]) for detail in details]
    touched = frozenset(str(place[0]) for place in places if place)
    left = _without(value, places)
    return SoundFields(left if isinstance(left, Mapping) else {}, touched)


def _place(location: Place) -> Place:
    """Return the place of an error: a key that is wrong is told by a mark behind it, and goes with what it leads to."""
    return location[:-1] if len(location) > 1 and location[-1] == "[key]" else location


class _Gone:
    """The mark of what has no sound part."""


_GONE: Final = _Gone()


def _without(value: Any, places: Iterable[Place]) -> Any:
    """Return a value without what is at these places. Recurses as deep as they do: a few levels of models."""
    inner: defaultdict[str | int, list[Place]] = defaultdict(list)
    for place in places:
        if not place:
            return _GONE
        inner[place[0]].append(place[1:])
    match value:
        case Mapping():
            left = {name: value[name] if name not in inner else _without(value[name], inner[name]) for name in value}
            return {name: part for name, part in left.items() if part is not _GONE}
        case list() if all(isinstance(index, int) for index in inner):
            texts = [HOLE if index in inner else item for index, item in enumerate(value)]
            return texts if all(isinstance(text, str) for text in texts) else _GONE
        case _:
            return _GONE


def _made(model: type[Model], fields: Mapping[str, Any], touched: frozenset[str]) -> Model:
    """Return the model's instance of sound fields; what it cannot be without is a ``HOLE``."""
    stand_ins = {name: given for name, given in _STAND_INS[model].items() if name not in fields}
    holes: dict[str, Any] = {name: HOLE if given == "x" else () for name, given in stand_ins.items()}
    if model is EdgeDefinition and "id" in touched:
        holes["id"] = HOLE  # not the one that its ends give
    return _with_holes(model, {**fields, **stand_ins}).model_copy(update=holes)


def _with_holes(model: type[Model], fields: Mapping[str, Any]) -> Model:
    """Return the model's instance of these fields, though items of lists are a ``HOLE``.

    Raises:
        ValidationError: A field that the model requires is not there.
    """
    holed = {name: tuple(part) for name, part in fields.items() if isinstance(part, list) and HOLE in part}
    made = model.model_validate({name: part for name, part in fields.items() if name not in holed})
    return made.model_copy(update=holed)


def _only_id(model: type[Model], known: Mapping[str, Any]) -> tuple[Model, frozenset[str]]:
    others = frozenset(model.model_fields) - {"id"}
    if "id" in known:
        with suppress(ValidationError):
            return _made(model, {"id": known["id"]}, others), others
    return _nothing(model), others | {"id"}


_NOTHING: Final[Mapping[type[BaseModel], BaseModel]] = {
    model: _made(model, {}, frozenset({"id"})) for model in _STAND_INS
}


def _nothing(model: type[Model]) -> Model:
    return cast("Model", _NOTHING[model])


def _names(model: type[BaseModel]) -> Iterator[str]:
    return (each.alias or name for name, each in model.model_fields.items())


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) <= MAX_LIST_LENGTH


def _places(at: str, values: Sequence[Any]) -> Iterator[str]:
    return (f"{at}/{index}" for index in range(len(values)))


def _is_unnamed(node: Any, missing: frozenset[str]) -> bool:
    """Whether a node has not so much as a text for an id. An edge to one that is no id is not sound either."""
    given = node.get("id") if isinstance(node, Mapping) else None
    return "id" in missing and not (isinstance(given, str) and given)


def _with_ids(edges: tuple[EdgeDefinition, ...]) -> tuple[EdgeDefinition, ...]:
    named = zip(edges, default_edge_ids(edges), strict=True)
    return tuple(edge if edge.id is not None else _with_id(edge, name) for edge, name in named)


def _with_id(edge: EdgeDefinition, name: str) -> EdgeDefinition:
    return edge.model_copy(update={"id": HOLE if HOLE in (edge.source, edge.target) else name})
