"""States: isolation, sizes, child scopes, edits, and repeating commits."""

import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from graphwire.engine.layers import Layers
from graphwire.engine.merge import Policies, Side, merge
from graphwire.engine.reducers import Grown, Operations, Reducers
from graphwire.engine.state import State
from graphwire.errors import ReducerError
from graphwire.values import DELETE, freeze, freeze_update

NONE = Reducers({})
LOG = Reducers({"log": "append"})


def start(**values: Any) -> State:
    return State.initial({key: freeze(value) for key, value in values.items()})


def wrote(state: State, write: str, reducers: Reducers = NONE, *, alone: bool = True, **update: Any) -> State:
    return state.commit(freeze_update(update), write, reducers, alone=alone)


def merged(*states: State, reducers: Reducers = NONE, write: str = "join") -> State:
    sides = [Side(state, "n") for state in states]
    return merge(sides, write=write, policies=Policies({}, None, None), reducers=reducers).state


@given(
    initial=st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 3), max_size=6),
    script=st.lists(
        st.dictionaries(
            st.integers(0, 60).map("k{}".format) | st.sampled_from("abcdef"), st.integers(0, 3) | st.none()
        ),
        max_size=30,
    ),
    fork=st.integers(0, 30),
)
@settings(deadline=None)
def test_layers_hold_what_a_dict_would_and_never_change_once_made(
    initial: dict[str, int], script: list[dict[str, int | None]], fork: int
) -> None:
    layers = Layers(initial, None, {})
    expected = dict(initial)
    kept: tuple[Layers[int], dict[str, int]] | None = None

    for number, changes in enumerate(script):
        if number == fork:
            kept = (layers, dict(expected))
        layers = layers.set(changes)
        for key, value in changes.items():
            if value is None:
                expected.pop(key, None)
            else:
                expected[key] = value
        assert all(layers.get(key) == expected.get(key) for key in changes)

    for made, held in [(layers, expected), *([kept] if kept else [])]:
        assert list(made.items()) == sorted(held.items())
        assert all(made.get(key) == value for key, value in held.items())


def test_a_key_written_to_and_deleted_in_turn_leaves_nothing_behind() -> None:
    state = start(x=1)

    for number in range(200):
        state = state.commit({f"k{number}": b"1"}, "w", NONE, alone=True)
        state = state.commit({f"k{number}": DELETE}, "w", NONE, alone=True)

    assert state.to_json() == b'{"x":1}'
    assert state.size == len(b'{"x":1}')


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("key", ["plain", "with space", 'quote"', "ümlaut", "", "\n"])
def test_the_size_is_that_of_the_json(key: str, alone: bool) -> None:
    state = start(x=1, y=[1, 2])

    for value in (1, "longer", DELETE, 5):
        state = state.commit(freeze_update({key: value, "log": 1}), "w", LOG, alone=alone)

        assert state.size == len(state.to_json())


def test_a_commit_leaves_the_state_that_it_began_with_as_it_was() -> None:
    before = start(x=1)

    after = wrote(before, "a", x=2, y=3)

    assert before.to_json() == b'{"x":1}'
    assert after.to_json() == b'{"x":2,"y":3}'


def test_a_commit_of_nothing_is_the_same_state() -> None:
    state = start(x=1)

    assert wrote(state, "a") is state
    assert wrote(state, "a", alone=False) is state


@pytest.mark.capability("STA-02")
@pytest.mark.bad_input(91)
def test_a_reader_that_changes_what_it_read_changes_nothing_for_anybody() -> None:
    state = start(x=[1])
    reader = state.view()

    reader["x"].append(2)

    assert reader["x"] == [1, 2]
    assert state.view()["x"] == [1]
    assert state.to_json() == reader.to_json() == b'{"x":[1]}'


def test_a_view_is_a_mapping_of_what_is_there() -> None:
    view = wrote(start(b=1, a=2, c=3), "w", c=DELETE).view()

    assert dict(view) == {"a": 2, "b": 1}
    assert list(view) == ["a", "b"]
    assert (len(view), "c" in view, view.get("c", "none")) == (2, False, "none")
    with pytest.raises(KeyError):
        view["c"]
    with pytest.raises(TypeError):
        view["a"] = 1  # type: ignore[index]  # that it cannot be written to is the point


def test_a_view_is_frozen_like_the_mapping_that_it_is() -> None:
    assert freeze(start(a=1, b=[2]).view()) == b'{"a":1,"b":[2]}'


def test_a_reducer_that_fails_leaves_the_state_alone() -> None:
    state = start(log=1)

    with pytest.raises(ReducerError):
        wrote(state, "a", LOG, log=2)

    assert state.to_json() == b'{"log":1}'


def test_a_chain_keeps_nothing_of_its_past() -> None:
    state = start()

    for number in range(100):
        state = wrote(state, f"w{number}", LOG, x=number, log=number)

    assert state.apart is None
    assert state.log.keys == []


