"""Definitions as text: JSON and YAML, read alike, with the place of everything that is wrong."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final, Literal, TypeAlias

from graphwire.errors import InvalidInput, Problem, TooDeep
from graphwire.graphs.places import Place, Step, StepKind, find, json_steps, lines_and_columns, yaml_steps
from graphwire.graphs.yaml_writing import write_yaml
from graphwire.json_text import MAX_DEPTH, read_json
from graphwire.line_ends import LINE_END
from graphwire.yaml_text import compose_yaml

Format: TypeAlias = Literal["json", "yaml"]

MEDIA_TYPES: Final[Mapping[str, Format]] = {
    "application/json": "json",
    "application/yaml": "yaml",
    "application/x-yaml": "yaml",
    "text/yaml": "yaml",
}
"""Of each media type in which a document comes (RFC 8259, RFC 9512) its format; answers have the first of a format."""

SUFFIXES: Final[Mapping[str, Format]] = {".json": "json", ".yaml": "yaml", ".yml": "yaml"}

_BOM: Final = b"\xef\xbb\xbf"
_ABOUT_KEYS: Final = frozenset({"unknown_field", "unknown_parameter", "duplicate_key"})
_PROPERTIES: Final = re.compile(r"(?:[&!]\S*+(?:\s++|(?<=\s)#[^\r\n]*+)*+)++")  # of a value: its anchor and its tag
_ESCAPED_SURROGATE: Final = re.compile(r"\\ud[89a-f][0-9a-f]{2}[^/]*$")


@dataclass(frozen=True, slots=True)
class Document:
    """A text that was read.

    Attributes:
        value: What it stands for, plain JSON values.
        data: The text, without a byte order mark.
    """

    value: Any
    format: Format
    data: bytes
    _aliases: Mapping[str, str]

    def located(self, problems: Iterable[Problem]) -> tuple[Problem, ...]:
        """Return problems with the line and column to which their pointers lead, both from 1.

        What does not exist is placed at what is nearest around it, what an alias repeats where it is written out, a
        problem about a key at the key. A line and a column that a problem has already count inside its text, and
        become those of the document where the text stands there as it is.

        Takes time linear in the document; none if there are no problems.
        """
        return _located(tuple(problems), self)


def read_document(data: bytes, format: Format, *, max_depth: int = MAX_DEPTH) -> Document:
    """Read a text as the JSON value that it stands for.

    Raises:
        InvalidInput: As ``read_json`` and ``read_yaml`` say; every problem has its line and column.
    """
    data = data.removeprefix(_BOM)
    if format == "yaml":
        composed = compose_yaml(data, max_depth=max_depth)
        return Document(composed.value, format, data, composed.aliases)
    try:
        return Document(read_json(data, max_depth=max_depth), format, data, {})
    except InvalidInput as error:
        unread = Document(None, format, data, {})
        problems = unread.located(error.problems)
        if isinstance(error, TooDeep):
            problems = (_too_deep(error, data.decode(), max_depth),)
        raise type(error)(error.detail, problems, left_out=error.left_out, **error.facts) from None


def write_document(value: Any, format: Format) -> bytes:
    """Write a JSON value as text for people, which reads back as the same value."""
    if format == "yaml":
        return write_yaml(value)
    return json.dumps(value, ensure_ascii=False, indent=2).encode() + b"\n"


def format_of_suffix(suffix: str) -> Format | None:
    """Return the format of files whose names end so (``.yaml``); None if there is none."""
    return SUFFIXES.get(suffix)


def _located(problems: tuple[Problem, ...], document: Document) -> tuple[Problem, ...]:
    if all(_has_place(problem, document) for problem in problems):
        return problems
    text = document.data.decode()
    wanted = {problem.pointer: _written_out(problem.pointer, document) for problem in problems}
    places = find(_steps(document, text), set(wanted.values()))
    found = [_position(problem, places[wanted[problem.pointer]], document, text) for problem in problems]
    lines = lines_and_columns(text, (position for position, _ in found))
    return tuple(
        _placed(problem, *lines[position], rest) for problem, (position, rest) in zip(problems, found, strict=True)
    )


def _has_place(problem: Problem, document: Document) -> bool:
    return document.value is None and problem.line is not None  # found while the text was read


def _placed(problem: Problem, line: int, column: int, rest: str) -> Problem:
    return replace(problem, line=line, column=column, detail=problem.detail + rest)


def _steps(document: Document, text: str) -> Iterator[Step]:
    return yaml_steps(document.data) if document.format == "yaml" else json_steps(text)


def _written_out(pointer: str, document: Document) -> str:
    """Return the pointer of the same value where it is written out. An alias itself stands where it stands."""
    aliases = document._aliases
    end = len(pointer)
    while aliases and (end := pointer.rfind("/", 0, end)) > 0:
        anchor = aliases.get(pointer[:end])
        if anchor is not None:  # which comes before it in the text, so this ends
            pointer = anchor + pointer[end:]
            end = len(pointer)
    return pointer


def _position(problem: Problem, place: Place, document: Document, text: str) -> tuple[int, str]:
    """Return the position that a problem is about, and what must be said about it beyond that."""
    if place.key is not None and (problem.code in _ABOUT_KEYS or _is_about_bad_key(problem)):
        return place.key, ""
    if problem.line is None or problem.column is None:
        return place.value, ""
    position = _position_inside(problem.line, problem.column, _value_at(document.value, problem.pointer), place, text)
    if position is not None:
        return position, ""
    return place.value, f" (line {problem.line}, column {problem.column} of the text)"


def _is_about_bad_key(problem: Problem) -> bool:
    return problem.code == "invalid_text" and _ESCAPED_SURROGATE.search(problem.pointer) is not None


def _position_inside(line: int, column: int, value: Any, place: Place, text: str) -> int | None:
    """Return a position inside a value that is a text, if it stands in the document as it is."""
    if not isinstance(value, str):
        return None
    begin = place.value
    if text[begin : begin + 1] in ("&", "!") and (properties := _PROPERTIES.match(text, begin)) is not None:
        begin = properties.end()
    if text.startswith("|", begin):
        return _position_in_block(line, column, value, begin, text)
    begin += text[begin : begin + 1] in ('"', "'")
    if "\n" in value or not text.startswith(value, begin):
        return None
    return begin + column - 1


def _position_in_block(line: int, column: int, value: str, begin: int, text: str) -> int | None:
    wanted = value.split("\n")[line - 1]
    ends = LINE_END.finditer(text, begin)
    begins = [each.end() for each in islice(ends, line)]
    if len(begins) < line:
        return None
    begin, end = begins[-1], next(ends, None)
    written = text[begin : end.start() if end is not None else len(text)]
    if not written.endswith(wanted):
        return None
    return begin + len(written) - len(wanted) + column - 1


def _value_at(value: Any, pointer: str) -> Any:
    for part in pointer.split("/")[1:]:
        match value:
            case dict():
                value = value.get(part.replace("~1", "/").replace("~0", "~"))
            case list() if part.isascii() and part.isdigit() and int(part[:9]) < len(value):
                value = value[int(part[:9])]
            case _:
                return None
    return value


def _too_deep(error: TooDeep, text: str, max_depth: int) -> Problem:
    depth = 0
    for kind, _, at in json_steps(text):
        depth += 1 if kind <= StepKind.OBJECT else -1 if kind is StepKind.END else 0
        if depth > max_depth:
            line, column = lines_and_columns(text, [at])[at]
            return Problem("", error.code, error.detail, line, column)
    return Problem("", error.code, error.detail)
