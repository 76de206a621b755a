"""What is told of graphs."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.storage.repositories.graphs import GraphInfo
from graphwire.errors import Problem
from graphwire.types import GraphId


@dataclass(frozen=True, slots=True)
class GraphView:
    """A version of a graph, as it is stored, with what can be said against it.

    Attributes:
        problems: Why it cannot run any more, and what is wrong with the file that should have replaced it.
    """

    id: GraphId
    version: int
    definition: bytes
    warnings: Sequence[Problem] = ()
    problems: Sequence[Problem] = ()


@dataclass(frozen=True, slots=True)
class ListedGraph:
    """A graph in a list.

    Attributes:
        is_valid: Whether its newest version can run; None where nobody has looked yet.
    """

    info: GraphInfo
    is_valid: bool | None
    is_read_only: bool


@dataclass(frozen=True, slots=True)
class Adopted:
    """What the adoption of a graph did. ``is_changed`` where it made the version.

    Attributes:
        is_taken: Whether the graph was one that was made through the API.
    """

    version: int
    is_changed: bool
    is_taken: bool
    warnings: Sequence[Problem]
