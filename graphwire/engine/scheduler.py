"""Which activations are due: the tokens and joins of one scope, without time and without side effects."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import chain
from operator import attrgetter, itemgetter
from typing import Any, Generic, TypeVar

from graphwire.engine.shelf import Shelf, take_activation, take_token
from graphwire.engine.tokens import VIRTUAL_EDGE, Activation, Token
from graphwire.engine.topology import Rule, Topology
from graphwire.types import ActivationId

__all__ = ["VIRTUAL_EDGE", "Activation", "Scheduler", "Token"]

S = TypeVar("S")

_EACH, _COUNTED, _CHECKED = Rule.EACH, Rule.COUNTED, Rule.CHECKED
_by_place = itemgetter(0)
_by_edge = attrgetter("edge")
_by_node = attrgetter("node")
_by_arrival = attrgetter("arrival")
_new_hash = blake2b(digest_size=8).copy  # a copy takes half the time of a new one


class Scheduler(Generic[S]):
    """The tokens of one scope, and when they activate a node.

    Pure: the same calls give the same answers. A call that raises has changed nothing.

    Args:
        node_ids, edge_ids: By the indexes of the topology.
        entries: Nodes whose virtual input holds a token at the start.
        scope: Name of the start token; no line breaks.
    """

    def __init__(
        self, topology: Topology, node_ids: Sequence[str], edge_ids: Sequence[str], entries: Sequence[int], scope: str
    ) -> None:
        self._topology = topology
        self._node_ids = node_ids
        self._edge_ids = edge_ids
        self._entries = tuple(sorted(set(entries)))
        self._scope = scope
        layout = topology.layout(self._entries)
        self._rules = layout.rules
        self._checks = layout.has_checked
        self._links = layout.links
        self._open_inputs = list(layout.open_inputs)
        self._passes: dict[int, int] = {}
        self._arrivals = 0
        # Whoever is active, in ready order; a node's further activations wait in `_queues`.
        self._active: dict[int, Activation[S]] = {}
        self._queues: dict[int, deque[Activation[S]]] = {}
        self._gathered: dict[int, list[Token[S]]] = {}  # tokens at COUNTED joins
        self._held: dict[int, dict[int, deque[Token[S]]]] = {}  # tokens at CHECKED joins, per edge
        self._spent: set[int] = set()  # `n` joins that once had n
        self._ended: list[tuple[int, S]] = []
        # For CHECKED joins. A bit for each node that is active or waits; what a waiting join waits for (an edge, as
        # a position among its incoming ones, and a node that can still reach it); which joins to ask again when that
        # node is neither active nor waiting any more. While a join waits, an edge that nothing can reach stays so:
        # hence positions only grow, and a join looks at each of its edges once.
        self._live = 0
        self._waits: dict[int, tuple[int, int]] = {}
        self._watchers: dict[int, set[int]] = {}

    @property
    def ended(self) -> list[tuple[int, S]]:
        """Branches that ended: node and state, in definition order of the nodes, then in the order of ending."""
        return sorted(self._ended, key=_by_place)

    @property
    def alone(self) -> bool:
        """Whether one activation is active and there is no other state: no token, no ended branch.

        Asked before ``complete``, it says whether the state about to be committed is the only one of its scope.
        """
        return len(self._active) == 1 and not self._queues and not self._ended and not self._held and not self._gathered

    @property
    def is_quiescent(self) -> bool:
        """Whether nothing is active and nothing waits. True before ``start`` too."""
        return not self._active and not self._held and not self._gathered

    @property
    def passes(self) -> Mapping[int, int]:
        """How often each node was activated; nodes that never were are left out."""
        return self._passes

    def active(self) -> list[Activation[S]]:
        """Return the activations that were handed out and are not completed, in ready order."""
        return list(self._active.values())

    def states(self) -> list[tuple[int, S]]:
        """Return node and state of every ended branch, token of an activation and waiting token.

        In definition order of the nodes; at a node in the order given, tokens in definition order of their edges.
        """
        found = self._ended
        if not self.is_quiescent:
            found = [*found, *((node, token.state) for node, token in self._tokens())]
        return sorted(found, key=_by_place)

    def map_states(self, change: Callable[[S], S]) -> None:
        """Replace every live and ended state, each distinct object once, so that what is shared stays shared."""
        changed: dict[int, tuple[S, S]] = {}

        def once(state: S) -> S:
            known = changed.get(id(state))
            if known is None:
                known = changed[id(state)] = (state, change(state))
            return known[1]

        self._ended = [(node, once(state)) for node, state in self._ended]
        for _, token in self._tokens():
            token.state = once(token.state)

    def start(self, state: S) -> list[Activation[S]]:
        """Put the start token on every entry; return what is due, in definition order. Called once."""
        due: list[Activation[S]] = []
        asked: list[int] = []
        for node in self._entries:
            token = Token(self._scope, VIRTUAL_EDGE, state, self._arrivals)
            self._arrivals += 1
            if self._rules[node] is _EACH:
                self._activate(node, (token,), (), due)
                continue
            self._put(node, token, asked)
            if self._rules[node] is _COUNTED and not self._open_inputs[node]:
                self._activate_counted(node, due)
        self._settle(asked, due)
        return self._in_order(due)

    def complete(self, activation: Activation[S], fired: Sequence[int], state: S) -> list[Activation[S]]:
        """Commit an activation: put a token on each fired edge, or end the branch if there is none.

        Args:
            activation: One that was handed out and is not completed.
            fired: Distinct outgoing edges of its node, in definition order.
            state: What the tokens carry.

        Returns:
            The activations that are due now and were not before, in definition order. Never two of one node: a
            further activation of a node is handed out by the commit that frees the node.

        Raises:
            ValueError: It is not active, or an edge is not its node's.
        """
        node = activation.node
        active = self._active
        if active.get(node) is not activation:
            raise ValueError(f"{activation} is not active")
        topology = self._topology
        if len(fired) == 1 and fired[0] == self._links[node] and not self._queues:
            target = topology.targets[fired[0]]
            if target not in active:
                return self._pass_on(activation, fired[0], target, state)
        for edge in fired:
            if topology.sources[edge] != node:
                raise ValueError(f"{activation} cannot fire edge {edge}")
        outgoing = topology.outgoing[node]
        due: list[Activation[S]] = []
        asked: list[int] = []
        del active[node]
        if self._queues:
            self._hand_out_next(node, due)
        if not fired:
            self._ended.append((node, state))
        prefix = activation.id + "/"
        for edge in fired:
            target = topology.targets[edge]
            token = Token(prefix + self._edge_ids[edge], edge, state, self._arrivals)
            self._arrivals += 1
            if self._rules[target] is _EACH:
                self._activate(target, (token,), (), due)
            else:
                self._put(target, token, asked)
        # The one input of an EACH node need not be closed once it got its token.
        if topology.plain[node] and not (len(fired) == len(outgoing) == 1 and self._rules[target] is _EACH):
            self._close_inputs(outgoing, fired, due)
        if self._checks:
            self._release_watchers(node, asked)
            self._settle(asked, due)
        return self._in_order(due) if len(due) > 1 else due

    def _pass_on(self, activation: Activation[S], edge: int, target: int, state: S) -> list[Activation[S]]:
        """Do what ``complete`` does for a link of a chain, in two thirds of the time."""
        active, passes = self._active, self._passes
        del active[activation.node]
        token = Token(f"{activation.id}/{self._edge_ids[edge]}", edge, state, self._arrivals)
        self._arrivals += 1
        named = _new_hash()
        named.update(f"{self._node_ids[target]}\n{token.name}".encode())
        number = passes[target] = passes.get(target, 0) + 1
        name: ActivationId = named.hexdigest()  # type: ignore[assignment]  # as in _activate
        following = active[target] = Activation(name, target, (token,), (), number)
        return [following]

    def _put(self, node: int, token: Token[S], asked: list[int]) -> None:
        if self._rules[node] is _COUNTED:
            self._gathered.setdefault(node, []).append(token)
            return
        held = self._held.get(node)
        if held is None:
            held = self._held[node] = {}
            self._live |= 1 << node
        held.setdefault(token.edge, deque()).append(token)
        asked.append(node)

    def _activate(
        self, node: int, tokens: tuple[Token[S], ...], missing: tuple[int, ...], due: list[Activation[S]]
    ) -> None:
        named = _new_hash()
        if len(tokens) == 1:
            named.update(f"{self._node_ids[node]}\n{tokens[0].name}".encode())
        else:
            named.update("\n".join([self._node_ids[node], *[token.name for token in tokens]]).encode())
        number = self._passes[node] = self._passes.get(node, 0) + 1
        name: ActivationId = named.hexdigest()  # type: ignore[assignment]  # calling the NewType takes 60 ns
        activation = Activation(name, node, tokens, missing, number)
        if node in self._active:
            self._queues.setdefault(node, deque()).append(activation)
            return
        self._active[node] = activation
        if self._checks:
            self._live |= 1 << node
        due.append(activation)

    def _hand_out_next(self, node: int, due: list[Activation[S]]) -> None:
        if (queue := self._queues.get(node)) is None:
            return
        following = queue.popleft()
        if not queue:
            del self._queues[node]
        self._active[node] = following
        due.append(following)

    def _in_order(self, due: list[Activation[S]]) -> list[Activation[S]]:
        due.sort(key=_by_node)
        for activation in due:
            del self._active[activation.node]
            self._active[activation.node] = activation
        return due

    def _close_inputs(self, edges: Sequence[int], fired: Sequence[int], due: list[Activation[S]]) -> None:
        topology, left = self._topology, self._open_inputs
        spared = fired if len(fired) < 8 else frozenset(fired)
        dead: list[int] = []
        for edge in edges:
            if edge not in spared:
                dead.append(edge)
                continue
            target = topology.targets[edge]
            left[target] -= 1
            if not left[target] and self._rules[target] is _COUNTED:
                self._activate_counted(target, due)
        while dead:
            target = topology.targets[dead.pop()]
            left[target] -= 1
            if left[target] or not topology.plain[target]:
                continue
            if target in self._gathered:
                self._activate_counted(target, due)
            else:
                dead.extend(topology.outgoing[target])

    def _activate_counted(self, node: int, due: list[Activation[S]]) -> None:
        tokens = self._gathered.pop(node)
        tokens.sort(key=_by_edge)
        self._activate(node, tuple(tokens), (), due)

    def _settle(self, asked: list[int], due: list[Activation[S]]) -> None:
        while True:
            while asked:
                self._decide(asked.pop(), asked, due)
            if self._active or not self._held:
                return
            first = min(self._held)
            self._release(first, self._held[first], asked, due)
            asked.append(first)

    def _decide(self, node: int, asked: list[int], due: list[Activation[S]]) -> None:
        join = self._topology.joins[node]
        while held := self._held.get(node):
            if not isinstance(join, int):
                if self._can_arrive(node, held):
                    return
                self._take(node, list(held), (), due)
            elif len(held) >= join:
                heads = sorted((queue[0] for queue in held.values()), key=_by_arrival)[:join]
                self._spent.add(node)
                self._take(node, [token.edge for token in heads], (), due)
            elif self._can_arrive(node, held):
                return
            else:
                self._release(node, held, asked, due)

    def _release(self, node: int, held: dict[int, deque[Token[S]]], asked: list[int], due: list[Activation[S]]) -> None:
        if node in self._spent:
            for edge in sorted(held):
                self._ended += [(node, token.state) for token in held[edge]]
            del self._held[node]
            self._waits.pop(node, None)
            self._release_watchers(node, asked)
            return
        missing = tuple(edge for edge in self._topology.incoming[node] if edge not in held)
        self._take(node, list(held), missing, due)

    def _take(self, node: int, edges: list[int], missing: tuple[int, ...], due: list[Activation[S]]) -> None:
        held = self._held[node]
        tokens = []
        for edge in sorted(edges):
            queue = held[edge]
            tokens.append(queue.popleft())
            if not queue:
                del held[edge]
        if not held:
            del self._held[node]
        self._waits.pop(node, None)  # the node's own activation may now reach what nothing else could
        self._activate(node, tuple(tokens), missing, due)

    def _can_arrive(self, node: int, held: Mapping[int, object]) -> bool:
        topology, live = self._topology, self._live
        if node not in self._active:
            live ^= 1 << node  # waiting here does not count for this join itself
        incoming = topology.incoming[node]
        position, witness = self._waits.get(node, (0, -1))
        if witness >= 0 and incoming[position] not in held and live >> witness & 1:
            return True
        for at in range(position, len(incoming)):
            edge = incoming[at]
            if edge in held:
                continue
            source = topology.sources[edge]
            if not live >> source & 1:
                able = topology.reaching(edge) & live
                if not able:
                    continue
                source = able.bit_length() - 1
            self._waits[node] = (at, source)
            self._watchers.setdefault(source, set()).add(node)
            return True
        self._waits[node] = (len(incoming), -1)
        return False

    def _release_watchers(self, node: int, asked: list[int]) -> None:
        """Ask the joins again that waited for a node, if it is neither active nor waiting any more."""
        watchers = self._watchers
        if node in self._active:
            return
        if node not in self._held:
            self._live &= ~(1 << node)
            if node in watchers:
                asked.extend(watchers.pop(node))
        elif node in watchers and node in watchers[node]:
            asked.append(node)

    def _tokens(self) -> Iterator[tuple[int, Token[S]]]:
        for activation in chain(self._active.values(), *self._queues.values()):
            for token in activation.tokens:
                yield activation.node, token
        yield from self._waiting_tokens()

    def _waiting_tokens(self) -> Iterator[tuple[int, Token[S]]]:
        for node, tokens in self._gathered.items():
            for token in sorted(tokens, key=_by_edge):
                yield node, token
        for node, held in self._held.items():
            for edge in sorted(held):
                for token in held[edge]:
                    yield node, token

    def snapshot(self, encode_state: Callable[[S], Any]) -> dict[str, Any]:
        """Return everything as JSON, for the same topology and entries. States that are one object stay one."""
        shelf = Shelf(encode_state)
        open_inputs = self._topology.layout(self._entries).open_inputs
        return {
            "arrivals": self._arrivals,
            "passes": sorted(self._passes.items()),
            "open_inputs": [(node, left) for node, left in enumerate(self._open_inputs) if left != open_inputs[node]],
            "spent": sorted(self._spent),
            "ended": [(node, shelf.put(state)) for node, state in self._ended],
            "waiting": [(node, shelf.put_token(token)) for node, token in self._waiting_tokens()],
            "active": [shelf.put_activation(activation) for activation in self._active.values()],
            "queued": [shelf.put_activation(activation) for queue in self._queues.values() for activation in queue],
            "states": shelf.states,
        }

    @classmethod
    def restore(
        cls,
        topology: Topology,
        node_ids: Sequence[str],
        edge_ids: Sequence[str],
        entries: Sequence[int],
        scope: str,
        snapshot: Mapping[str, Any],
        decode_state: Callable[[Any], S],
    ) -> "Scheduler[S]":
        """Return a scheduler that goes on from a snapshot; what is to be completed is in its ``active()``."""
        scheduler: Scheduler[S] = cls(topology, node_ids, edge_ids, entries, scope)
        states = [decode_state(state) for state in snapshot["states"]]
        scheduler._arrivals = snapshot["arrivals"]
        scheduler._passes = dict(snapshot["passes"])
        for node, left in snapshot["open_inputs"]:
            scheduler._open_inputs[node] = left
        scheduler._spent = set(snapshot["spent"])
        scheduler._ended = [(node, states[state]) for node, state in snapshot["ended"]]
        for kept in snapshot["active"]:
            activation = take_activation(kept, states)
            scheduler._active[activation.node] = activation
            scheduler._live |= 1 << activation.node
        for kept in snapshot["queued"]:
            activation = take_activation(kept, states)
            scheduler._queues.setdefault(activation.node, deque()).append(activation)
        waiting: list[int] = []
        for node, token in snapshot["waiting"]:
            scheduler._put(node, take_token(token, states), waiting)
        scheduler._settle(waiting, [])
        return scheduler
