"""Graphs in files, as they are sent to a server, and what it says about them, with the lines of the files."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from graphwire.cli.excerpts import lines_of
from graphwire.cli.files import GraphFile, read_graph_file
from graphwire.cli.printing import error_console, prints_aside
from graphwire.cli.servers import complain_of_server
from graphwire.cli.validate import report, show_problems
from graphwire.client import ProblemError
from graphwire.errors import InvalidInput, NotFound, Problem, quoted
from graphwire.graphs.code import modules_named
from graphwire.graphs.documents import SUFFIXES as DOCUMENTS, read_document
from graphwire.nodes import builtin_registry


@dataclass(frozen=True, slots=True)
class Source:
    """A graph that is to be sent.

    Attributes:
        content: The text as it stands in its file, so that problems have lines; of a Python file the definition.
    """

    file: GraphFile
    id: str
    content: str | dict[str, Any]


def read_sources(path: Path) -> Iterator[Source]:
    """Give the graphs of a file. JSON and YAML are for the server to judge; a Python file is run here.

    Raises:
        NotFound: The file cannot be read.
        InvalidInput: It holds no graph, or one with code, which no server takes as data.
    """
    if path.suffix in DOCUMENTS:
        yield _read_text(path)
        return
    with prints_aside():
        file = read_graph_file(path, builtin_registry())
    if file.problems:
        show_problems(file, error_console())
        raise InvalidInput(f"{path} has problems; nothing was sent")
    for graph in file.graphs:
        value = graph.definition.to_value()
        named = sorted(modules_named(value))
        if named:
            raise InvalidInput(f"{path}: {quoted(graph.definition.id)} has code, which no server takes as data")
        yield Source(file, graph.definition.id, value)


def show_refusal(source: Source, error: ProblemError) -> None:
    """Say why a server did not take a graph: each problem with its line where it has one."""
    if error.errors:
        left_out = error.facts.get("errors_left_out", 0)
        show_problems(replace(source.file, problems=error.errors, left_out=left_out), error_console())
    else:
        complain_of_server(error)


def show_warnings(source: Source, warnings: Sequence[Problem]) -> None:
    """Show what a server found odd about a graph."""
    lines = lines_of(source.file.text)
    for warning in warnings:
        error_console().print(report(source.file, lines, warning, is_error=False))


def _read_text(path: Path) -> Source:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise NotFound(f"{path}: {error.strerror}") from None
    value = read_document(data, DOCUMENTS[path.suffix]).value
    id = value.get("id") if isinstance(value, dict) else None
    if not isinstance(id, str) or not id:
        raise InvalidInput(f"{path}: a graph has an id")
    text = data.decode("utf-8-sig")
    return Source(GraphFile(path, text), id, text)
