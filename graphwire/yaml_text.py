"""Strict reading of YAML text: version 1.2, core schema, and only what a JSON value can stand for."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from itertools import islice
from math import isinf
from typing import Any, Final, NoReturn

import yaml
from yaml import AliasEvent, Event, MappingStartEvent, ScalarEvent, SequenceStartEvent

from graphwire.errors import (
    DuplicateKey,
    InvalidInput,
    InvalidText,
    MalformedInput,
    MalformedYaml,
    Problem,
    TooDeep,
    YamlAliasLimit,
    YamlTag,
    quoted,
)
from graphwire.json_text import MAX_DEPTH, MAX_WHOLE, pointer
from graphwire.line_ends import line_and_column
from graphwire.yaml_faults import describe

MAX_ALIASED: Final = 1_000

_BOM: Final = b"\xef\xbb\xbf"
_PROBLEMS_LIMIT: Final = 1_000  # nobody is shown more
_DIRECTIVES_LIMIT: Final = 100  # the parser compares each with each
_DIRECTIVE: Final = re.compile(r"(?<![^\r\n])%")  # MULTILINE knows one of the line ends only
_CORE: Final = "tag:yaml.org,2002:"
# Beside what YAML refuses, what 1.1 takes for a line break and 1.2 does not, so that there is one reading of a text.
_UNREADABLE: Final = re.compile(
    "[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_NOT_TEXT: Final = frozenset("~.+-0123456789nNtTfF")
_PLAIN: Final = re.compile(
    r"(?P<null>null|Null|NULL|~)"
    r"|(?P<true>true|True|TRUE)"
    r"|(?P<false>false|False|FALSE)"
    r"|(?P<int>[-+]?(?:0|[1-9][0-9]*))"  # 012 is ten to some and twelve to others, so it stays text
    r"|(?P<octal>0o[0-7]+)"
    r"|(?P<hex>0x[0-9a-fA-F]+)"
    r"|(?P<float>[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+)"
    r"|(?P<infinite>[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))"
)
_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    "null": (type(None),),
    "bool": (bool,),
    "int": (int,),
    "float": (float, int),
}
_ERRORS: Final[Mapping[str, type[InvalidInput]]] = {
    error.code: error
    for error in (MalformedYaml, DuplicateKey, InvalidText, YamlTag, TooDeep, YamlAliasLimit, InvalidInput)
}

Parse = Callable[[bytes], Iterator[Event]]


@dataclass(frozen=True, slots=True)
class YamlValue:
    """What a YAML text stands for.

    Attributes:
        aliases: The pointer of each alias, and that of the value which it repeats and which comes before it.
    """

    value: Any
    aliases: Mapping[str, str]


def parse_events(data: bytes) -> Iterator[Event]:
    """Give the events of a text one by one, so that whoever takes them can stop early."""
    return yaml.parse(data, Loader=_LOADER)


_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # only its parser: nothing is constructed by it


def read_yaml(data: bytes, *, max_depth: int = MAX_DEPTH) -> Any:
    """Return the value that a YAML text stands for. See ``compose_yaml``."""
    return compose_yaml(data, max_depth=max_depth).value


def compose_yaml(data: bytes, *, max_depth: int = MAX_DEPTH, parse: Parse = parse_events) -> YamlValue:
    """Return the value that a YAML text stands for, with its aliases.

    The core schema of YAML 1.2: ``no``, ``on``, ``1_000``, ``12:30`` and dates are text. So are whole numbers with
    leading zeros, which 1.1 reads as octal. A byte order mark in front is dropped. The value is like ``read_json``'s.

    Raises:
        MalformedYaml: Broken, empty, more than one document, not UTF-8, a key that is no text, a number that no float
            can hold, a character that must be written as an escape.
        DuplicateKey: A mapping names a key twice.
        InvalidText: An escape stands for no character.
        YamlTag: A tag beyond the core schema.
        YamlAliasLimit: More than 1,000 values through aliases, an alias inside what it repeats, a merge key.
        TooDeep: Nested deeper than ``max_depth``.
        InvalidInput: A whole number lies beyond ±2^63.
    """
    data = data.removeprefix(_BOM)
    text = _decode(data)
    return _Composer(text, max_depth).run(parse(data))


def _decode(data: bytes) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start].decode()
        raise _at(before, len(before), "the text is not UTF-8") from None
    if (found := _UNREADABLE.search(text)) is not None:
        detail = f"this character must be written as an escape in double quotes: {quoted(found[0])}"
        raise _at(text, found.start(), detail)
    if text.startswith("%") or "\n%" in text or "\r%" in text:
        directives = [each.start() for each in islice(_DIRECTIVE.finditer(text), _DIRECTIVES_LIMIT + 1)]
        if len(directives) > _DIRECTIVES_LIMIT:
            raise _at(text, directives[-1], f"more than {_DIRECTIVES_LIMIT} directives")
    return text


def _at(text: str, position: int, detail: str) -> MalformedYaml:
    problem = Problem("", MalformedYaml.code, detail, *line_and_column(text, position))
    error: MalformedYaml = _error(MalformedYaml, [problem])
    return error


def _error(kind: type[Any], problems: list[Problem], **facts: object) -> Any:
    named = next((problem for problem in problems if problem.code == kind.code), problems[0])
    more = "" if len(problems) == 1 else f" (and {len(problems) - 1:,} more)"
    return kind(f"line {named.line}, column {named.column}: {named.detail}{more}", problems, **facts)


class _Anchor:
    """A value with a name. ``is_open``: its end has not come yet."""

    __slots__ = ("is_open", "path", "value")

    def __init__(self, value: Any, path: tuple[str | int, ...], *, is_open: bool) -> None:
        self.value = value
        self.path = path
        self.is_open = is_open


class _Refused(Enum):
    """Stands for a key that is none: what comes behind it is looked at, and kept nowhere."""

    KEY = auto()


_NO_KEY: Final = _Refused.KEY


class _Frame:
    """A mapping or a list whose end has not come yet. ``key`` is that of the value to come, None before a key."""

    __slots__ = ("anchor", "items", "key")

    def __init__(self, items: dict[str, Any] | list[Any], anchor: _Anchor | None) -> None:
        self.items = items
        self.anchor = anchor
        self.key: str | _Refused | None = None


class _Composer:
    """One reading of one text, event by event; nothing recurses, and nothing is kept of what is done."""

    def __init__(self, text: str, max_depth: int) -> None:
        self._text = text
        self._max_depth = max_depth
        self._frames: list[_Frame] = []
        self._root: Any = None
        self._documents = 0
        self._problems: list[Problem] = []
        self._anchors: dict[str, _Anchor] = {}
        self._aliases: dict[str, str] = {}
        self._aliased_left = MAX_ALIASED

    def run(self, events: Iterator[Event]) -> YamlValue:
        event: Any = None
        try:
            for event in events:
                self._take(event)
        except yaml.MarkedYAMLError as error:
            fault = describe(error, self._text)
            code = InvalidText.code if fault.is_escape else MalformedYaml.code
            self._problems.append(Problem(pointer(*self._path()), code, fault.detail, fault.line, fault.column))
            self._fail()
        except ValueError:  # of the parser in Python, for an escape beyond all characters
            self._refuse(event, InvalidText.code, "an escape after this stands for no character")
            self._fail()
        if self._documents == 0:
            self._problems.append(Problem("", MalformedYaml.code, "the text is empty; a YAML value is expected", 1, 1))
        if self._problems:
            self._fail()
        return YamlValue(self._root, self._aliases)

    def _take(self, event: Any) -> None:
        kind = type(event)
        if kind is ScalarEvent:
            if self._expects_key():
                self._take_key(event)
                return
            value = self._scalar(event)
            if event.anchor is not None:
                self._anchors[event.anchor] = _Anchor(value, self._path(), is_open=False)
            self._put(value)
        elif kind is MappingStartEvent:
            self._begin(event, {}, "map")
        elif kind is SequenceStartEvent:
            self._begin(event, [], "seq")
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            self._end()
        elif kind is AliasEvent:
            self._take_alias(event)
        elif kind is yaml.DocumentStartEvent:
            self._documents += 1
            if self._documents > 1:
                self._stop(event, MalformedYaml.code, "a second document begins here; one is expected")

    def _expects_key(self) -> bool:
        if not self._frames:
            return False
        frame = self._frames[-1]
        return frame.key is None and type(frame.items) is dict

    def _begin(self, event: Any, items: dict[str, Any] | list[Any], kind: str) -> None:
        if len(self._frames) >= self._max_depth:
            self._stop_too_deep(event)
        if event.tag is not None and event.tag not in ("!", _CORE + kind):
            self._refuse_tag(event)
        anchor = None
        if event.anchor is not None:
            anchor = self._anchors[event.anchor] = _Anchor(items, self._path(), is_open=True)
        if self._expects_key():
            self._refuse(event, MalformedYaml.code, "a key must be a text; one that begins with { or [ must be quoted")
        else:
            self._attach(items)
        self._frames.append(_Frame(items, anchor))

    def _end(self) -> None:
        anchor = self._frames.pop().anchor
        if anchor is not None:
            anchor.is_open = False
        if self._frames:
            parent = self._frames[-1]
            parent.key = None if parent.key is not None else _NO_KEY

    def _put(self, value: Any) -> None:
        self._attach(value)
        if self._frames:
            self._frames[-1].key = None

    def _attach(self, value: Any) -> None:
        if not self._frames:
            self._root = value
            return
        frame = self._frames[-1]
        if isinstance(frame.items, list):
            frame.items.append(value)
        elif frame.key is not _NO_KEY:
            assert frame.key is not None
            frame.items[frame.key] = value

    def _take_key(self, event: Any) -> None:
        frame = self._frames[-1]
        refused = len(self._problems)
        key = self._scalar(event)
        if type(key) is not str:
            if len(self._problems) == refused:
                shown = quoted(event.value) if event.value else "it"
                self._refuse(event, MalformedYaml.code, f"a key must be a text: put quotes around {shown}")
            key = event.value
        elif key == "<<" and event.implicit[0]:
            self._stop(
                event, YamlAliasLimit.code, "there is no merging of keys: write the members out, or quote the key"
            )
        elif len(self._problems) > refused:  # an escape in it is no character
            frame.key = _NO_KEY
            return
        assert isinstance(frame.items, dict)
        if key in frame.items:
            self._refuse(event, DuplicateKey.code, "the key is there twice", key)
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchor(key, self._path(), is_open=False)
        frame.key = key

    def _take_alias(self, event: Any) -> None:
        if self._expects_key():
            self._refuse(event, MalformedYaml.code, "a key must be a text; this is an alias")
            self._frames[-1].key = _NO_KEY
            return
        anchor = self._anchors.get(event.anchor)
        if anchor is None:
            detail = f"there is no anchor {quoted(event.anchor)} before this; a text that begins with * must be quoted"
            self._refuse(event, MalformedYaml.code, detail)
            self._put(None)
            return
        if anchor.is_open:
            self._stop(event, YamlAliasLimit.code, "the alias stands inside the value that it repeats")
        self._aliases[pointer(*self._path())] = pointer(*anchor.path)
        self._put(self._copied(anchor.value, event))

    def _copied(self, value: Any, event: Any) -> Any:
        """Return a value of its own, however often it is repeated; counts every value in it."""
        result: list[Any] = []
        waiting: list[tuple[Any, Callable[[Any], Any], int]] = [(value, result.append, len(self._frames))]
        while waiting:
            source, attach, depth = waiting.pop()
            self._aliased_left -= 1
            if self._aliased_left < 0:
                limit = f"more than {MAX_ALIASED:,} values are made through aliases"
                self._stop(event, YamlAliasLimit.code, limit, limit=MAX_ALIASED)
            if not isinstance(source, dict | list):
                attach(source)
                continue
            if depth >= self._max_depth:
                self._stop_too_deep(event)
            if isinstance(source, list):
                items: list[Any] = []
                attach(items)
                waiting += [(item, items.append, depth + 1) for item in reversed(source)]
            else:
                members: dict[str, Any] = dict.fromkeys(source)
                attach(members)
                waiting += [(item, partial(members.__setitem__, key), depth + 1) for key, item in source.items()]
        return result[0]

    def _scalar(self, event: Any) -> Any:
        text: str = event.value
        if not text.isascii() and _LONE_SURROGATE.search(text) is not None:  # only the parser in Python lets it pass
            self._refuse(event, InvalidText.code, "the escape stands for no character")
            return ""
        if event.tag is not None:
            return self._tagged(event, text)
        if not event.implicit[0] or (text and text[0] not in _NOT_TEXT):
            return text
        return self._plain(event, text)

    def _tagged(self, event: Any, text: str) -> Any:
        tag: str = event.tag
        if tag in ("!", _CORE + "str"):
            return text
        kind = tag.removeprefix(_CORE)
        if kind == tag or kind not in _KINDS:
            self._refuse_tag(event)
            return None
        value = self._plain(event, text)
        if type(value) not in _KINDS[kind]:
            self._refuse(event, MalformedYaml.code, f"{quoted(text)} is not what its tag !!{kind} says")
            return None
        return float(value) if kind == "float" else value

    def _plain(self, event: Any, text: str) -> Any:
        if not text:
            return None
        found = _PLAIN.fullmatch(text)
        match found and found.lastgroup:
            case None:
                return text
            case "null":
                return None
            case "true":
                return True
            case "false":
                return False
            case "int":
                return self._whole(event, text, 10, 20)  # int() of many digits is quadratic in their count
            case "octal":
                return self._whole(event, text[2:].lstrip("0") or "0", 8, 22)
            case "hex":
                return self._whole(event, text[2:].lstrip("0") or "0", 16, 16)
            case "float":
                if not isinf(number := float(text)):
                    return number
                self._refuse(event, MalformedYaml.code, "the number is too large for a float")
            case _:
                self._refuse(event, MalformedYaml.code, "NaN and infinity are no JSON numbers")
        return None

    def _whole(self, event: Any, digits: str, base: int, longest: int) -> int:
        if len(digits) <= longest and abs(number := int(digits, base)) <= MAX_WHOLE:
            return number
        self._refuse(event, InvalidInput.code, "the whole number lies beyond ±2^63")
        return 0

    def _path(self) -> tuple[str | int, ...]:
        """Return where the next value goes; of a key that is yet to come, its mapping."""
        last = len(self._frames) - 1
        parts: list[str | int] = []
        for number, frame in enumerate(self._frames):
            if isinstance(frame.items, list):
                parts.append(len(frame.items) - (number < last))
            elif isinstance(frame.key, str):
                parts.append(frame.key)
        return tuple(parts)

    def _refuse_tag(self, event: Any) -> None:
        shown = f"!!{event.tag.removeprefix(_CORE)}" if event.tag.startswith(_CORE) else event.tag
        self._refuse(
            event, YamlTag.code, f"the tag {quoted(shown)} is not of the core schema; leave it out, or quote the text"
        )

    def _refuse(self, event: Any, code: str, detail: str, *key: str) -> None:
        mark = event.start_mark
        place = pointer(*self._path(), *key)
        self._problems.append(Problem(place, code, detail, mark.line + 1, mark.column + 1))
        if len(self._problems) >= _PROBLEMS_LIMIT:
            self._fail()

    def _stop_too_deep(self, event: Any) -> NoReturn:
        detail = f"nested more than {self._max_depth:,} deep"
        self._stop(event, TooDeep.code, detail, limit=self._max_depth)

    def _stop(self, event: Any, code: str, detail: str, **facts: object) -> NoReturn:
        self._refuse(event, code, detail)
        self._fail(code, **facts)

    def _fail(self, code: str | None = None, **facts: object) -> NoReturn:
        """Raise what is worst: what cannot be read comes before what is wrong."""
        found = [_ERRORS[problem.code] for problem in self._problems]
        if code is not None:
            raise _error(_ERRORS[code], self._problems, **facts)
        raise _error(next((kind for kind in found if issubclass(kind, MalformedInput)), found[0]), self._problems)
