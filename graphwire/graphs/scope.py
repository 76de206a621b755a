"""What is scheduled together: the nodes and edges of a graph, or of a body inside a node's config."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from graphwire.graphs.definition import EdgeDefinition, GraphDefinition, NodeDefinition
from graphwire.graphs.salvage import NO_GAPS, Gaps


@dataclass(frozen=True, slots=True)
class Scope:
    """A graph to be checked, with its place in the document.

    Attributes:
        at: The pointer of the graph or body; "" is the whole document.
        is_single: The body is one node object: the node's place is the body's.
        gaps: What is not there because its shape is not sound.
    """

    graph: GraphDefinition
    at: str = ""
    is_single: bool = False
    gaps: Gaps = NO_GAPS

    @property
    def nodes(self) -> Sequence[NodeDefinition]:
        return self.graph.nodes

    @property
    def edges(self) -> Sequence[EdgeDefinition]:
        return self.graph.edges

    def node_place(self, index: int) -> str:
        """Return the pointer of a node."""
        return self.at if self.is_single else f"{self.at}/nodes/{index}"

    def edge_place(self, index: int) -> str:
        """Return the pointer of an edge."""
        return f"{self.at}/edges/{index}"

    def node_ids(self) -> set[str] | None:
        """Return the ids that nodes have; None if some are not known."""
        return None if self.gaps.hides_nodes else {node.id for node in self.nodes}

    def index_by_id(self) -> dict[str, int]:
        """Return the nodes' indexes; of nodes with the same id the first."""
        indexes: dict[str, int] = {}
        for index, node in enumerate(self.nodes):
            indexes.setdefault(node.id, index)
        return indexes

    def paths(self) -> list[list[int]]:
        """Return per node the nodes that its edges and its ``goto`` lead to, dangling ones left out."""
        indexes = self.index_by_id()
        targets: list[list[int]] = [[] for _ in self.nodes]
        for source, target in self._pairs():
            if source in indexes and target in indexes:
                targets[indexes[source]].append(indexes[target])
        return targets

    def _pairs(self) -> Iterator[tuple[str, str]]:
        for edge in self.edges:
            yield edge.source, edge.target
        for node in self.nodes:
            for target in node.goto:
                yield node.id, target
