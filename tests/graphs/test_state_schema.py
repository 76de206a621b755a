"""The schema of a graph's state."""

from typing import Any

import pytest

from graphwire.errors import GraphInvalid
from graphwire.graphs.state_schema import StateSchema
from tests.measuring import within_cpu_s


def test_everything_wrong_with_a_state_is_named_by_pointer() -> None:
    schema = StateSchema(
        {"properties": {"a": {"type": "integer"}, "b/c": {"items": {"minimum": 1}}}, "required": ["d"]}
    )

    problems = schema.problems({"a": "x", "b/c": [1, 0]}, at="/state")

    assert {problem.pointer for problem in problems} == {"/state", "/state/a", "/state/b~1c/1"}
    assert schema.problems({"a": 1, "d": None}) == []


def test_a_problem_does_not_repeat_the_state() -> None:
    (problem,) = StateSchema({"properties": {"a": {"type": "integer"}}}).problems({"a": "secret\u202e"})

    assert problem.detail == "the value is not of type 'integer'"


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({"type": "nonsense"}, "/type"),
        ({"properties": {"a": {"pattern": "("}}}, "/properties/a/pattern"),
        ({"$ref": "http://127.0.0.1:9/schema"}, ""),
        ({"$ref": "file:///etc/hostname"}, ""),
        ({"$ref": "#/nowhere"}, ""),
        ({"$schema": "http://example.test/own"}, ""),
    ],
)
def test_what_is_no_schema_or_refers_outside_is_refused(schema: dict[str, Any], place: str) -> None:
    with pytest.raises(GraphInvalid) as caught:
        StateSchema(schema)

    assert [(problem.pointer, problem.code) for problem in caught.value.problems] == [(place, "schema_invalid")]


def test_a_pattern_takes_linear_time() -> None:
    schema = StateSchema({"properties": {"a": {"pattern": "^(a+)+$"}}})

    assert len(within_cpu_s(1, lambda: schema.problems({"a": "a" * 50_000 + "!"}))) == 1


@pytest.mark.parametrize(
    ("schema", "keys"),
    [
        ({"properties": {"a": {}, "b": {}}}, {"a", "b"}),
        ({"properties": {"a": {}}, "additionalProperties": False}, {"a"}),
        ({"properties": {"a": {}}, "additionalProperties": True}, None),
        ({"properties": {"a": {}}, "patternProperties": {"^x": {}}}, None),
        ({"properties": {"a": {}}, "allOf": [{}]}, None),
        ({"type": "object"}, None),
    ],
)
def test_keys_are_known_where_the_schema_names_them_and_leaves_nothing_open(schema: Any, keys: set[str] | None) -> None:
    assert StateSchema(schema).keys == keys
