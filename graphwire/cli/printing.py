"""Where the command writes: results to standard output, all else to standard error."""

import contextlib
import io
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from graphwire.errors import InvalidInput, Problem

_MORE: Final = 20
READER_GONE: Final = 1
_WIDE: Final = 2_000
_OBEYED: Final = re.compile(
    "[\\x00-\\x09\\x0b-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069\\ud800-\\udfff]"
)
"""Outside of strings JSON has of these only line ends, which stay."""


class NotWritten(Exception):
    """A result cannot be written; its text says where and why. ``status`` is what the command ends with."""

    def __init__(self, text: str, status: int = 1) -> None:
        super().__init__(text)
        self.status = status


def open_streams() -> None:
    """Have all three standard streams be open, whoever started the command, and take any text."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # for the whole process
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextlib.contextmanager
def prints_aside() -> Iterator[None]:
    """Have what the code of graphs prints go to standard error, within the block."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


def error_console() -> Console:
    """Return a console for people. Colours only on a terminal, and none where ``NO_COLOR`` is set."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)


def output_console() -> Console:
    """Return a console for results, likewise."""
    return Console(highlight=False, markup=False, emoji=False, soft_wrap=True)


def print_table(table: Table) -> None:
    """Write a table as a result: within the width of a terminal, and nowhere else cut to any."""
    console = output_console()
    if not console.is_terminal:
        console.width = _WIDE
    console.print(table)


def printable(text: str, limit: int = 200) -> str:
    """Return text on one line, cut, that cannot speak to a terminal: what cannot be seen is written out."""
    cut = text if len(text) <= limit else text[:limit] + "…"
    if cut.isprintable():
        return cut
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in cut)


def json_bytes(value: Any) -> bytes:
    """Return a value as indented JSON with a last line end, in which nothing can speak to a terminal."""
    return _harmless(json.dumps(value, ensure_ascii=False, indent=2)).encode() + b"\n"


def write_lines(lines: Iterable[bytes]) -> None:
    """Write lines of JSON: as they are, and to a terminal so that nothing in them can speak to it.

    Raises:
        NotWritten: See ``write_bytes``.
    """
    data = b"".join(line + b"\n" for line in lines)
    stream = sys.__stdout__ or sys.stdout
    write_bytes(_harmless(data.decode(errors="replace")).encode() if stream.isatty() else data)


def show_cursor() -> None:
    """Have a terminal show its cursor again, also from within a handler of signals."""
    with contextlib.suppress(OSError):
        if os.isatty(2):
            os.write(2, b"\x1b[?25h")


def _harmless(text: str) -> str:
    """Return JSON in which what a terminal would obey, or what turns text around, is escaped."""
    return _OBEYED.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


def complain(sentence: str) -> None:
    """Say on standard error what is wrong and what to do; further lines say more."""
    first, *more = (printable(line, 2_000) for line in sentence.split("\n"))
    tell(Text("\n").join([Text.assemble(("error: ", "bold red"), first), *map(Text, more)]))


def tell(text: Text) -> None:
    """Write to standard error; where nobody can read that, nothing is lost."""
    with contextlib.suppress(OSError):
        error_console().print(text)


def complain_of(error: InvalidInput) -> None:
    """Say what is wrong with an input that is no file, each thing with its place."""
    problems = error.problems
    if len(problems) == 1:
        complain(f"{place_of(problems[0])}{problems[0].detail}")
        return
    complain(error.detail)
    for problem in problems[:_MORE]:
        tell(Text(f"  {place_of(problem)}{printable(problem.detail, 500)}"))
    left_out = len(problems) - _MORE + error.left_out
    if left_out > 0:
        tell(Text(f"  and {left_out:,} more"))


def place_of(problem: Problem) -> str:
    """Return where a problem is, as the beginning of a line."""
    if problem.pointer:
        return f"{printable(problem.pointer)}: "
    return "" if problem.line is None else f"line {problem.line}, column {problem.column}: "


def write_bytes(data: bytes) -> None:
    """Write a result to standard output as it is.

    Raises:
        NotWritten: It cannot be written, but for a reader that has gone: that ends the command quietly.
    """
    stream = sys.__stdout__ or sys.stdout
    try:
        stream.flush()
        stream.buffer.write(data)
        stream.buffer.flush()
    except BrokenPipeError:
        # What is left in the buffer must not fail at the exit again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        raise SystemExit(READER_GONE) from None
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        raise NotWritten(f"standard output cannot be written: {error.strerror}") from None
