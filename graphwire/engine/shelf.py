"""Tokens and activations as JSON, each state object written once, so that what is shared comes back shared."""

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from graphwire.engine.tokens import Activation, Token
from graphwire.types import ActivationId

S = TypeVar("S")


class Shelf(Generic[S]):
    """Where states are put; what holds them refers to their places.

    Attributes:
        states: Encoded, by place.
    """

    def __init__(self, encode_state: Callable[[S], Any]) -> None:
        self.states: list[Any] = []
        self._encode = encode_state
        self._places: dict[int, tuple[int, S]] = {}

    def put(self, state: S) -> int:
        known = self._places.get(id(state))
        if known is not None:
            return known[0]
        place = len(self.states)
        # The state is kept with its place: its id would be another's once it is gone.
        self._places[id(state)] = (place, state)
        self.states.append(self._encode(state))
        return place

    def put_token(self, token: Token[S]) -> list[Any]:
        return [token.name, token.edge, self.put(token.state), token.arrival]

    def put_activation(self, activation: Activation[S]) -> list[Any]:
        tokens = [self.put_token(token) for token in activation.tokens]
        return [activation.id, activation.node, tokens, list(activation.missing), activation.pass_number]


def take_token(kept: Sequence[Any], states: Sequence[S]) -> Token[S]:
    """Return the token that ``put_token`` wrote, with its state from the decoded ones."""
    name, edge, state, arrival = kept
    return Token(name, edge, states[state], arrival)


def take_activation(kept: Sequence[Any], states: Sequence[S]) -> Activation[S]:
    """Return the activation that ``put_activation`` wrote."""
    name, node, tokens, missing, pass_number = kept
    taken = tuple(take_token(token, states) for token in tokens)
    return Activation(ActivationId(name), node, taken, tuple(missing), pass_number)
