"""The shape of a graph as numbers, with what the joins of its loops need to know about paths."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, TypeAlias

Join: TypeAlias = Literal["all", "any"] | int


class Rule(IntEnum):
    """How a node's join is decided in an execution."""

    EACH = 0  # every token activates: `any`, or there is only one input
    COUNTED = 1  # a counter of open inputs is enough
    CHECKED = 2  # asks what can still arrive


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """What the entries of an execution make of a topology.

    Attributes:
        rules: Per node.
        open_inputs: Per node, the incoming edges whose source the entries reach; the others are dead.
        has_checked: Whether a node that the entries reach is ``Rule.CHECKED``.
        links: Per node, its only outgoing edge where that is a link of a chain: a token on it activates its target,
            and nothing else follows. -1 where there is none.
    """

    rules: tuple[Rule, ...]
    open_inputs: tuple[int, ...]
    has_checked: bool
    links: tuple[int, ...]


class Topology:
    """Nodes and edges by index, in definition order. Immutable; one serves all executions of a version.

    Args:
        joins: Per node.
        edges: Source and target of each, ``goto`` edges after the declared ones. Several may have the same ends.

    Attributes:
        sources, targets: Per edge.
        incoming, outgoing: Per node, its edges in definition order.
        plain: Per node, whether it has ``join: all`` and no loop, ``any`` or ``n`` can reach it. Then every edge into
            it carries one token or none, and counting them is enough.
    """

    def __init__(self, joins: Sequence[Join], edges: Sequence[tuple[int, int]]) -> None:
        self.joins: tuple[Join, ...] = tuple(joins)
        self.sources: tuple[int, ...] = tuple(source for source, _ in edges)
        self.targets: tuple[int, ...] = tuple(target for _, target in edges)
        incoming: list[list[int]] = [[] for _ in self.joins]
        outgoing: list[list[int]] = [[] for _ in self.joins]
        for edge, (source, target) in enumerate(edges):
            outgoing[source].append(edge)
            incoming[target].append(edge)
        self.incoming: tuple[tuple[int, ...], ...] = tuple(map(tuple, incoming))
        self.outgoing: tuple[tuple[int, ...], ...] = tuple(map(tuple, outgoing))
        self.plain: tuple[bool, ...] = self._find_plain()
        self._layouts: dict[tuple[int, ...], Layout] = {}
        self._reaching: dict[int, int] = {}
        self._everywhere = _Ancestry(self)
        self._around: tuple[int, _Ancestry] = (-1, self._everywhere)

    def layout(self, entries: tuple[int, ...]) -> Layout:
        """Return what these entries make of the topology. Kept for the entries that were asked for last."""
        known = self._layouts.get(entries)
        if known is None:
            known = self._lay_out(entries)
            self._layouts = {entries: known}
        return known

    def reaching(self, edge: int) -> int:
        """Return the nodes from which a path leads to the edge without passing through the edge's target.

        A path may start at the target, by an edge out of it. Worked out when first asked for, then kept.

        Returns:
            A bit for each node, ``1 << node``.
        """
        known = self._reaching.get(edge)
        if known is None:
            known = self._find_reaching(self.sources[edge], self.targets[edge])
            self._reaching[edge] = known
        return known

    def _find_reaching(self, source: int, join: int) -> int:
        if source == join:
            return 1 << join
        loop = self._everywhere.component_of(join)
        if len(loop) == 1:
            return self._everywhere.of(source)
        if self._around[0] != join:
            # Only the last is kept: for each join of a large loop it would hold the whole loop.
            self._around = (join, _Ancestry(self, within=loop, stop=join, outside=self._everywhere))
        return self._around[1].of(source)

    def _find_plain(self) -> tuple[bool, ...]:
        plain = [False] * len(self.joins)
        left = [len(edges) for edges in self.incoming]
        found = [node for node, join in enumerate(self.joins) if join == "all" and not left[node]]
        while found:
            node = found.pop()
            plain[node] = True
            for edge in self.outgoing[node]:
                target = self.targets[edge]
                left[target] -= 1
                if not left[target] and self.joins[target] == "all":
                    found.append(target)
        return tuple(plain)

    def _lay_out(self, entries: tuple[int, ...]) -> Layout:
        inputs = [0] * len(self.joins)
        reached = set(entries)
        found = list(reached)
        while found:
            node = found.pop()
            for edge in self.outgoing[node]:
                target = self.targets[edge]
                inputs[target] += 1
                if target not in reached:
                    reached.add(target)
                    found.append(target)
        rules = [Rule.EACH] * len(self.joins)
        starts = set(entries)
        for node, join in enumerate(self.joins):
            if join == "any" or join == 1 or (join == "all" and inputs[node] + (node in starts) < 2):
                continue
            rules[node] = Rule.COUNTED if self.plain[node] else Rule.CHECKED
        has_checked = any(rules[node] is Rule.CHECKED for node in reached)
        links = [-1] * len(self.joins)
        for node, edges in enumerate(self.outgoing):
            if len(edges) == 1 and not has_checked and rules[self.targets[edges[0]]] is Rule.EACH:
                links[node] = edges[0]
        return Layout(tuple(rules), tuple(inputs), has_checked, tuple(links))


