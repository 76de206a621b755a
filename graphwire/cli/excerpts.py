"""The line of a text that a problem is about, with a caret below its place."""

import re
from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len
from rich.text import Text

from graphwire.cli.printing import printable
from graphwire.errors import Problem

_WIDTH: Final = 100
_LINE_END: Final = re.compile(r"\r\n?|\n")


def lines_of(text: str) -> list[str]:
    """Return the lines of a text, as problems count them: a line ends with CR, LF or both."""
    return _LINE_END.split(text)


def excerpt(lines: Sequence[str], problem: Problem) -> Text | None:
    """Return two lines: the problem's line of the text, numbered, and a caret; None where there is no such line."""
    if problem.line is None or not 1 <= problem.line <= len(lines):
        return None
    line = lines[problem.line - 1]
    column = min(problem.column or 1, len(line) + 1)
    begin = max(0, column - _WIDTH // 2) if len(line) > _WIDTH else 0
    before = _flat(line[begin : column - 1])
    shown = _flat(line[begin : begin + _WIDTH])
    number = f"{problem.line:>5} "
    made = Text.assemble((f"{number}| ", "cyan"), shown)
    if problem.column is not None:
        made.append("\n").append(" " * len(number) + "| ", "cyan").append(" " * cell_len(before) + "^", "bold red")
    return made


def _flat(text: str) -> str:
    return printable(text.replace("\t", " "), 10 * _WIDTH)
