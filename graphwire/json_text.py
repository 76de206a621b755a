"""Strict reading of JSON text (RFC 8259), as every body and every file is read."""

import json
import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from itertools import accumulate
from math import isinf
from typing import Any, Final

from graphwire.errors import DuplicateKey, InvalidInput, InvalidText, MalformedInput, Problem, TooDeep
from graphwire.line_ends import line_and_column

MAX_DEPTH: Final = 100
MAX_WHOLE: Final = 2**63

_POINTER_PART_LIMIT: Final = 300
_FAULTS_LIMIT: Final = 1_000  # so many are described, the others counted: each takes time
_BOM: Final = b"\xef\xbb\xbf"
_TOKEN: Final = re.compile(
    r'"(?:[^"\\]++|\\.)*+"?|-?(?:Infinity|[0-9]++(?:\.[0-9]++)?+(?:[eE][+-]?[0-9]++)?+)|NaN', re.DOTALL
)
_DIGITS: Final = bytes(ord("0") if byte in b"0123456789" else ord("e") if byte in b"eE" else 32 for byte in range(256))
_ESCAPED_WELL: Final = re.compile(rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_NOT_BRACKETS: Final = bytes(sorted(set(range(256)) - set(b"[]{}")))
_STEPS: Final = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")  # +1 and -1 as signed bytes


def read_json(data: bytes, *, max_depth: int = MAX_DEPTH) -> Any:
    """Return the value that a JSON text stands for.

    A byte order mark in front is dropped. Whole numbers are ``int``, others ``float``; no number is infinite, no
    text holds a lone surrogate, no object had a key twice.

    Raises:
        MalformedInput: Broken, empty, more than one value, not UTF-8, or a number that no float can hold.
        DuplicateKey: An object names a key twice.
        InvalidText: A text or a key holds a lone surrogate.
        TooDeep: Arrays and objects are nested deeper than ``max_depth``.
        InvalidInput: A whole number lies beyond ±2^63.
    """
    data = data.removeprefix(_BOM)
    text = _decode(data)
    _check_depth(data, max_depth)
    if text.strip(" \t\r\n") == "":
        raise _malformed("the text is empty; a JSON value is expected", text, 0)
    reading = _Reading(checks_numbers=_has_large_number(data))
    try:
        value = reading.decode(text)
    except json.JSONDecodeError as error:
        raise _malformed(_describe(error), text, error.pos) from None
    if reading.has_overflow:
        raise _overflow(text)
    if reading.has_faults or _has_lone_surrogate(data):
        value = _checked(value)
    return value


def pointer(*parts: str | int) -> str:
    """Return the JSON Pointer (RFC 6901) made of these parts.

    Safe to show for any keys: what cannot be printed is escaped as ``\\uXXXX``, and a part is cut at 300
    characters, so only keys that nobody should use make it inexact.
    """
    return "".join(f"/{_pointer_part(part)}" for part in parts)


def _pointer_part(part: str | int) -> str:
    text = str(part)
    if len(text) > _POINTER_PART_LIMIT:
        text = text[:_POINTER_PART_LIMIT] + "…"
    if not text.isprintable():
        text = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)
    return text.replace("~", "~0").replace("/", "~1")


def _decode(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start].decode()
        raise _malformed("the text is not UTF-8", before, len(before)) from None


def _has_large_number(data: bytes) -> bool:
    """Whether a number might be beyond ±2^63 or any float; says so too often, but never too seldom."""
    digits = data.translate(_DIGITS, b"+")
    return b"0" * 19 in digits or b"0e00" in digits


def _has_lone_surrogate(data: bytes) -> bool:
    if _SURROGATE.search(data) is None:
        return False
    return _SURROGATE.search(_ESCAPED_WELL.sub(b" ", data)) is not None


def _check_depth(data: bytes, max_depth: int) -> None:
    if data.count(b"[") + data.count(b"{") <= max_depth:
        return
    # Without the escapes every quote begins or ends a text, so every second piece lies outside of them.
    pieces = data.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
    steps = b"".join(pieces[::2]).translate(_STEPS, _NOT_BRACKETS)
    depth = max(accumulate(array("b", steps)), default=0)
    if depth > max_depth:
        raise TooDeep(f"nested {depth:,} deep; the limit is {max_depth:,}", limit=max_depth)


class _Doubled(dict[str, Any]):
    """An object that named a key twice.

    Attributes:
        key: The first of them; None where there are so many such objects that nobody looked.
    """

    key: str | None = None

    def find_key(self, pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        self.key = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]  # add returns None


