"""``graphwire show``: a graph as a drawing in text."""

from pathlib import Path
from typing import Literal, TypeAlias

from graphwire.cli.files import read_graph_file
from graphwire.cli.printing import error_console, prints_aside, write_bytes
from graphwire.cli.validate import show_problems
from graphwire.graphs.diagram import to_dot, to_mermaid
from graphwire.graphs.text_tree import to_tree
from graphwire.nodes import builtin_registry

Drawing: TypeAlias = Literal["tree", "mermaid", "dot"]

_DRAW = {"tree": to_tree, "mermaid": to_mermaid, "dot": to_dot}


def show_graph(path: Path, graph_id: str | None, drawing: Drawing) -> bool:
    """Write a graph's drawing to standard output; where its file has problems, tell those, and return False.

    Raises:
        NotFound: The file holds no such graph.
    """
    with prints_aside():
        file = read_graph_file(path, builtin_registry())
    if file.problems and not file.has(graph_id):
        show_problems(file, error_console())
        return False
    write_bytes(_DRAW[drawing](file.graph(graph_id).definition).encode())
    return True
