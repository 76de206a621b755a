"""Where the command writes: results to standard output, all else to standard error."""

import sys
from typing import Final

from rich.console import Console
from rich.text import Text

from graphwire.errors import InvalidInput, Problem

_MORE: Final = 20


def error_console() -> Console:
    """Return a console for people. Colours only on a terminal, and none where ``NO_COLOR`` is set."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)


def output_console() -> Console:
    """Return a console for results, likewise."""
    return Console(highlight=False, markup=False, emoji=False, soft_wrap=True)


def printable(text: str, limit: int = 200) -> str:
    """Return text on one line, cut, that cannot speak to a terminal: what cannot be seen is written out."""
    cut = text if len(text) <= limit else text[:limit] + "…"
    if cut.isprintable():
        return cut
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in cut)


def complain(sentence: str) -> None:
    """Say on standard error what is wrong and what to do."""
    error_console().print(Text.assemble(("error: ", "bold red"), printable(sentence, 2_000)))


def complain_of(error: InvalidInput) -> None:
    """Say what is wrong with an input that is no file, each thing with its place."""
    problems = error.problems
    if len(problems) == 1:
        complain(f"{place_of(problems[0])}{problems[0].detail}")
        return
    complain(error.detail)
    for problem in problems[:_MORE]:
        error_console().print(Text(f"  {place_of(problem)}{printable(problem.detail, 500)}"))
    left_out = len(problems) - _MORE + error.left_out
    if left_out > 0:
        error_console().print(Text(f"  and {left_out:,} more"))


def place_of(problem: Problem) -> str:
    """Return where a problem is, as the beginning of a line."""
    if problem.pointer:
        return f"{printable(problem.pointer)}: "
    return "" if problem.line is None else f"line {problem.line}, column {problem.column}: "


def write_bytes(data: bytes) -> None:
    """Write to standard output as it is.

    Raises:
        BrokenPipeError: Nobody reads it any more.
    """
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
