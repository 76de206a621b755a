"""Freezing values: what is converted, what is refused and where."""

import datetime as dt
import json
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, IntEnum
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings, strategies as st
from pydantic import BaseModel

from graphwire.errors import StateNotSerializable
from graphwire.values import DELETE, freeze, freeze_update, json_equal, thaw


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


@dataclass
class Point:
    x: int
    tags: tuple[str, ...]


class Person(BaseModel):
    name: str
    born: dt.date


class Reading(msgspec.Struct, rename="camel", tag="reading"):
    sensor_id: int


class Text(str):
    __slots__ = ()


class Broken(Mapping[str, Any]):
    def __getitem__(self, key: str) -> Any:
        raise OSError("gone")

    def __iter__(self) -> Iterator[str]:
        return iter(["a"])

    def __len__(self) -> int:
        return 1


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


def circular() -> list[Any]:
    value: list[Any] = [1]
    value.append({"again": value})
    return value


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text(), inner, max_size=20),
    max_leaves=30,
)


@given(value=json_values)
@settings(deadline=None)
def test_a_json_value_is_thawed_as_it_was_frozen(value: Any) -> None:
    frozen = freeze(value)

    assert thaw(frozen) == value
    assert json.loads(frozen) == value


@pytest.mark.bad_input(89)
@pytest.mark.parametrize(
    ("value", "frozen"),
    [
        ((1, [2], (3,)), b"[1,[2],[3]]"),
        (OrderedDict(a=1), b'{"a":1}'),
        (Colour.RED, b'"red"'),
        ({Colour.RED: Level.HIGH}, b'{"red":3}'),
        (Text("t"), b'"t"'),
        (Decimal("1.50"), b'"1.50"'),
        (UUID(int=1), b'"00000000-0000-0000-0000-000000000001"'),
        (dt.date(2024, 2, 29), b'"2024-02-29"'),
        (dt.time(1, 2, 3), b'"01:02:03"'),
        (dt.datetime(2024, 2, 29, 1, tzinfo=dt.UTC), b'"2024-02-29T01:00:00+00:00"'),
        (Point(1, ("a",)), b'{"x":1,"tags":["a"]}'),
        (Person(name="Ann", born=dt.date(2000, 1, 2)), b'{"name":"Ann","born":"2000-01-02"}'),
        (Reading(7), b'{"type":"reading","sensorId":7}'),
        (2**63, b"9223372036854775808"),
    ],
)
def test_a_value_with_a_documented_conversion_is_converted(value: object, frozen: bytes) -> None:
    assert freeze(value) == frozen


@pytest.mark.bad_input(89)
@pytest.mark.parametrize(
    ("value", "path"),
    [
        (float("nan"), ""),
        ({"a": [0, float("inf")]}, "/a/1"),
        ([Decimal("NaN")], "/0"),
        ({"a": b"raw"}, "/a"),
        ([bytearray(b"")], "/0"),
        ({"a": {1}}, "/a"),
        ([frozenset[int]()], "/0"),
        ({"a": {"b/c~": object()}}, "/a/b~1c~0"),
        ([object], "/0"),
        ([Point], "/0"),
        (dt.timedelta(1), ""),
        (range(3), ""),
        (2**63 + 1, ""),
        ([-(2**63) - 1], "/0"),
        ([1] * 20 + [2**70], "/20"),
        ([1.0] * 20 + [float("nan")], "/20"),
        ({"a": "\ud800"}, "/a"),
        ({"a": {"\ud800": 1}}, "/a"),
        ({"a": {1: 2}}, "/a"),
        ({"a": [DELETE]}, "/a/0"),
        (Point(1, (b"x",)), "/tags/0"),  # type: ignore[arg-type]  # the wrong type is the point
        ({"a": Broken()}, "/a"),
        (circular(), "/1/again"),
        (nested(101), "/0" * 100),
        (nested(1_000_000), "/0" * 100),
        ([(nested(99),)], "/0" * 100),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_is_not_json_is_refused_with_its_path(value: object, path: str) -> None:
    with pytest.raises(StateNotSerializable) as caught:
        freeze(value)

    assert caught.value.facts["path"] == path
    assert caught.value.detail.startswith(f"the value at {path} " if path else "the value ")


def test_a_hundred_levels_are_allowed() -> None:
    assert freeze(nested(100)) == b"[" * 100 + b"]" * 100


def test_the_same_part_twice_is_no_cycle() -> None:
    part = (1,)

    assert freeze([part, part]) == b"[[1],[1]]"


@pytest.mark.bad_input(89)
def test_an_error_about_a_strange_key_can_be_shown() -> None:
    with pytest.raises(StateNotSerializable) as caught:
        freeze({"\u202e": {"\ud800": object()}})

    assert caught.value.detail.encode()
    assert str(caught.value.facts["path"]).encode()


@pytest.mark.bad_input(91)
def test_what_is_frozen_does_not_change_with_the_value() -> None:
    value = {"a": [1]}
    update = freeze_update(value)

    value["a"].append(2)

    assert update == {"a": b"[1]"}


@pytest.mark.bad_input(91)
def test_whoever_thaws_has_a_copy_of_its_own() -> None:
    frozen = freeze([1])

    thaw(frozen).append(2)

    assert thaw(frozen) == [1]


def test_an_update_is_frozen_key_by_key() -> None:
    assert freeze_update({"a": 1, "b": [{"c": None}], "ä": "x", "d": DELETE}) == {
        "a": b"1",
        "b": b'[{"c":null}]',
        "ä": b'"x"',
        "d": DELETE,
    }


def test_any_mapping_is_an_update() -> None:
    assert freeze_update(OrderedDict(a=(1,))) == {"a": b"[1]"}


@pytest.mark.bad_input(89)
@pytest.mark.parametrize(
    ("update", "path"),
    [
        ({"a/b": [1, {2}]}, "/a~1b/1"),
        ({"a": 1, 2: 3}, ""),
        ({"\ud800": 1}, ""),
        (Broken(), ""),
        ({"a": {"b": DELETE}}, "/a/b"),
    ],
)
def test_an_update_that_is_not_json_is_refused_with_the_path_from_the_root(update: Any, path: str) -> None:
    with pytest.raises(StateNotSerializable) as caught:
        freeze_update(update)

    assert caught.value.facts["path"] == path


@pytest.mark.parametrize(
    ("one", "other", "are_equal"),
    [
        (b"1", b"1.0", True),
        (b"1", b"true", False),
        (b"0", b"false", False),
        (b"[1]", b"[true]", False),
        (b'{"a":1,"b":[2]}', b'{"b":[2.0],"a":1}', True),
        (b"[1,2]", b"[2,1]", False),
        (b"[]", b"{}", False),
        (b"null", b"false", False),
        (b'"1"', b"1", False),
        (b"9007199254740993", b"9007199254740992.0", False),
    ],
)
def test_equality_is_that_of_json(one: bytes, other: bytes, are_equal: bool) -> None:
    assert json_equal(one, other) is are_equal
    assert json_equal(other, one) is are_equal