class _Ancestry:
    """From which nodes a node can be reached, per strongly connected component (Tarjan 1972, without recursion).

    Walks edges backwards, from the nodes that are asked for and no further. Components are completed in the order in
    which all that reaches them is known, so each one's answer is made of those before it.

    Args:
        within: The nodes to look at; all if None.
        stop: A node whose own ancestors do not count, because a path must not pass through it.
        outside: Knows the ancestors of the nodes that are not in ``within``.
    """

    def __init__(
        self,
        topology: Topology,
        *,
        within: frozenset[int] | None = None,
        stop: int = -1,
        outside: "_Ancestry | None" = None,
    ) -> None:
        self._topology = topology
        self._within = within
        self._stop = stop
        self._outside = outside
        self._order: dict[int, int] = {}
        self._low: dict[int, int] = {}
        self._open: list[int] = []
        self._components: dict[int, frozenset[int]] = {}
        self._known: dict[int, int] = {}

    def of(self, node: int) -> int:
        """Return the node and all from which a path leads to it, a bit for each."""
        known = self._known.get(node)
        if known is not None:
            return known
        if self._outside is not None and self._within is not None and node not in self._within:
            return self._outside.of(node)
        self._explore(node)
        return self._known[node]

    def component_of(self, node: int) -> frozenset[int]:
        """Return the nodes that a path leads to and back from, the node itself among them."""
        self.of(node)
        return self._components[node]

    def _explore(self, start: int) -> None:
        order, low = self._order, self._low
        path = [(self._enter(start), iter(self._predecessors(start)))]
        while path:
            node, left = path[-1]
            for before in left:
                if before not in order:
                    path.append((self._enter(before), iter(self._predecessors(before))))
                    break
                if before not in self._known:
                    low[node] = min(low[node], order[before])
            else:
                path.pop()
                if path:
                    after = path[-1][0]
                    low[after] = min(low[after], low[node])
                if low[node] == order[node]:
                    self._complete(node)

    def _enter(self, node: int) -> int:
        self._order[node] = self._low[node] = len(self._order)
        self._open.append(node)
        return node

    def _complete(self, first: int) -> None:
        at = len(self._open) - 1
        while self._open[at] != first:
            at -= 1
        members = frozenset(self._open[at:])
        del self._open[at:]
        before_them: set[int] = set()
        ancestors = 0
        for node in members:
            ancestors |= 1 << node
            before_them.update(self._all_predecessors(node))
        for before in before_them - members:
            ancestors |= self.of(before)
        for node in members:
            self._known[node] = ancestors
            self._components[node] = members

    def _predecessors(self, node: int) -> list[int]:
        within = self._within
        return [before for before in self._all_predecessors(node) if within is None or before in within]

    def _all_predecessors(self, node: int) -> list[int]:
        if node == self._stop:
            return []
        sources = self._topology.sources
        return [sources[edge] for edge in self._topology.incoming[node]]
