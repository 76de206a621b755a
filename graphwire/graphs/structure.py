"""Problems of a graph's structure: ids, ends of edges, entries, targets of ``goto``."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

from graphwire.errors import Problem, quoted
from graphwire.graphs.salvage import HOLE
from graphwire.graphs.scope import Scope
from graphwire.near_names import NearNames


def structure_problems(scope: Scope, near: NearNames) -> Iterator[Problem]:
    """Give what is wrong with the structure, in time linear in nodes and edges."""
    yield from _node_problems(scope)
    yield from _edge_problems(scope, near)
    yield from _duplicate_edges(scope)
    yield from _entry_problems(scope, near)
    yield from _goto_problems(scope, near)


def _node_problems(scope: Scope) -> Iterator[Problem]:
    for same in _repeated(node.id if node.id != HOLE else None for node in scope.nodes):
        for index in same:
            others = _others(same, index, scope.node_place)
            yield Problem(f"{scope.node_place(index)}/id", "duplicate_node", f"the same id as {others}")


def _edge_problems(scope: Scope, near: NearNames) -> Iterator[Problem]:
    known = scope.node_ids()
    for index, edge in enumerate(scope.edges):
        place = scope.edge_place(index)
        for field, end in (("source", edge.source), ("target", edge.target)):
            if known is not None and end not in known and end != HOLE:
                yield Problem(f"{place}/{field}", "unknown_node", f"there is no node {quoted(end)}{near(end, known)}")
        if edge.else_ and edge.on != "success":
            detail = f"an else edge fires where no success edge did, so it cannot be on {edge.on}"
            yield Problem(f"{place}/else", "else_not_on_success", detail)


def _duplicate_edges(scope: Scope) -> Iterator[Problem]:
    for same in _repeated(_meaning(scope, index) for index in range(len(scope.edges))):
        for index in same:
            others = _others(same, index, scope.edge_place)
            yield Problem(scope.edge_place(index), "duplicate_edge", f"the same edge as {others}")
    for same in _repeated(_edge_id(scope, index) for index in range(len(scope.edges))):
        for index in same:
            others = _others(same, index, scope.edge_place)
            yield Problem(f"{scope.edge_place(index)}/id", "duplicate_edge", f"the same id as {others}")


def _meaning(scope: Scope, index: int) -> Hashable:
    if scope.gaps.of_edge(index) & {"source", "target", "on", "when", "else"}:
        return None
    edge = scope.edges[index]
    return edge.source, edge.target, edge.on, edge.when, edge.else_


def _edge_id(scope: Scope, index: int) -> Hashable:
    return None if scope.edges[index].id == HOLE else scope.edges[index].edge_id


def _entry_problems(scope: Scope, near: NearNames) -> Iterator[Problem]:
    entry = scope.graph.entry
    if entry is None:
        is_known = "entry" not in scope.gaps.graph and all(node.id != HOLE for node in scope.nodes)
        if is_known and "nodes" not in scope.gaps.graph and not scope.graph.entries:
            detail = "every node has an incoming edge; name the nodes to begin at in entry"
            yield Problem(f"{scope.at}/entry", "no_entry", detail)
        return
    if not entry:
        yield Problem(f"{scope.at}/entry", "no_entry", "no entry; name a node, or leave the field out")
    yield from _targets(entry, f"{scope.at}/entry", scope.node_ids(), near)


def _goto_problems(scope: Scope, near: NearNames) -> Iterator[Problem]:
    known = scope.node_ids()
    for index, node in enumerate(scope.nodes):
        if node.goto:
            yield from _targets(node.goto, f"{scope.node_place(index)}/goto", known, near)


def _targets(ids: Sequence[str], place: str, known: set[str] | None, near: NearNames) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, each in enumerate(ids):
        if each == HOLE:
            continue
        if known is not None and each not in known:
            yield Problem(f"{place}/{index}", "unknown_node", f"there is no node {quoted(each)}{near(each, known)}")
        elif each in seen:
            yield Problem(f"{place}/{index}", "duplicate_node", f"{quoted(each)} is there twice")
        seen.add(each)


def _repeated(keys: Iterable[Hashable]) -> Iterator[list[int]]:
    """Give the indexes of keys that are there more than once; None is not known, and so the same as nothing."""
    indexes: defaultdict[Hashable, list[int]] = defaultdict(list)
    for index, key in enumerate(keys):
        if key is not None:
            indexes[key].append(index)
    return (same for same in indexes.values() if len(same) > 1)


def _others(same: list[int], index: int, place: Callable[[int], str]) -> str:
    other = place(same[0] if same[0] != index else same[1])
    return other if len(same) == 2 else f"{other} and {len(same) - 2:,} more"
