"""What is taken of the reports of an engine elsewhere, and which attempt each event belongs to."""

from collections.abc import Iterator
from typing import Any, Never

import pytest
from hypothesis import given, strategies as st

from graphwire.engine.reported import MAX_OPEN, Course, Draft, Report
from graphwire.types import ExecutionId

NODES = ("a", "b")


class Unwalked(dict[str, Any]):
    """Finds by key alone."""

    def _refuse(self) -> Never:
        raise AssertionError("it is walked through")

    def __iter__(self) -> Iterator[str]:
        self._refuse()

    __reversed__ = __iter__

    def items(self) -> Any:
        self._refuse()

    def values(self) -> Any:
        self._refuse()


def course(**more: Any) -> Course:
    return Course(ExecutionId("0199"), 0, 0, **more)


def begun(id: str, node: str, at: str = "") -> Report:
    return Report(id, "node_started", {}, at, node_id=node)


def done(id: str, node: str) -> Report:
    return Report(id, "node_completed", {}, "", node_id=node)


def drafted(course: Course, *reports: Report) -> Draft:
    """Return a request's events, which count if nothing is wrong with them."""
    draft = Draft(course, 0)
    for report in reports:
        draft.add(report)
    if not draft.problems:
        draft.take_over()
    return draft


def test_the_open_attempt_of_a_node_is_found_without_a_walk_through_the_others() -> None:
    going = course(open=Unwalked())
    drafted(going, begun("1", "a"), begun("2", "b"), begun("3", "a"))

    draft = drafted(going, begun("4", "c"), done("5", "a"), done("6", "b"), done("7", "a"), done("8", "a"))

    assert [each.activation for each in draft.events[1:]] == [
        drafted(course(), begun(id, "x")).events[0].activation for id in ("3", "2", "1")
    ]
    assert [each.code for each in draft.problems] == ["not_started"]


@given(
    requests=st.lists(st.lists(st.tuples(st.booleans(), st.sampled_from(NODES)), max_size=6), max_size=6),
)
def test_what_names_no_attempt_belongs_to_the_newest_of_its_node_that_is_open(
    requests: list[list[tuple[bool, str]]],
) -> None:
    going = course()
    stacks: dict[str, list[str]] = {node: [] for node in NODES}
    for number, request in enumerate(requests):
        kept = {node: list(stack) for node, stack in stacks.items()}
        reports = [
            (begun if is_start else done)(f"{number}.{place}", node) for place, (is_start, node) in enumerate(request)
        ]
        draft = drafted(going, *reports)
        if draft.problems:
            continue
        for event, (is_start, node) in zip(draft.events, request, strict=True):
            assert event.activation is not None
            if is_start:
                kept[node].append(event.activation)
            else:
                assert event.activation == kept[node].pop()
        stacks = kept
        assert sorted(going.open) == sorted(stacks["a"] + stacks["b"])
        assert {node: list(found) for node, found in going.open_at.items()} == {
            node: stack for node, stack in stacks.items() if stack
        }


def test_attempts_beyond_the_bound_are_refused_until_some_are_closed() -> None:
    going = course()
    drafted(going, *(begun(f"{n}", f"n{n}") for n in range(MAX_OPEN)))

    refused = drafted(going, begun("x", "x", at="/0"), done("y", "x"))
    closed = drafted(going, done("z", "n7"), begun("x", "x"))

    assert [(each.pointer, each.code) for each in refused.problems] == [("/0", "too_many_open")]
    assert "close some first" in refused.problems[0].detail
    assert closed.problems == []
    assert len(going.open) == MAX_OPEN


@pytest.mark.parametrize("state", [[1], 3, "x", None])
def test_a_final_state_that_is_no_object_is_refused(state: Any) -> None:
    draft = drafted(course(), Report("e", "execution_completed", {"state": state}, "/4"))

    assert [(each.pointer, each.code) for each in draft.problems] == [("/4/data/state", "invalid_value")]


def test_a_final_state_may_have_any_keys() -> None:
    state = {"$ref": "a", "bytes": 3, "errors": 3}

    assert drafted(course(), Report("e", "execution_completed", {"state": state}, "")).problems == []
