"""Problems of nodes that choose among their edges."""

from collections.abc import Iterator, Sequence

from graphwire.errors import Problem, quoted
from graphwire.graphs.definition import NodeDefinition
from graphwire.graphs.registry import TargetPart
from graphwire.graphs.scope import Scope
from graphwire.near_names import NearNames


def choice_problems(
    scope: Scope, node: NodeDefinition, at: str, targets: Sequence[TargetPart], near: NearNames
) -> Iterator[Problem]:
    """Give what keeps a node's targets and its edges on success from being the same.

    Args:
        at: The pointer of the node's config.
    """
    if "edges" in scope.gaps.graph or any("source" in missing for missing in scope.gaps.edges.values()):
        return  # an edge of it may be among those that nobody can read
    edges = [(index, edge) for index, edge in enumerate(scope.edges) if edge.source == node.id and edge.on == "success"]
    led = {edge.target for _, edge in edges}
    if not any("target" in scope.gaps.of_edge(index) for index, _ in edges):
        for part in targets:
            if part.node not in led:
                detail = f"no edge on success leads from {quoted(node.id)} to {quoted(part.node)}{near(part.node, led)}"
                yield Problem(f"{at}{part.pointer}", "no_edge", detail)
    chosen = {part.node for part in targets}
    for index, edge in edges:
        place = scope.edge_place(index)
        for field, is_given in (("when", edge.when is not None), ("else", edge.else_)):
            if is_given:
                detail = f"{quoted(node.id)} chooses among its edges, so they have no conditions of their own"
                yield Problem(f"{place}/{field}", "condition_refused", detail)
        if edge.target not in chosen and "target" not in scope.gaps.of_edge(index):
            detail = f"{quoted(node.id)} never chooses {quoted(edge.target)}"
            yield Problem(f"{place}/target", "never_chosen", detail)
