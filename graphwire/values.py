"""Values as JSON: frozen by encoding, so that whoever reads one has a copy of its own."""

import dataclasses
from collections.abc import Callable, Hashable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from math import isfinite
from typing import Any, Final, TypeAlias
from uuid import UUID

import msgspec
from pydantic import BaseModel

from graphwire.errors import StateNotSerializable, quoted
from graphwire.json_text import MAX_DEPTH, MAX_WHOLE, pointer


class Deleted(Enum):
    """The type of ``DELETE``."""

    DELETE = "delete"


DELETE: Final = Deleted.DELETE
"""As the value of a key in an update: the key is to be absent."""

Frozen: TypeAlias = bytes | Deleted
"""What an update holds for a key: a value as JSON, or that the key is to be absent."""

_encode: Final[Callable[[object], bytes]] = msgspec.json.Encoder().encode
_decode: Final[Callable[[bytes], Any]] = msgspec.json.Decoder().decode

_MANY: Final = 16
_HARMLESS: Final = frozenset({str, bool, type(None)})


def freeze(value: object) -> bytes:
    """Encode a value as JSON; what happens to it later has no effect on what is returned.

    Converted: tuples and lists to arrays; any ``Mapping`` with text keys, dataclasses, Pydantic models and msgspec
    structs to objects; enums to their values; dates and times to ISO 8601; UUIDs and decimals to text.

    Raises:
        StateNotSerializable: Some part is not JSON and has no such conversion (bytes and sets have none), is NaN or
            infinite, a whole number beyond ±2^63, text with lone surrogates, refers to itself, or is nested more
            than 100 deep. ``path`` is its JSON Pointer.
    """
    try:
        if _is_plain(value, MAX_DEPTH):
            return _encode(value)
    except (UnicodeEncodeError, RuntimeError):
        pass  # a surrogate, or a thread changes the value meanwhile: the walk finds the place
    try:
        return _encode(_Walk().plain(value))
    except RuntimeError as error:
        raise _refused("", "changed while it was read") from error


def freeze_update(result: Mapping[str, object]) -> dict[str, Frozen]:
    """Freeze a result that is a mapping: an update of the state, whose keys are frozen one by one.

    Raises:
        StateNotSerializable: As ``freeze``, the path counted from the root of the state; or a key is no text.
    """
    walk = _Walk()
    members = result if type(result) is dict else walk.members(result) or {}
    update: dict[str, Frozen] = {}
    for name, value in members.items():
        key = name if type(name) is str and name.isascii() else walk.name(name)
        if value is DELETE:
            update[key] = DELETE
            continue
        try:
            update[key] = freeze(value)
        except StateNotSerializable as error:
            raise _refused(pointer(key) + str(error.facts["path"]), str(error.facts["reason"])) from error
    return update


def thaw(data: bytes) -> Any:
    """Decode a frozen value to dicts, lists, text, numbers, booleans and None, all of them new."""
    return _decode(data)


def json_equal(one: bytes, other: bytes) -> bool:
    """Say whether two frozen values are equal as JSON.

    The order of members does not matter, nor does 1 or 1.0; true is not 1.
    """
    return one == other or identity(_decode(one)) == identity(_decode(other))


def identity(value: Any) -> Hashable:
    """Return what is equal, and hashes equally, for exactly those plain values that are equal as JSON."""
    kind = type(value)
    if kind is bool:
        return (bool, value)
    if kind is list:
        return (list, *map(identity, value))
    if kind is dict:
        return (dict, frozenset((key, identity(member)) for key, member in value.items()))
    scalar: Hashable = value
    return scalar


