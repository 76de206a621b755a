"""``graphwire validate``: every problem of files with graphs, as an editor would show them."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from rich.text import Text

from graphwire.cli.excerpts import excerpt
from graphwire.cli.files import SUFFIXES, GraphFile, read_graph_file
from graphwire.cli.printing import output_console, place_of, printable, write_bytes
from graphwire.errors import Problem
from graphwire.nodes import builtin_registry


def validate_files(paths: Iterable[Path], *, as_json: bool) -> bool:
    """Show all problems and warnings of these files, and of the files in these folders; say whether all can run."""
    registry = builtin_registry()
    files = [read_graph_file(path, registry, needs_graph=is_named) for path, is_named in _files(paths)]
    if as_json:
        write_bytes(json.dumps({"files": [_described(file) for file in files]}, indent=2).encode() + b"\n")
    else:
        _show(files)
    return bool(files) and not any(file.problems for file in files)


def show_problems(file: GraphFile) -> None:
    """Show what is wrong with one file, on standard output."""
    console = output_console()
    for problem in sorted(file.problems, key=lambda each: (each.line or 0, each.column or 0)):
        console.print(report(file, problem, is_error=True))
    if file.left_out:
        console.print(Text(f"{file.path}: {file.left_out:,} more problems"))


def report(file: GraphFile, problem: Problem, *, is_error: bool) -> Text:
    """Return ``file:line:column: error[code] what is wrong``, and below it the line with a caret."""
    place = str(file.path)
    if problem.line is not None:
        place += f":{problem.line}" + (f":{problem.column}" if problem.column is not None else "")
    kind, style = ("error", "bold red") if is_error else ("warning", "bold yellow")
    text = Text.assemble((printable(place, 1_000), "bold"), ": ", (f"{kind}[{problem.code}]", style), " ")
    if problem.line is None:
        text.append(place_of(problem))
    text.append(printable(problem.detail, 1_000))
    shown = excerpt(file.text, problem)
    if shown is not None:
        text.append("\n").append_text(shown)
    return text


def _show(files: list[GraphFile]) -> None:
    console = output_console()
    warnings = 0
    for file in files:
        show_problems(file)
        for graph in file.graphs:
            warnings += len(graph.warnings)
            for warning in graph.warnings:
                console.print(report(file, warning, is_error=False))
    problems = sum(len(file.problems) + file.left_out for file in files)
    count = f"{_counted(problems, 'error')}, {_counted(warnings, 'warning')} in {_counted(len(files), 'file')}"
    console.print(Text(count, "bold red" if problems or not files else "green"))


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _files(paths: Iterable[Path]) -> Iterator[tuple[Path, bool]]:
    """Give each file, and whether it was named itself: others of a folder may hold functions only."""
    for path in paths:
        if path.is_dir():
            inside = sorted(path.iterdir())
            found = (each for each in inside if each.suffix in SUFFIXES and not each.name.startswith((".", "_")))
            yield from ((each, False) for each in found)
        else:
            yield path, True


def _described(file: GraphFile) -> dict[str, Any]:
    return {
        "path": str(file.path),
        "valid": not file.problems,
        "graphs": [graph.definition.id for graph in file.graphs],
        "problems": [_entry(problem) for problem in file.problems],
        "problems_left_out": file.left_out,
        "warnings": [_entry(problem) for graph in file.graphs for problem in graph.warnings],
    }


def _entry(problem: Problem) -> dict[str, Any]:
    entry = {"pointer": problem.pointer, "code": problem.code, "detail": problem.detail}
    places = {"line": problem.line, "column": problem.column}
    return {**entry, **{name: value for name, value in places.items() if value is not None}}
