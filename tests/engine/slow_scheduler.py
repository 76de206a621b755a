"""A slow scheduler that follows the sentences of "How a graph runs" word by word."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from graphwire.engine.topology import Join


@dataclass(eq=False)
class SlowToken:
    """A token on an edge, or on the virtual input (edge -1) of a node."""

    name: str
    edge: int
    node: int
    state: object
    arrival: int


@dataclass(eq=False)
class SlowActivation:
    """A run of a node. ``handed_out`` is False while it waits its turn."""

    id: str
    node: int
    tokens: list[SlowToken]
    missing: list[int]
    pass_number: int
    handed_out: bool = False


@dataclass
class SlowScheduler:
    """One scope: tokens, activations, ended branches, and nothing else.

    Where a sentence leaves room, the model chooses:

    - A node's own activations count for its join whether they run, are ready or wait their turn; the node as a waiting
      join counts for all joins but itself.
    - The virtual input can get nothing after the start; it is never missing.
    - An ``n`` join that once took n tokens is spent: when no more can arrive, all its tokens end there, and so they do
      when it is the first that waits while nothing is active. One that was only ever released with fewer is not spent.
    - All tokens of a commit are in place before a join is decided.
    - A commit hands out at most one activation of a node: the first that was satisfied.
    """

    joins: Sequence[Join]
    edges: Sequence[tuple[int, int]]
    entries: Sequence[int]
    scope: str = ""
    tokens: list[SlowToken] = field(default_factory=list)
    active: list[SlowActivation] = field(default_factory=list)
    ended: list[tuple[int, object]] = field(default_factory=list)
    spent: set[int] = field(default_factory=set)
    passes: dict[int, int] = field(default_factory=dict)
    arrivals: int = 0

    def start(self, state: object) -> list[SlowActivation]:
        """Put the start token on every entry."""
        for node in sorted(self.entries):
            self._put(self.scope, -1, node, state)
        return self._settle()

    def complete(self, activation: SlowActivation, fired: Sequence[int], state: object) -> list[SlowActivation]:
        """Commit one activation."""
        self.active.remove(activation)
        for edge in fired:
            self._put(f"{activation.id}/e{edge}", edge, self.edges[edge][1], state)
        if not fired:
            self.ended.append((activation.node, state))
        return self._settle()

    @property
    def is_quiescent(self) -> bool:
        """Whether nothing is active or waiting."""
        return not self.active and not self.tokens

    @property
    def alone(self) -> bool:
        """Whether there is exactly one state, and it is an activation's."""
        return len(self.active) == 1 and not self.tokens and not self.ended

    def _put(self, name: str, edge: int, node: int, state: object) -> None:
        self.tokens.append(SlowToken(name, edge, node, state, self.arrivals))
        self.arrivals += 1

    def _settle(self) -> list[SlowActivation]:
        while True:
            while self._decide_one():
                pass
            if self.active or not self.tokens:
                break
            self._release(min(token.node for token in self.tokens))
        handed_out = []
        for node in range(len(self.joins)):
            here = [activation for activation in self.active if activation.node == node]
            if here and not any(activation.handed_out for activation in here):
                here[0].handed_out = True
                handed_out.append(here[0])
        return handed_out

    def _decide_one(self) -> bool:
        return any(self._decide(node) for node in range(len(self.joins)))

    def _decide(self, node: int) -> bool:
        heads = self._heads(node)
        join = self.joins[node]
        if not heads:
            return False
        if join == "any":
            self._activate(node, heads[:1], [])
        elif isinstance(join, int) and len(heads) >= join:
            self.spent.add(node)
            self._activate(node, heads[:join], [])
        elif self._more_can_arrive(node):
            return False
        elif isinstance(join, int):
            self._release(node)
        else:
            self._activate(node, heads, [])
        return True

    def _release(self, node: int) -> None:
        if node in self.spent:
            left = sorted((token for token in self.tokens if token.node == node), key=lambda token: token.edge)
            self.ended += [(node, token.state) for token in left]
            self.tokens = [token for token in self.tokens if token.node != node]
        else:
            self._activate(node, self._heads(node), self._empty_edges(node))

    def _heads(self, node: int) -> list[SlowToken]:
        heads: dict[int, SlowToken] = {}
        for token in self.tokens:
            if token.node == node:
                heads.setdefault(token.edge, token)
        return list(heads.values()) if self.joins[node] != "any" else [t for t in self.tokens if t.node == node]

    def _empty_edges(self, node: int) -> list[int]:
        full = {token.edge for token in self.tokens}
        return [edge for edge, (_, target) in enumerate(self.edges) if target == node and edge not in full]

    def _more_can_arrive(self, node: int) -> bool:
        others = {token.node for token in self.tokens} - {node}
        starts = others | {activation.node for activation in self.active}
        return any(self._leads_to(start, edge) for edge in self._empty_edges(node) for start in starts)

    def _leads_to(self, start: int, edge: int) -> bool:
        source, avoided = self.edges[edge]
        seen = {start}
        path = [start]
        while path:
            at = path.pop()
            if at == source:
                return True
            for before, after in self.edges:
                if before == at and after not in seen and after != avoided:
                    seen.add(after)
                    path.append(after)
        return False

    def _activate(self, node: int, tokens: list[SlowToken], missing: list[int]) -> None:
        taken = sorted(tokens, key=lambda token: token.edge)
        self.tokens = [token for token in self.tokens if token not in taken]
        text = "\n".join([f"n{node}", *[token.name for token in taken]])
        name = blake2b(text.encode(), digest_size=8).hexdigest()
        self.passes[node] = self.passes.get(node, 0) + 1
        self.active.append(SlowActivation(name, node, taken, missing, self.passes[node]))