def _is_plain(value: Any, depth: int) -> bool:
    """Say whether a value is of JSON's own Python types throughout, and within the limits (surrogates apart)."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if kind is int:
        return bool(-MAX_WHOLE <= value <= MAX_WHOLE)
    if kind is float:
        return isfinite(value)
    if kind is dict:
        for name in value:
            if type(name) is not str:
                return False
        value = value.values()
    elif kind is not list:
        return False
    if depth == 0:
        return False
    if len(value) > _MANY:
        return _are_plain(value, depth - 1)
    for item in value:
        kind = type(item)
        if kind is not str and not _is_plain(item, depth - 1):
            return False
    return True


def _are_plain(values: Any, depth: int) -> bool:
    """As ``_is_plain`` for each of many values; where all are of one simple type, without a loop of its own."""
    kinds = set(map(type, values))
    if kinds <= _HARMLESS:
        return True
    if kinds == {int}:
        return bool(min(values) >= -MAX_WHOLE and max(values) <= MAX_WHOLE)
    if kinds == {float}:
        return all(map(isfinite, values))
    return all(_is_plain(value, depth) for value in values)


class _Walk:
    """Makes a value plain, part by part, and knows the place of the part that it is at."""

    __slots__ = ("_above", "_path")

    def __init__(self) -> None:
        self._path: list[str | int] = []
        self._above: list[object] = []

    def plain(self, value: Any) -> object:
        """Return the value made of JSON's own Python types."""
        match value:
            case None | bool():
                return value
            case Deleted():
                raise self.refused("is DELETE, which stands for a whole key of the state")
            case Enum():
                return self.plain(value.value)
            case str():
                return self._text(value)
            case int():
                if not -MAX_WHOLE <= value <= MAX_WHOLE:
                    raise self.refused("is a whole number beyond ±2^63")
                return int.__int__(value)
            case float() | Decimal():
                if not isfinite(value):
                    raise self.refused("is NaN or infinite")
                return float.__float__(value) if isinstance(value, float) else str(value)
            case datetime() | date() | time():
                return value.isoformat()
            case UUID():
                return str(value)
        return self._container(value)

    def name(self, name: object) -> str:
        """Return the key of a member."""
        if isinstance(name, Enum):
            name = name.value
        if not isinstance(name, str):
            raise self.refused(f"has a key of type {_type_name(name)}; keys must be text")
        return self._text(name)

    def members(self, value: object) -> Mapping[Any, object] | None:
        """Return the members of what becomes an object, or None for anything else."""
        try:
            if isinstance(value, BaseModel):
                return value.model_dump()
            if isinstance(value, Mapping):
                return dict(value.items())
            if isinstance(value, msgspec.Struct):
                return _struct_members(value)
            if dataclasses.is_dataclass(value) and not isinstance(value, type):
                return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        except Exception as error:  # border: reading these runs code of the node's author
            raise self.refused(f"could not be read ({type(error).__name__})") from error
        return None

    def refused(self, reason: str) -> StateNotSerializable:
        """Return the error for the part that the walk is at."""
        return _refused(pointer(*self._path), reason)

    def _text(self, value: str) -> str:
        text = str.__str__(value)
        try:
            text.encode()
        except UnicodeEncodeError:
            raise self.refused("is or names text with a lone surrogate") from None
        return text

    def _container(self, value: object) -> object:
        if any(value is container for container in self._above):
            raise self.refused("refers to itself")
        if len(self._above) >= MAX_DEPTH:
            raise self.refused(f"is nested more than {MAX_DEPTH} deep")
        self._above.append(value)
        plain: object
        if isinstance(value, list | tuple):
            plain = [self._part(index, item) for index, item in enumerate(value)]
        elif (members := self.members(value)) is not None:
            plain = {self.name(name): self._part(name, member) for name, member in members.items()}
        else:
            raise self.refused(f"is of type {_type_name(value)}, which JSON has no form for")
        self._above.pop()
        return plain

    def _part(self, name: Any, value: object) -> object:
        self._path.append(name)
        plain = self.plain(value)
        self._path.pop()
        return plain


def _struct_members(struct: msgspec.Struct) -> dict[str, object]:
    tag = {struct.__struct_config__.tag_field: struct.__struct_config__.tag}
    names = zip(struct.__struct_encode_fields__, struct.__struct_fields__, strict=True)
    members = {shown: getattr(struct, name) for shown, name in names}
    set_ones = {name: value for name, value in members.items() if value is not msgspec.UNSET}
    return {name: value for name, value in tag.items() if name is not None} | set_ones


def _type_name(value: object) -> str:
    return quoted(type(value).__qualname__)


def _refused(path: str, reason: str) -> StateNotSerializable:
    place = f"the value at {path}" if path else "the value"
    return StateNotSerializable(f"{place} {reason}", path=path, reason=reason)
