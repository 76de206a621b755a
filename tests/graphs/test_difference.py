"""What one definition has that another has not."""

import json
from typing import Any

from hypothesis import given, strategies as st

from graphwire.graphs.definition import parse_definition
from graphwire.graphs.difference import ABSENT, Change, Difference, ItemChange, ItemsDifference, difference
from tests.graphs.samples import make_graph
from tests.measuring import within_cpu_s

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.floats(-2, 2) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=12,
)
IDS = st.lists(st.sampled_from("abcdef"), unique=True)
SETTINGS = st.dictionaries(st.sampled_from(["name", "metadata", "limits"]), VALUES)


@st.composite
def definitions(draw: st.DrawFn) -> dict[str, Any]:
    nodes = [{"id": id, "config": draw(VALUES)} for id in draw(IDS)]
    edges = [{"source": draw(IDS), "target": "a"} for _ in range(draw(st.integers(0, 3)))]
    return {"id": "g", "nodes": nodes, "edges": [{**edge, "source": "a"} for edge in edges], **draw(SETTINGS)}


def text(value: Any) -> str:
    """Return JSON, in which 1, 1.0 and true differ."""
    return json.dumps(value, sort_keys=True)


def test_nodes_edges_and_settings_are_told_apart() -> None:
    before = make_graph(["a", "b", {"id": "c", "name": "C"}], ["a>b", "b>c"], name="Old", limits={"max_steps": 5})
    after = make_graph(["a", {"id": "c", "name": "See"}, "d"], ["a>c", "b>c"], entry=["a"], limits={"max_steps": 6})

    found = difference(before.to_value(), after.to_value())

    assert [node["id"] for node in found.nodes.added] == ["d"]
    assert [node["id"] for node in found.nodes.removed] == ["b"]
    assert found.nodes.changed == (ItemChange("c", (Change("/name", "C", "See"),)),)
    assert found.edges == ItemsDifference(
        added=({"source": "a", "target": "c"},), removed=({"source": "a", "target": "b"},)
    )
    assert found.settings == (
        Change("/name", "Old", ABSENT),
        Change("/limits/max_steps", 5, 6),
        Change("/entry", ABSENT, ["a"]),
    )


def test_doubled_edges_are_known_by_their_default_ids() -> None:
    first = {"source": "a", "target": "b"}
    before = {"nodes": [], "edges": [first, {**first, "when": "true"}]}
    after = {"nodes": [], "edges": [first, {**first, "when": "false"}, {**first, "id": "third"}]}

    found = difference(before, after)

    assert found.edges.changed == (ItemChange("a>b#2", (Change("/when", "true", "false"),)),)
    assert found.edges.added == ({**first, "id": "third"},)


def test_another_order_is_a_difference() -> None:
    before, after = make_graph(["a", "b"]).to_value(), make_graph(["b", "a"]).to_value()

    found = difference(before, after)

    assert found.nodes == ItemsDifference(is_reordered=True)
    assert found


def test_values_of_two_kinds_are_two_values_and_a_null_is_not_nothing() -> None:
    before = {"metadata": {"whole": 1, "flag": 1, "null": None, "list": [1, 2], "items": [{"x": 1}], "same": [0]}}
    after = {"metadata": {"whole": 1.0, "flag": True, "list": [1], "items": [{"x": 2}], "same": [0], "new": None}}

    assert difference(before, after).settings == (
        Change("/metadata/whole", 1, 1.0),
        Change("/metadata/flag", 1, True),
        Change("/metadata/null", None, ABSENT),
        Change("/metadata/list", [1, 2], [1]),
        Change("/metadata/items/0/x", 1, 2),
        Change("/metadata/new", ABSENT, None),
    )


@given(definitions())
def test_a_definition_does_not_differ_from_itself(definition: dict[str, Any]) -> None:
    found = difference(definition, json.loads(json.dumps(definition)))

    assert found == Difference()
    assert not found


@given(definitions(), definitions())
def test_what_differs_one_way_differs_the_other_way(before: dict[str, Any], after: dict[str, Any]) -> None:
    forth, back = difference(before, after), difference(after, before)

    assert text(forth.nodes.added) == text(back.nodes.removed)
    assert text(forth.edges.removed) == text(back.edges.added)
    assert {each.pointer for each in forth.settings} == {each.pointer for each in back.settings}
    assert bool(forth) == bool(back) == (text(before) != text(after))


@given(definitions(), definitions())
def test_pointers_lead_to_what_they_say(before: dict[str, Any], after: dict[str, Any]) -> None:
    for change in difference(before, after).settings:
        first = change.pointer.split("/")[1]
        assert first in before or first in after
        assert text(before.get(first)) != text(after.get(first)) or (first in before) != (first in after)


def test_large_definitions_are_compared_at_once() -> None:
    nodes = [{"id": f"n{number}", "type": "delay", "name": str(number)} for number in range(10_000)]
    edges = [{"source": f"n{number % 10_000}", "target": f"n{number * 7 % 10_000}"} for number in range(50_000)]
    renamed = [{**node, "name": "x"} for node in reversed(nodes)]

    before, after = {"nodes": nodes, "edges": edges}, {"nodes": renamed, "edges": edges[1:]}
    found = within_cpu_s(2, lambda: difference(before, after))

    assert len(found.nodes.changed) == 10_000


def test_deep_values_are_compared_without_recursion() -> None:
    def deep(leaf: int) -> Any:
        value: Any = leaf
        for _ in range(5_000):
            value = {"x": value}
        return value

    (change,) = difference({"metadata": deep(1)}, {"metadata": deep(2)}).settings

    assert (change.before, change.after) == (1, 2)


def test_a_comparison_takes_what_the_canonical_form_leaves_out() -> None:
    value = {"id": "g", "nodes": [{"id": "a", "type": "delay", "config": {"seconds": 1}}]}

    assert not difference(parse_definition(value).to_value(), parse_definition({**value, "edges": []}).to_value())
