"""What moves through a graph: tokens on its edges, and the activations that take them."""

from typing import Generic, TypeVar

from msgspec import Struct

from graphwire.types import ActivationId

S = TypeVar("S")

VIRTUAL_EDGE = -1


class Token(Struct, Generic[S], eq=False):
    """What an edge that fired put on its target.

    Attributes:
        name: ``<activation>/<edge id>``; the start token has the name of its scope.
        edge: ``VIRTUAL_EDGE`` for the start token.
        state: Whatever the commit gave.
        arrival: Counts the scope's tokens in the order in which they came.
    """

    name: str
    edge: int
    state: S
    arrival: int


class Activation(Struct, Generic[S], eq=False):
    """One run of a node that is due, with the tokens that it took.

    Attributes:
        id: 16 hexadecimal digits, made of the node and the names of the tokens.
        tokens: In definition order of the incoming edges, the start token first.
        missing: The edges that its join was released without (``join_released``); empty for a join that was satisfied.
        pass_number: 1 for the node's first activation in this scope, and so on.
    """

    id: ActivationId
    node: int
    tokens: tuple[Token[S], ...]
    missing: tuple[int, ...]
    pass_number: int

    def __repr__(self) -> str:
        return f"Activation({self.id}, node={self.node}, pass_number={self.pass_number})"
