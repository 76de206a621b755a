"""Where the values of a text stand: found only when asked for, by going through the text once."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, TypeAlias

import yaml

from graphwire.json_text import pointer
from graphwire.line_ends import LINE_END
from graphwire.yaml_text import parse_events


class StepKind(IntEnum):
    """What comes next in a text. The first two are ended by an END each."""

    LIST = 0
    OBJECT = 1
    SCALAR = 2
    KEY = 3
    END = 4


Step: TypeAlias = tuple[StepKind, str, int]
"""Its kind, of a key its text, and the position of its first character."""

_LIST, _OBJECT, _SCALAR, _KEY, _END = StepKind
_JSON_TOKEN: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"([ \t\r\n]*+:)?+|[\[\]{}]|[^ \t\r\n\[\]{}:,"]++', re.DOTALL)


def json_steps(text: str) -> Iterator[Step]:
    """Give the steps of a JSON text."""
    for token in _JSON_TOKEN.finditer(text):
        at = token.start()
        match text[at]:
            case "{":
                yield _OBJECT, "", at
            case "[":
                yield _LIST, "", at
            case "}" | "]":
                yield _END, "", at
            case '"' if token[1] is not None:
                written = text[at : token.start(1)]
                yield _KEY, json.loads(written, strict=False) if "\\" in written else written[1:-1], at
            case _:
                yield _SCALAR, "", at


def yaml_steps(data: bytes) -> Iterator[Step]:
    """Give the steps of a YAML text that was read. An alias is a scalar."""
    waits_for_key: list[bool | None] = []  # of every open mapping; None for a list
    event: Any
    for event in parse_events(data):
        kind = type(event)
        if kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            waits_for_key.pop()
            yield _END, "", event.start_mark.index
        elif kind not in _VALUES:
            continue
        elif waits_for_key and waits_for_key[-1]:
            waits_for_key[-1] = False
            yield _KEY, event.value, event.start_mark.index
            continue
        elif kind is yaml.MappingStartEvent:
            waits_for_key.append(True)
            yield _OBJECT, "", event.start_mark.index
            continue
        elif kind is yaml.SequenceStartEvent:
            waits_for_key.append(None)
            yield _LIST, "", event.start_mark.index
            continue
        else:
            yield _SCALAR, "", event.start_mark.index
        if waits_for_key and waits_for_key[-1] is not None:
            waits_for_key[-1] = True


_VALUES: Final = frozenset({yaml.ScalarEvent, yaml.AliasEvent, yaml.MappingStartEvent, yaml.SequenceStartEvent})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a pointer leads, as positions in the text.

    Attributes:
        value: Of the value, or of the nearest one around it that exists.
        key: Of its key, of a doubled one the second time; None in lists and where the value does not exist.
    """

    value: int
    key: int | None


class _Wanted:
    """A part of some pointers, and where it was found."""

    __slots__ = ("key", "parts", "value")

    def __init__(self) -> None:
        self.parts: dict[str, _Wanted] = {}
        self.value: int | None = None
        self.key: int | None = None


class _Frame:
    """A list or an object that holds something wanted."""

    __slots__ = ("count", "next", "wanted")

    def __init__(self, wanted: _Wanted, *, is_list: bool) -> None:
        self.wanted = wanted
        self.count = 0 if is_list else None
        self.next: _Wanted | None = None

    def take(self) -> _Wanted | None:
        """Return what is wanted of the value that comes now."""
        if self.count is None:
            return self.next
        self.count += 1
        return self.wanted.parts.get(str(self.count - 1))


def find(steps: Iterable[Step], pointers: Iterable[str]) -> Mapping[str, Place]:
    """Return the place of every pointer; the time is linear in the steps and in the pointers."""
    root = _Wanted()
    paths = {each: each.split("/")[1:] for each in pointers}
    for path in paths.values():
        wanted = root
        for part in path:
            wanted = wanted.parts.setdefault(part, _Wanted())
    _walk(steps, root)
    return {each: _place(root, path) for each, path in paths.items()}


def _walk(steps: Iterable[Step], root: _Wanted) -> None:
    frames: list[_Frame] = []
    passed_over = 0  # how many lists and objects are open in which nothing is wanted
    for kind, key, at in steps:
        if passed_over:
            passed_over += 1 if kind <= _OBJECT else -1 if kind is _END else 0
            continue
        if kind is _KEY:
            wanted = frames[-1].wanted.parts.get(pointer(key)[1:])
            frames[-1].next = wanted
            if wanted is not None:
                wanted.key = at
            continue
        if kind is _END:
            frames.pop()
            continue
        wanted = frames[-1].take() if frames else root
        if wanted is not None and wanted.value is None:
            wanted.value = at
        if kind <= _OBJECT:
            if wanted is root and not root.parts:
                return
            if wanted is None or not wanted.parts:
                passed_over = 1
            else:
                frames.append(_Frame(wanted, is_list=kind is _LIST))


def _place(root: _Wanted, path: Iterable[str]) -> Place:
    wanted, value = root, root.value or 0
    for part in path:
        wanted = wanted.parts[part]
        if wanted.value is None:
            return Place(value, wanted.key)
        value = wanted.value
    return Place(value, wanted.key)


def lines_and_columns(text: str, positions: Iterable[int]) -> Mapping[int, tuple[int, int]]:
    """Return line and column of positions, both from 1."""
    found: dict[int, tuple[int, int]] = {}
    breaks = LINE_END.finditer(text)
    line, begin, following = 1, 0, next(breaks, None)
    for position in sorted(set(positions)):
        while following is not None and following.end() <= position:
            line, begin, following = line + 1, following.end(), next(breaks, None)
        found[position] = line, position - begin + 1
    return found
