"""What a reader sees, and what no filter hides."""

import pytest

from graphwire.errors import InvalidInput
from graphwire.events.filters import Filter, parse_filter

NODES = {"fetch", "price", "ship"}


def make_filter(types: set[str] | None = None, nodes: set[str] | None = None) -> Filter:
    return Filter(types=frozenset(types) if types else None, nodes=frozenset(nodes) if nodes else None)


@pytest.mark.parametrize(
    ("filter", "event_type", "node_id", "passes"),
    [
        (make_filter(), "node_started", "price", True),
        (make_filter({"node_started"}), "node_started", "price", True),
        (make_filter({"node_started"}), "node_completed", "price", False),
        (make_filter(nodes={"price"}), "node_started", "price", True),
        (make_filter(nodes={"price"}), "node_started", "ship", False),
        (make_filter(nodes={"price"}), "command_accepted", None, True),
        (make_filter({"node_started"}, {"price"}), "node_started", "ship", False),
        (make_filter({"node_started"}, {"price"}), "command_accepted", None, False),
    ],
)
def test_a_filter_shows_its_types_and_hides_only_events_of_other_nodes(
    filter: Filter, event_type: str, node_id: str | None, passes: bool
) -> None:
    assert filter.passes(event_type, node_id) is passes


@pytest.mark.parametrize(
    "event_type",
    ["execution_completed", "execution_failed", "execution_cancelled", "stream_end", "checkpoint_restored"],
)
def test_no_filter_hides_the_end_or_what_is_void(event_type: str) -> None:
    assert make_filter({"node_started"}, {"price"}).passes(event_type, None)


def test_progress_is_shown_unless_the_types_leave_it_out() -> None:
    assert make_filter(nodes={"price"}).shows_progress
    assert make_filter({"execution_progress"}).shows_progress
    assert not make_filter({"node_started"}).shows_progress


def test_values_may_be_repeated_and_separated_by_commas() -> None:
    parsed = parse_filter(["node_started, node_failed", "node_started"], ["price,ship"], known_nodes=NODES)

    assert parsed == make_filter({"node_started", "node_failed"}, {"price", "ship"})


@pytest.mark.parametrize("empty", [[], [""], [" , "]])
def test_a_filter_of_nothing_is_none(empty: list[str]) -> None:
    assert parse_filter(empty, empty, known_nodes=NODES) is None


@pytest.mark.bad_input(77)
def test_unknown_types_and_nodes_are_reported_all_at_once() -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_filter(["node_started", "node_complete"], ["shop", "\x00"], known_nodes=NODES)

    assert [(problem.pointer, problem.code, problem.detail) for problem in refused.value.problems] == [
        ("/query/types/1", "unknown_type", 'there is no type "node_complete"; did you mean "node_completed"?'),
        ("/query/nodes/0", "unknown_node", 'there is no node "shop"; did you mean "ship"?'),
        ("/query/nodes/1", "unknown_node", 'there is no node "\\u0000"'),
    ]


@pytest.mark.bad_input(77)
def test_more_types_and_nodes_than_a_filter_takes_are_refused_without_a_problem_for_each() -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_filter(["x," * 1_001], ["y"] * 1_001, known_nodes=NODES)

    assert [(problem.pointer, problem.code) for problem in refused.value.problems] == [
        ("/query/types", "too_many_items"),
        ("/query/nodes", "too_many_items"),
    ]
    assert parse_filter(["node_started"] * 1_000) == make_filter({"node_started"})


def test_nodes_are_taken_as_they_are_where_the_graph_is_not_known() -> None:
    assert parse_filter(nodes=["anything"]) == make_filter(nodes={"anything"})