class _Beyond:
    """A whole number beyond ±2^63, never converted."""

    __slots__ = ()


class _Reading:
    """One run of the C decoder. Its hooks leave marks in the value; they cannot know where they are."""

    def __init__(self, *, checks_numbers: bool) -> None:
        self._faults = 0
        self.has_overflow = False
        parse_int: Callable[[str], Any] | None = self._whole if checks_numbers else None
        parse_float: Callable[[str], float] | None = self._fraction if checks_numbers else None
        self.decode: Callable[[str], Any] = json.JSONDecoder(
            object_pairs_hook=self._object,
            parse_int=parse_int,
            parse_float=parse_float,
            parse_constant=self._constant,
        ).decode

    @property
    def has_faults(self) -> bool:
        return self._faults > 0

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) == len(pairs):
            return made
        self._faults += 1
        doubled = _Doubled(made)
        if self._faults <= _FAULTS_LIMIT:
            doubled.find_key(pairs)
        return doubled

    def _whole(self, digits: str) -> Any:
        # 20 characters hold every number up to 2^63 with its sign; int() of more is quadratic in their count.
        if len(digits) <= 20 and abs(number := int(digits)) <= MAX_WHOLE:
            return number
        self._faults += 1
        return _Beyond()

    def _fraction(self, digits: str) -> float:
        number = float(digits)
        self.has_overflow = self.has_overflow or isinf(number)
        return number

    def _constant(self, _name: str) -> float:
        self.has_overflow = True
        return 0.0


def _checked(value: Any) -> Any:
    problems: defaultdict[type, list[Problem]] = defaultdict(list)
    counts: Counter[type] = Counter()
    for place, found in _faults(value):
        kind = type(found)
        counts[kind] += 1
        if counts[kind] > _FAULTS_LIMIT:
            continue
        match found:
            case _Doubled():
                where = place if found.key is None else (*place, found.key)
                problem = Problem(pointer(*where), "duplicate_key", "the key is there twice")
            case _Beyond():
                problem = Problem(pointer(*place), "invalid_request", "the whole number lies beyond ±2^63")
            case _:
                problem = Problem(pointer(*place), "invalid_text", "holds a lone surrogate")
        problems[kind].append(problem)
    for kind, error, detail in (
        (str, InvalidText, "a text holds a lone surrogate, which is no character"),
        (_Doubled, DuplicateKey, "an object names a key twice"),
        (_Beyond, InvalidInput, "whole numbers are limited to ±2^63"),
    ):
        if counts[kind]:
            raise error(detail, problems[kind], left_out=counts[kind] - len(problems[kind]))
    return value


def _faults(value: Any) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Give every fault with its place, in document order."""
    levels: list[Iterator[tuple[str | int | None, Any]]] = [iter([(None, value)])]
    keys: list[str | int | None] = []

    def place(key: str | int | None) -> tuple[str | int, ...]:
        return tuple(part for part in (*keys, key) if part is not None)

    while levels:
        for key, item in levels[-1]:
            if type(key) is str and not _is_text(key):
                yield place(key), key
            kind = type(item)
            if kind is _Beyond or kind is _Doubled or (kind is str and not _is_text(item)):
                yield place(key), item
            if kind is dict or kind is list or kind is _Doubled:
                keys.append(key)
                levels.append(iter(enumerate(item)) if kind is list else iter(item.items()))
                break
        else:
            levels.pop()
            if keys:
                keys.pop()


def _is_text(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _overflow(text: str) -> MalformedInput:
    for token in _TOKEN.finditer(text):
        literal = token[0]
        if literal[0] == '"':
            continue
        if literal[-1] in "Ny":
            return _malformed("NaN and Infinity are no JSON numbers", text, token.start())
        if isinf(float(literal)):
            return _malformed("the number is too large for a float", text, token.start())
    raise AssertionError("a number that is too large was read, so it is there")


def _describe(error: json.JSONDecodeError) -> str:
    if error.msg == "Extra data":
        return "there is text after the value; one JSON value is expected"
    return f"{error.msg[0].lower()}{error.msg[1:]}".removesuffix(" at")


def _malformed(detail: str, text: str, position: int) -> MalformedInput:
    line, column = line_and_column(text, position)
    problem = Problem("", MalformedInput.code, detail, line=line, column=column)
    return MalformedInput(f"line {line}, column {column}: {detail}", [problem])