def test_operations_collapse_when_one_state_is_left() -> None:
    begin = start()
    meeting = merged(
        wrote(begin, "a", LOG, alone=False, log=1), wrote(begin, "b", LOG, alone=False, log=2), reducers=LOG
    )

    left = meeting.collapsed()

    assert left.apart is None
    assert left.to_json() == meeting.to_json() == b'{"log":[1,2]}'
    again = merged(wrote(left, "a", LOG, alone=False, log=3), wrote(left, "b", LOG, alone=False, log=4), reducers=LOG)
    assert again.to_json() == b'{"log":[1,2,3,4]}'


def test_appending_neither_decodes_nor_joins_what_is_there() -> None:
    state = start(log=[0] * 1000)

    state = wrote(wrote(state, "a", LOG, log=1), "b", LOG, log=2)

    assert isinstance(state.values.get("log"), Grown)
    assert state.get("log") == freeze([*[0] * 1000, 1, 2])


def test_a_commit_repeated_from_its_delta_calls_no_function() -> None:
    def broken(old: Any, new: Any) -> Any:
        raise AssertionError

    state = start(n=1)

    again = state.commit({"n": b"2"}, "a", Reducers({"n": broken}), alone=True, folded={"n": b"3"})

    assert again.get("n") == b"3"


def test_what_was_set_by_hand_stands_in_every_branch_and_later_writes_go_on_from_there() -> None:
    begin = start(x=0)
    branches = [
        wrote(begin, "a", LOG, alone=False, x=1, log=1),
        wrote(begin, "b", LOG, alone=False, x=2, log=2),
        begin,
    ]

    edited = [branch.edited({"x": b"9", "log": b"[7]", "gone": DELETE}) for branch in branches]

    assert merged(*edited, reducers=LOG).to_json() == b'{"log":[7],"x":9}'
    edited[1] = wrote(edited[1], "c", LOG, alone=False, x=3, log=3)
    assert merged(*edited, reducers=LOG).to_json() == b'{"log":[7,3],"x":3}'
    assert merged(*reversed(edited), reducers=LOG).to_json() == b'{"log":[7,3],"x":3}'
    assert all(state.size == len(state.to_json()) for state in edited)


def test_a_child_scope_tells_what_it_wrote_and_nothing_that_it_inherited() -> None:
    opener = wrote(start(x=1, gone=1, log=[0]), "a", y=2)
    child = opener.child({"item": b"5", "index": b"0"})

    child = wrote(child, "b", LOG, x=2, gone=DELETE, log=1)
    child = wrote(child, "c", LOG, log=2)

    assert child.get("item") == b"5"
    assert child.written() == {
        "x": b"2",
        "gone": DELETE,
        "log": Operations((b"1", b"2"), b"[0,1,2]"),
    }
    assert child.written_values(LOG) == {"x": b"2", "gone": DELETE, "log": b"[1,2]"}
    assert child.size == len(child.to_json())


def test_a_child_scope_that_wrote_nothing_tells_nothing() -> None:
    assert start(x=1).child({"item": b"1"}).written() == {}


def test_the_openers_commit_folds_the_operations_of_its_scope_once_and_in_order() -> None:
    begin = start(log=[0])
    opener = wrote(begin, "a", LOG, alone=False, log=1)
    inner = opener.child({})
    branches = [wrote(inner, "b", LOG, alone=False, log=2), wrote(inner, "c", LOG, alone=False, log=3)]
    written = merged(*branches, reducers=LOG).written()

    done = opener.commit(written, "d", LOG, alone=False)
    outcome = merged(done, wrote(begin, "e", LOG, alone=False, log=4), opener, reducers=LOG)

    assert outcome.get("log") == b"[0,1,2,3,4]"


def test_operations_of_a_scope_on_a_key_without_a_reducer_outside_are_one_write() -> None:
    child = wrote(start(log=[0]).child({}), "b", LOG, log=1)

    assert start(log=[0]).commit(child.written(), "c", NONE, alone=True).get("log") == b"[0,1]"


def test_a_key_set_by_hand_is_no_longer_written_by_the_scope() -> None:
    child = wrote(start().child({}), "b", LOG, x=1, y=1, log=1)

    assert child.edited({"x": b"2", "log": b"[]"}).written() == {"y": b"1"}


def test_what_is_recorded_while_branches_are_apart_grows_with_the_writes_alone() -> None:
    reducers = Reducers({"list": "append"})

    def recorded_bytes(count: int) -> int:
        state = start(list=[]).commit({"list": b"0"}, "first", reducers, alone=False)
        tracemalloc.start()
        for number in range(count):
            state = state.commit({"list": b"1"}, f"w{number}", reducers, alone=False)
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert state.get("list") == b"[0" + b",1" * count + b"]"
        return size

    recorded_bytes(100)  # what is made once
    few, many = recorded_bytes(2_000), recorded_bytes(16_000)

    assert many < 16 * few  # eight times as much; were it quadratic, it would be 64 times
