import json
from typing import Any

import msgspec
from hypothesis import example, given, strategies as st

from app.transports.dialects.json_patch import changes
from graphwire.values import json_equal
from tests.json_patches import patched

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([0.0, 1.0, 1.5])
    | st.text("a~/\u2028", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("a~/", max_size=2), inner, max_size=3),
    max_leaves=8,
)
STATES = st.dictionaries(st.text("ab~/", max_size=2), VALUES, max_size=4)


def frozen(state: dict[str, Any]) -> dict[str, bytes]:
    return {key: json.dumps(value).encode() for key, value in state.items()}


def patch(old: dict[str, Any], new: dict[str, Any]) -> Any:
    return json.loads(msgspec.json.encode(changes(frozen(old), frozen(new))))


@given(old=STATES, new=STATES)
@example(old={"a": 1}, new={"a": True})
@example(old={"a": [True]}, new={"a": [1, 2]})
def test_a_patch_makes_the_new_state_of_the_old_one(old: dict[str, Any], new: dict[str, Any]) -> None:
    made = patched(old, patch(old, new))

    assert json_equal(json.dumps(made).encode(), json.dumps(new).encode())


@given(state=STATES)
def test_nothing_is_told_of_what_is_equal(state: dict[str, Any]) -> None:
    assert patch(state, json.loads(json.dumps(state))) == []


def test_only_what_changed_is_told() -> None:
    old = {"list": [1, 2], "object": {"kept": 1, "gone": 2, "in": {"x": 1}}, "value": 1, "dropped": 0}
    new = {"list": [1, 2, 3], "object": {"kept": 1, "in": {"x": 2}, "new": 4}, "value": [1], "a/b~c": None}

    assert patch(old, new) == [
        {"op": "remove", "path": "/dropped"},
        {"op": "add", "path": "/list/-", "value": 3},
        {"op": "remove", "path": "/object/gone"},
        {"op": "replace", "path": "/object/in/x", "value": 2},
        {"op": "add", "path": "/object/new", "value": 4},
        {"op": "replace", "path": "/value", "value": [1]},
        {"op": "add", "path": "/a~1b~0c", "value": None},
    ]
