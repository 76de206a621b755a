"""Graphs, and ways to run them, for the tests of the scheduler."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from hypothesis import strategies as st

from graphwire.engine.scheduler import Activation, Scheduler
from graphwire.engine.topology import Join, Topology


@dataclass(frozen=True)
class Shape:
    """A graph as the scheduler sees it. Nodes are called n0, n1, …, edges e0, e1, …"""

    joins: tuple[Join, ...]
    edges: tuple[tuple[int, int], ...]
    entries: tuple[int, ...]

    @property
    def node_ids(self) -> list[str]:
        return [f"n{node}" for node in range(len(self.joins))]

    @property
    def edge_ids(self) -> list[str]:
        return [f"e{edge}" for edge in range(len(self.edges))]

    def topology(self) -> Topology:
        return Topology(self.joins, self.edges)

    def scheduler(self, scope: str = "") -> Scheduler[str]:
        return Scheduler(self.topology(), self.node_ids, self.edge_ids, self.entries, scope)

    def outgoing(self, node: int) -> list[int]:
        return [edge for edge, (source, _) in enumerate(self.edges) if source == node]


def shape(
    *edges: tuple[int, int], joins: dict[int, Join] | None = None, entries: Sequence[int] = (0,), nodes: int = 0
) -> Shape:
    """Make a graph of at least the nodes that its edges name, with ``join: all`` where nothing else is said."""
    count = max([nodes, 1, *[end + 1 for edge in edges for end in edge]])
    given = joins or {}
    return Shape(tuple(given.get(node, "all") for node in range(count)), edges, tuple(entries))


@st.composite
def shapes(
    draw: st.DrawFn, *, max_nodes: int = 7, joins: Sequence[Join] = ("all", "any", 1, 2, 3), acyclic: bool = False
) -> Shape:
    """Make small graphs, dense enough that loops, several edges between two nodes and edges to itself are common."""
    count = draw(st.integers(1, max_nodes))
    node = st.integers(0, count - 1)
    edges = draw(st.lists(st.tuples(node, node), max_size=2 * count + 2))
    if acyclic:
        edges = [(min(edge), max(edge)) for edge in edges if edge[0] != edge[1]]
    rules = st.sampled_from(["all", "all", "all", *joins] if len(joins) > 1 else joins)
    entries = draw(st.lists(node, min_size=1, max_size=3, unique=True))
    return Shape(tuple(draw(rules) for _ in range(count)), tuple(edges), tuple(sorted(entries)))


@dataclass(frozen=True)
class Routing:
    """Says which edges fire: always the same for an activation, whenever it completes.

    Attributes:
        patience: From this pass of a node on nothing fires, so that loops end.
        every: Whether all edges fire until then, as a node without conditions does.
    """

    seed: int
    patience: int = 4
    every: bool = False

    def fired(self, shape: Shape, activation_id: str, node: int, pass_number: int) -> list[int]:
        if pass_number >= self.patience:
            return []
        outgoing = shape.outgoing(node)
        if self.every:
            return outgoing
        random = Random(f"{self.seed} {activation_id}")
        odds = random.choice([0.3, 0.7, 1.0])
        return [edge for edge in outgoing if random.random() < odds]


routings = st.builds(Routing, st.integers(0, 10_000), st.integers(1, 5), st.booleans())


@dataclass
class Run:
    """What came of an execution."""

    ids: list[str]
    nodes: list[int]
    per_node: dict[int, list[str]]
    ended: list[tuple[int, str]]


def run(scheduler: Scheduler[str], graph: Shape, routing: Routing, order: int, ready: list[Activation[str]]) -> Run:
    """Complete what is ready, in an order drawn from a seed, until nothing is."""
    random = Random(order)
    result = Run([], [], {}, [])
    waiting = list(ready)
    while waiting:
        activation = waiting.pop(random.randrange(len(waiting)))
        result.ids.append(activation.id)
        result.nodes.append(activation.node)
        result.per_node.setdefault(activation.node, []).append(activation.id)
        fired = routing.fired(graph, activation.id, activation.node, activation.pass_number)
        waiting += scheduler.complete(activation, fired, activation.id)
    result.ended = scheduler.ended
    return result
