"""Reads the ``data`` of an event that somebody else made: every problem at once, each with its place."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

from msgspec import NODEFAULT, Raw, Struct, UnsetType, ValidationError, convert
from msgspec.structs import fields

from graphwire.errors import GraphwireError, Problem, quoted
from graphwire.events.types import EventData
from graphwire.json_text import pointer
from graphwire.near_names import NearNames
from graphwire.values import freeze

LEAST: Final[Mapping[str, int]] = {"attempt": 1, "duration_ms": 0, "steps": 0, "bytes": 0, "count": 0}
"""The smallest value of these fields."""
MOST: Final = 2**63 - 1
_PLACE: Final = re.compile(r" - at `\$(?P<place>.*)`$")
_INDEX: Final = re.compile(r"\[(\d+)\]")


def read_data(kind: type[EventData], given: Mapping[str, Any], *, at: str) -> tuple[EventData | None, list[Problem]]:
    """Return the data of an event of this kind, or what is wrong with it.

    Args:
        given: JSON values by name; no other names than those of the kind's fields are taken.
        at: The pointer of the value; those of the problems begin with it.
    """
    problems: list[Problem] = []
    read = _struct(kind, given, at, problems)
    return (None, problems) if problems else (read, problems)


def _struct(kind: type[Struct], given: Mapping[str, Any], at: str, problems: list[Problem]) -> Any:
    known = _fields(kind)
    near = NearNames()
    for name in given:
        if name not in known:
            detail = f"there is no field {quoted(name)}{near(name, known)}"
            problems.append(Problem(at + pointer(name), "unknown_field", detail))
    values: dict[str, Any] = {}
    for name, (attribute, shape, is_required) in known.items():
        if name in given:
            values[attribute] = _value(shape, given[name], name, at + pointer(name), problems)
        elif is_required:
            problems.append(Problem(at + pointer(name), "missing_field", f"the field {quoted(name)} is missing"))
    return None if problems else kind(**values)


def _value(shape: Any, value: Any, name: str, at: str, problems: list[Problem]) -> Any:
    if shape is Raw:
        return _raw(value, at, problems)
    if shape == list[Raw] and isinstance(value, list):
        return [_raw(each, at + pointer(index), problems) for index, each in enumerate(value)]
    if isinstance(shape, type) and issubclass(shape, Struct) and isinstance(value, dict):
        return _struct(shape, value, at, problems)
    try:
        read = convert(value, type=shape)
    except ValidationError as error:
        text = str(error)
        found = _PLACE.search(text)
        inside = pointer(*map(int, _INDEX.findall(found["place"]))) if found else ""
        problems.append(Problem(at + inside, "invalid_value", _PLACE.sub("", text)))
        return None
    if name in LEAST and not LEAST[name] <= read <= MOST:
        problems.append(Problem(at, "invalid_value", f"must be at least {LEAST[name]} and below 2^63"))
    return read


def _raw(value: Any, at: str, problems: list[Problem]) -> Raw:
    try:
        return Raw(freeze(value))
    except GraphwireError as error:
        problems.append(Problem(at, "invalid_value", error.detail))
        return Raw(b"null")


@cache
def _fields(kind: type[Struct]) -> Mapping[str, tuple[str, Any, bool]]:
    """Return by name on the wire: the attribute, its plain type, and whether it must be given."""
    return {
        field.encode_name: (
            field.name,
            _plain(field.type),
            field.default is NODEFAULT and field.default_factory is NODEFAULT,
        )
        for field in fields(kind)
    }


def _plain(shape: Any) -> Any:
    """Return a type without descriptions, and without what stands for a member that is absent."""
    if get_origin(shape) is Annotated:
        return _plain(get_args(shape)[0])
    if get_origin(shape) in (Union, UnionType):
        members = tuple(_members(shape))
        return members[0] if len(members) == 1 else Union[members]  # noqa: UP007  # made from a tuple
    return shape


def _members(shape: Any) -> Iterator[Any]:
    return (_plain(member) for member in get_args(shape) if member is not UnsetType)
