"""What is odd about a graph that runs."""

from typing import Any

import pytest
from hypothesis import given, strategies as st

from graphwire.graphs.validation import validate
from tests.graphs.samples import REGISTRY, make_graph


def warnings_of(nodes: list[Any], edges: list[Any], **fields: Any) -> dict[str, str]:
    """Return the warnings' codes by their pointers."""
    findings = validate(make_graph(nodes, edges, **fields), REGISTRY)
    assert findings.problems == ()
    return {warning.pointer: warning.code for warning in findings.warnings}


@pytest.mark.bad_input(25)
def test_a_node_that_no_entry_reaches_is_a_warning() -> None:
    assert warnings_of(["a", "b", "c"], ["b>c", "c>b"]) == {
        "/nodes/1": "unreachable_node",
        "/nodes/2": "unreachable_node",
    }


def test_a_target_of_goto_is_reached() -> None:
    assert warnings_of([{"id": "a", "goto": ["b"]}, "b"], []) == {}


def test_two_joins_on_one_cycle_that_are_both_entered_from_outside_are_a_warning() -> None:
    edges = ["start>a", "start>b", "a>b", "b>a"]

    assert warnings_of(["start", "a", "b"], edges) == {"/nodes/1": "joins_wait_on_one_another"}


def test_a_loop_with_one_head_is_none() -> None:
    assert warnings_of(["start", "a", "b"], ["start>a", "a>b", "b>a", "a>a"]) == {}


def test_a_join_any_waits_for_nobody() -> None:
    nodes = ["start", {"id": "a", "join": "any"}, {"id": "b", "join": "any"}]

    assert warnings_of(nodes, ["start>a", "start>b", "a>b", "b>a"]) == {}


def test_a_join_behind_a_join_any_is_a_warning() -> None:
    nodes = ["a", "b", {"id": "any", "join": "any"}, "after", "join"]
    edges = ["a>any", "b>any", "any>after", "after>join", "a>join"]

    assert warnings_of(nodes, edges) == {"/nodes/4/join": "join_behind_any"}


def test_a_join_of_more_inputs_than_there_are_is_a_warning() -> None:
    assert warnings_of(["a", {"id": "b", "join": 2}], ["a>b"]) == {"/nodes/1/join": "join_never_full"}


@given(
    count=st.integers(1, 7),
    pairs=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=14, unique=True),
)
def test_joins_wait_on_one_another_exactly_where_two_entered_joins_can_reach_each_other(
    count: int, pairs: list[tuple[int, int]]
) -> None:
    pairs = [(source % count, target % count) for source, target in pairs]
    pairs = list(dict.fromkeys(pairs))
    edges = [f"n{source}>n{target}" for source, target in pairs]

    found = warnings_of([f"n{n}" for n in range(count)], edges, entry=["n0"])

    reach = {(a, b) for a in range(count) for b in range(count) if _reaches(a, b, pairs)}
    same = {(a, b) for a, b in reach if (b, a) in reach}
    entered = {0} | {target for source, target in pairs if (source, target) not in same}
    looped = {target for source, target in pairs if (source, target) in same}
    joins = entered & looped
    waiting = {a for a in joins for b in joins if a != b and (a, b) in same}
    firsts = {min(b for b in waiting if (a, b) in same) for a in waiting}
    assert {f"/nodes/{n}" for n in firsts} == {
        place for place, code in found.items() if code == "joins_wait_on_one_another"
    }


def _reaches(start: int, end: int, pairs: list[tuple[int, int]]) -> bool:
    seen: set[int] = set()
    stack = [start]
    while stack:
        node = stack.pop()
        for source, target in pairs:
            if source == node and target not in seen:
                seen.add(target)
                stack.append(target)
    return end in seen
