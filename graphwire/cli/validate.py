"""``graphwire validate``: every problem of files with graphs, as an editor would show them."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from graphwire.cli.excerpts import excerpt, lines_of
from graphwire.cli.files import SUFFIXES, GraphFile, read_graph_file
from graphwire.cli.printing import output_console, place_of, printable, prints_aside, write_bytes
from graphwire.errors import Problem
from graphwire.nodes import builtin_registry

MAX_SHOWN: Final = 100
"""Problems of a file; nobody reads more, and ``--json`` has all."""


def validate_files(paths: Iterable[Path], *, as_json: bool) -> bool:
    """Show all problems and warnings of these files, and of the files in these folders; say whether all can run."""
    registry = builtin_registry()
    with prints_aside():
        files = [read_graph_file(path, registry, needs_graph=is_named) for path, is_named in _files(paths)]
    if as_json:
        write_bytes(json.dumps({"files": [_described(file) for file in files]}, indent=2).encode() + b"\n")
    else:
        _show(files)
    return bool(files) and not any(file.problems for file in files)


def show_problems(file: GraphFile, console: Console) -> None:
    """Show what is wrong with one file."""
    _report(file, file.problems, console, is_error=True, left_out=file.left_out)


def _report(
    file: GraphFile, problems: Sequence[Problem], console: Console, *, is_error: bool, left_out: int = 0
) -> None:
    lines = lines_of(file.text)
    ordered = sorted(problems, key=lambda each: (each.line or 0, each.column or 0))
    for problem in ordered[:MAX_SHOWN]:
        console.print(report(file, lines, problem, is_error=is_error))
    left_out += max(0, len(ordered) - MAX_SHOWN)
    if left_out:
        console.print(Text(f"{file.path}: {left_out:,} more {'problems' if is_error else 'warnings'}"))


def report(file: GraphFile, lines: Sequence[str], problem: Problem, *, is_error: bool) -> Text:
    """Return ``file:line:column: error[code] what is wrong``, and below it the line with a caret."""
    place = str(file.path)
    if problem.line is not None:
        place += f":{problem.line}" + (f":{problem.column}" if problem.column is not None else "")
    kind, style = ("error", "bold red") if is_error else ("warning", "bold yellow")
    text = Text.assemble((printable(place, 1_000), "bold"), ": ", (f"{kind}[{problem.code}]", style), " ")
    if problem.line is None:
        text.append(place_of(problem))
    text.append(printable(problem.detail, 1_000))
    shown = excerpt(lines, problem)
    if shown is not None:
        text.append("\n").append_text(shown)
    return text


def _show(files: list[GraphFile]) -> None:
    console = output_console()
    warnings = 0
    for file in files:
        show_problems(file, console)
        odd = [warning for graph in file.graphs for warning in graph.warnings]
        warnings += len(odd)
        _report(file, odd, console, is_error=False)
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
