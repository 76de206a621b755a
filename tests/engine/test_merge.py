"""Merges against the rules written down literally, and one by one."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings, strategies as st

from graphwire.engine.merge import Merged, Policies, Side, merge
from graphwire.engine.reducers import Reducers
from graphwire.engine.state import State
from graphwire.errors import MergeConflict, ReducerError
from graphwire.types import ConflictPolicy
from graphwire.values import DELETE, freeze, freeze_update
from tests.engine import merge_model as model

REDUCERS = {"log": "append", "sum": "add", "all": "union"}
START: dict[str, Any] = {"x": 0, "sum": 5}
NO_POLICIES = Policies({}, None, None)

plain_values = st.sampled_from([1, 1.0, True, 2, {"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": {"c": 1}}, [1], DELETE])
updates = st.fixed_dictionaries(
    {},
    optional={
        "x": plain_values,
        "y": plain_values,
        "log": st.sampled_from([1, "two", DELETE]),
        "sum": st.sampled_from([1, 2, DELETE]),
        "all": st.sampled_from([[1], [1.0, 2], [True]]),
    },
)
positions = st.integers(0, 9)
moves = st.one_of(
    st.tuples(st.just("commit"), positions, updates),
    st.tuples(st.just("merge"), st.lists(positions, min_size=2, max_size=4)),
    st.tuples(st.just("alone"), positions, updates),
)


def side(state: State, node: str = "n") -> Side:
    return Side(state, node)


def merged(
    *states: State, policy: ConflictPolicy | None = None, reducers: dict[str, Any] | None = None, write: str = "join"
) -> Merged:
    sides = [Side(state, f"n{index}") for index, state in enumerate(states)]
    return merge(sides, write=write, policies=Policies({}, None, policy), reducers=Reducers(reducers or {}))


def wrote(state: State, write: str, reducers: dict[str, Any] | None = None, **update: Any) -> State:
    return state.commit(freeze_update(update), write, Reducers(reducers or {}), alone=False)


def start(**values: Any) -> State:
    return State.initial({key: freeze(value) for key, value in values.items()})


@given(
    script=st.lists(moves, max_size=14),
    policies=st.builds(
        Policies,
        st.dictionaries(st.sampled_from("xy"), st.sampled_from(["first_write_wins", "merge"])),
        st.sampled_from([None, "merge"]),
        st.sampled_from([None, "first_write_wins", "last_write_wins"]),
    ),
)
@example(  # two joins met equal values in different orders, and then each other
    script=[
        ("commit", 0, {"x": 1}),
        ("commit", 0, {"x": 1.0}),
        ("merge", [1, 2]),
        ("merge", [2, 1]),
        ("merge", [3, 4]),
        ("merge", [4, 3]),
    ],
    policies=NO_POLICIES,
)
@settings(deadline=None, max_examples=100)
def test_states_hold_what_the_literal_rules_say_however_they_were_reached(
    script: Sequence[tuple[Any, ...]], policies: Policies
) -> None:
    reducers = Reducers(REDUCERS)
    states = [State.initial({key: freeze(value) for key, value in START.items()})]
    models = [model.ModelState(dict(START))]

    for number, (move, where, *rest) in enumerate(script):
        write = f"w{number}"
        if move == "merge":
            chosen = [at % len(states) for at in where]
            sides = [Side(states[at], f"n{position}") for position, at in enumerate(chosen)]
            outcome = merge(sides, write=write, policies=policies, reducers=reducers)
            expected, conflicts = model.merge(
                START, [(models[at], f"n{position}") for position, at in enumerate(chosen)], write, policies, REDUCERS
            )
            assert outcome.conflicts == conflicts
            states.append(outcome.state)
            models.append(expected)
        else:
            at = where % len(states)
            alone = move == "alone"
            committed = states[at].commit(freeze_update(rest[0]), write, reducers, alone=alone)
            expected = model.commit(models[at], rest[0], write, REDUCERS)
            if alone:
                states, models = [], []
            states.append(committed)
            models.append(expected)
        assert states[-1].to_json() == model.whole(models[-1])
        assert states[-1].size == max(1, len(states[-1].to_json()) - (states[-1].to_json() == b"{}"))


def test_a_write_that_only_one_side_made_wins_over_what_the_other_inherited() -> None:
    begin = start(x=1)

    assert merged(wrote(begin, "a", x=2), begin).state.get("x") == b"2"
    assert merged(begin, wrote(begin, "a", x=2)).state.get("x") == b"2"


def test_a_stale_value_never_wins_over_a_later_one_in_another_sides_past() -> None:
    first = wrote(start(), "a", x=1)
    later = wrote(first, "b", x=2)

    outcome = merged(later, wrote(first, "c", y=0))

    assert outcome.state.get("x") == b"2"
    assert outcome.conflicts == []


def test_a_deletion_is_a_write_like_any_other() -> None:
    begin = start(x=1)

    assert merged(begin, wrote(begin, "a", x=DELETE)).state.get("x") is None
    assert merged(wrote(begin, "a", x=DELETE), wrote(begin, "b", x=DELETE)).conflicts == []
    [conflict] = merged(wrote(begin, "a", x=2), wrote(begin, "b", x=DELETE)).conflicts
    assert (conflict.values, conflict.value) == ([b"2", None], None)


@pytest.mark.parametrize(("one", "other"), [(1, 1.0), ({"a": 1, "b": 2}, {"b": 2, "a": 1})])
def test_values_that_are_equal_as_json_do_not_conflict(one: object, other: object) -> None:
    begin = start()

    outcome = merged(wrote(begin, "a", x=one), wrote(begin, "b", x=other))

    assert outcome.conflicts == []
    assert outcome.state.get("x") == freeze(other)


def test_true_and_one_conflict() -> None:
    begin = start()

    assert len(merged(wrote(begin, "a", x=True), wrote(begin, "b", x=1)).conflicts) == 1


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (None, b'{"b":{"d":2}}'),
        ("last_write_wins", b'{"b":{"d":2}}'),
        ("first_write_wins", b'{"a":1,"b":{"c":1}}'),
        ("merge", b'{"a":1,"b":{"c":1,"d":2}}'),
    ],
)
def test_a_policy_decides_between_different_values(policy: ConflictPolicy | None, expected: bytes) -> None:
    begin = start()

    outcome = merged(wrote(begin, "a", x={"a": 1, "b": {"c": 1}}), wrote(begin, "b", x={"b": {"d": 2}}), policy=policy)

    assert outcome.state.get("x") == expected
    [conflict] = outcome.conflicts
    assert (conflict.key, conflict.nodes, conflict.value) == ("x", ["n0", "n1"], expected)


def test_the_keys_policy_comes_before_the_nodes_and_that_before_the_graphs() -> None:
    assert Policies({"x": "merge"}, "fail", "first_write_wins").of("x") == "merge"
    assert Policies({"x": "merge"}, "fail", "first_write_wins").of("y") == "fail"
    assert Policies({}, None, "first_write_wins").of("y") == "first_write_wins"
    assert NO_POLICIES.of("y") == "last_write_wins"


@pytest.mark.capability("STA-06")
def test_the_policy_fail_names_the_key_the_nodes_and_the_values() -> None:
    begin = start()

    with pytest.raises(MergeConflict) as caught:
        merged(wrote(begin, "a", x=1), wrote(begin, "b", x=2), policy="fail")

    assert caught.value.facts == {"key": "x", "nodes": ["n0", "n1"], "values": [1, 2]}


def test_the_outcome_of_a_conflict_wins_over_the_writes_that_it_settled() -> None:
    begin = start()
    one, other = wrote(begin, "a", x=1), wrote(begin, "b", x=2)
    settled = merged(one, other, policy="first_write_wins").state

    again = merged(settled, other, write="later")

    assert again.state.get("x") == b"1"
    assert again.conflicts == []


def test_an_operation_that_several_sides_have_seen_is_folded_once() -> None:
    reducers = {"log": "append"}
    first = wrote(start(), "a", reducers, log="a")
    one, other = wrote(first, "b", reducers, log="b"), wrote(first, "c", reducers, log="c")

    meeting = merged(one, other, reducers=reducers).state

    assert meeting.get("log") == b'["a","b","c"]'
    assert merged(other, meeting, one, reducers=reducers).state.get("log") == b'["a","c","b"]'


def test_a_side_that_went_on_from_another_is_taken_without_calling_its_reducer() -> None:
    calls: list[tuple[Any, Any]] = []

    def total(old: int, new: int) -> int:
        calls.append((old, new))
        return old + new

    reducers = {"n": total}
    first = wrote(start(n=1), "a", reducers, n=2)
    later = wrote(first, "b", reducers, n=3)
    calls.clear()

    assert merged(first, later, reducers=reducers).state.get("n") == b"6"
    assert calls == []


def test_a_repeated_merge_takes_what_functions_made_of_their_keys() -> None:
    def broken(old: int, new: int) -> int:
        raise AssertionError

    begin = start(n=1)
    folding = {"n": lambda old, new: old + new}
    one, other = wrote(begin, "a", folding, n=2), wrote(begin, "b", folding, n=3)
    done = merged(one, other, reducers=folding)

    again = merge(
        [side(one), side(other)],
        write="join",
        policies=NO_POLICIES,
        reducers=Reducers({"n": broken}),
        folded=done.folded,
    )

    assert done.folded == {"n": b"6"}
    assert again.state.get("n") == b"6"
    assert again.folded == {"n": b"6"}


def test_operations_that_do_not_fit_each_other_are_an_error_of_the_key() -> None:
    begin = start()
    reducers = {"n": "add"}

    with pytest.raises(ReducerError, match='key "n" cannot add text and numbers'):
        merged(wrote(begin, "a", reducers, n=1), wrote(begin, "b", reducers, n="1"), reducers=reducers)


def test_states_of_different_scopes_are_refused() -> None:
    with pytest.raises(ValueError, match="different scopes"):
        merged(wrote(start(), "a", x=1), wrote(start(), "b", x=2))


def test_one_side_or_the_same_state_twice_is_returned_as_it_is() -> None:
    state = wrote(start(), "a", x=1)

    assert merged(state).state is state
    assert merged(state, state).state is state


@given(order=st.permutations(range(4)))
@settings(deadline=None, max_examples=24)
def test_writes_to_different_keys_and_sums_do_not_depend_on_the_order_of_the_sides(order: list[int]) -> None:
    begin = start(sum=1)
    reducers = {"sum": "add"}
    branches = [wrote(begin, f"w{n}", reducers, **{f"k{n}": n, "sum": n}) for n in range(4)]

    state = merged(*(branches[n] for n in order), reducers=reducers).state

    assert state.to_json() == b'{"k0":0,"k1":1,"k2":2,"k3":3,"sum":7}'


def test_a_join_of_many_branches_holds_what_each_wrote() -> None:
    begin = start()
    branches = [wrote(begin, f"w{n}", {"log": "append"}, **{f"k{n:03}": n, "log": n}) for n in range(300)]

    state = merged(*branches, reducers={"log": "append"}).state

    assert list(state.keys()) == [*(f"k{n:03}" for n in range(300)), "log"]
    assert state.get("log") == freeze(list(range(300)))
