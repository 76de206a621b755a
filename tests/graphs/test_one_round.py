"""Problems of shape and of meaning are reported together, and the one is never mistaken for the other."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, strategies as st

from graphwire.errors import GraphInvalid
from graphwire.graphs.builder import Graph
from graphwire.graphs.code import Code
from graphwire.graphs.validation import Findings, validate
from graphwire.local import prepare
from graphwire.nodes import builtin_registry
from tests.graphs.samples import REGISTRY, make_value
from tests.measuring import within_cpu_s


def codes_of(value: Any, code: Code | None = None) -> dict[str, str]:
    """Return the problems' codes by their pointers."""
    return {problem.pointer: problem.code for problem in validate(value, REGISTRY, code=code).problems}


@pytest.mark.parametrize("key", ["", "k" * 1_025])
@pytest.mark.parametrize("member", [{}, {"a": 1}, [], [1], 1])
def test_a_key_that_cannot_be_one_is_reported_whatever_it_leads_to(key: str, member: Any) -> None:
    value = make_value(["a"], [])
    value["state"] = {"initial": {key: member, "kept": 1}}

    assert list(codes_of(value).values()) == ["invalid_value"]


def test_shape_and_meaning_are_reported_in_one_round_in_the_order_of_their_places() -> None:
    nodes: list[Any] = [
        "a",
        {"id": "a", "nmae": "x"},
        {"id": "b", "type": "nope", "join": "2"},
        {"id": "c", "timeout_s": "5", "config": {"limit": 0, "when": "1 +", "extra": 1}},
        {"id": "d", "goto": ["q", 5, "a", "a"]},
        {"id": "e", "input": {"x": 5, "y": "1 +"}},
    ]
    edges: list[Any] = ["a>z", {"source": 5, "target": "y", "when": "1 +"}, *["b>c"] * 2, *["a>b"] * 7, "a>w"]
    value = make_value(nodes, edges, entry=["x", 7], name=5, on_error="no")
    value["state"] = {"initial": [], "reducers": {"n": "sum", "m": 5}, "schema": {"type": "nonsense"}}

    findings = validate(value, REGISTRY)

    assert [(problem.pointer, problem.code) for problem in findings.problems] == [
        ("/edges/0/target", "unknown_node"),
        ("/edges/1/source", "invalid_value"),
        ("/edges/1/target", "unknown_node"),
        ("/edges/1/when", "expression_invalid"),
        ("/edges/2", "duplicate_edge"),
        ("/edges/3", "duplicate_edge"),
        *((f"/edges/{index}", "duplicate_edge") for index in range(4, 11)),
        ("/edges/11/target", "unknown_node"),
        ("/entry/0", "unknown_node"),
        ("/entry/1", "invalid_value"),
        ("/name", "invalid_value"),
        ("/nodes/0/id", "duplicate_node"),
        ("/nodes/1/id", "duplicate_node"),
        ("/nodes/1/nmae", "unknown_field"),
        ("/nodes/2/join", "invalid_value"),
        ("/nodes/2/type", "unknown_node_type"),
        ("/nodes/3/config/extra", "unknown_field"),
        ("/nodes/3/config/limit", "invalid_value"),
        ("/nodes/3/config/when", "expression_invalid"),
        ("/nodes/3/timeout_s", "invalid_value"),
        ("/nodes/4/goto/0", "unknown_node"),
        ("/nodes/4/goto/1", "invalid_value"),
        ("/nodes/4/goto/3", "duplicate_node"),
        ("/nodes/5/input", "input_refused"),
        ("/nodes/5/input/x", "invalid_value"),
        ("/nodes/5/input/y", "expression_invalid"),
        ("/on_error", "invalid_value"),
        ("/state/initial", "invalid_value"),
        ("/state/reducers/m", "invalid_value"),
        ("/state/reducers/n", "unknown_reducer"),
        ("/state/schema/type", "schema_invalid"),
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"nodes": 5}, {"/nodes"}),
        ({"nodes": []}, {"/nodes"}),
        ({"nodes": [5, {"id": "a", "type": "plain"}]}, {"/nodes/0"}),
        ({"nodes": [{"type": "plain"}, {"id": "a", "type": "plain"}]}, {"/nodes/0/id"}),
        ({"nodes": [{"id": 5, "type": "plain"}]}, {"/nodes/0/id"}),
        ({"nodes": [{"id": "x y", "type": "plain"}]}, {"/nodes/0/id", "/edges/0/source", "/edges/0/target"}),
        ({"nodes": [{"id": "a"}, {"id": "b", "type": "plain"}]}, {"/nodes/0/type"}),
        ({"nodes": [{"id": "a", "type": 5}, {"id": "b", "type": "plain"}]}, {"/nodes/0/type"}),
        ({"nodes": [{"id": "a", "type": "plain", "config": 5}, {"id": "b", "type": "plain"}]}, {"/nodes/0/config"}),
        ({"edges": 5}, {"/edges"}),
        ({"edges": [{"source": "a"}, {"source": "a"}]}, {"/edges/0/target", "/edges/1/target"}),
        ({"edges": [{"source": "a", "target": "b", "when": 1}, {"source": "a", "target": "b"}]}, {"/edges/0/when"}),
        ({"edges": [{"source": "a", "target": "b", "id": 5}, {"id": "a>b", "source": "a", "target": "a"}],
          "entry": ["a"]},
         {"/edges/0/id"}),
        ({"edges": [{"source": "a", "target": "b", "on": "no", "else": True}]}, {"/edges/0/on"}),
        ({"entry": 5, "edges": [{"source": "a", "target": "b"}, {"source": "b", "target": "a"}]}, {"/entry"}),
        ({"entry": [5]}, {"/entry/0"}),
        ({"state": 5}, {"/state"}),
        ({"id": 5}, {"/id"}),
        ({"edges": [{"source": "a", "target": "b"}, {"source": "b", "target": "a"}],
          "nodes": [{"id": "a", "type": "plain"}, {"id": "b", "type": "plain"}, {"id": "-", "type": "plain"}]},
         {"/nodes/2/id"}),
    ],
)  # fmt: skip
def test_what_has_no_sound_shape_gives_no_false_alarm_elsewhere(changes: dict[str, Any], expected: set[str]) -> None:
    value = make_value(["a", "b"], ["a>b"]) | changes

    assert set(codes_of(value)) == expected


def test_a_graph_in_python_gets_all_its_problems_in_one_round() -> None:
    wrong: Any = {"name": 5}
    graph = Graph("g", **wrong).node("a", "nope", {}, join=0).edge("a", "b")

    with pytest.raises(GraphInvalid) as caught:
        prepare(graph)

    assert [problem.pointer for problem in caught.value.problems] == [
        "/edges/0/target",
        "/name",
        "/nodes/0/join",
        "/nodes/0/type",
    ]


def test_an_output_that_is_none_leaves_the_id_and_the_keys_alone() -> None:
    schema: Any = {"properties": {"total": {}}}
    value = make_value(
        [{"id": "errors", "output": 5}],
        [{"source": "errors", "target": "errors", "when": "state.anything"}],
        entry=["errors"],
        state={"schema": schema},
    )

    assert codes_of(value) == {"/nodes/0/output": "invalid_value"}


def test_bodies_are_checked_in_the_same_round() -> None:
    body = {
        "nodes": [{"id": "x", "type": "nope", "join": 0}, {"type": "plain", "config": {"limit": 0}}],
        "edges": [{"source": "x", "target": "gone"}, {"source": "x"}],
        "state": {},
    }
    single = {"id": "y", "type": "plain", "nmae": 1, "config": {"when": "1 +"}}
    value = make_value(
        [{"id": "a", "type": "each", "config": {"body": body}}, {"id": "b", "type": "each", "config": {"body": single}}]
    )

    assert codes_of(value) == {
        "/nodes/0/config/body/edges/1/target": "missing_field",
        "/nodes/0/config/body/nodes/0/join": "invalid_value",
        "/nodes/0/config/body/nodes/0/type": "unknown_node_type",
        "/nodes/0/config/body/nodes/1/config/limit": "invalid_value",
        "/nodes/0/config/body/nodes/1/id": "missing_field",
        "/nodes/0/config/body/state": "unknown_field",
        "/nodes/1/config/body/config/when": "expression_invalid",
        "/nodes/1/config/body/nmae": "unknown_field",
    }


@pytest.mark.bad_input(27)
@pytest.mark.parametrize(
    ("node_type", "config", "expected"),
    [
        ("transform", {"set": {"a": 5, "b": "1 +", "errors": "1"}}, {"/set/a", "/set/b", "/set/errors"}),
        ("transform", {"sets": 1, "delete": ["errors", 5]}, {"/sets", "/delete/0", "/delete/1"}),
        ("foreach", {"itms": "[]", "body": {"id": "b", "type": "no"}}, {"/itms", "/items", "/body/type"}),
        ("foreach", {"items": 5, "item": "errors", "body": {"id": "b"}}, {"/items", "/item", "/body/type"}),
        ("foreach", {"items": "1 +", "item": "index", "body": {"id": "b", "type": "no"}}, {"/items", "", "/body/type"}),
        ("foreach", {"items": "1 +", "body": 5}, {"/items", "/body"}),
        ("template", {"text": 5}, {"/text"}),
        ("delay", {"second": 5}, {"/seconds", "/second"}),
        ("function", {"function": 5, "x": 1}, {"/function", "/x"}),
    ],
)
def test_what_is_sound_in_a_config_is_checked_beside_what_is_not(
    node_type: str, config: dict[str, Any], expected: set[str]
) -> None:
    value = {"id": "g", "nodes": [{"id": "n", "type": node_type, "config": config}]}

    problems = validate(value, builtin_registry()).problems

    assert {problem.pointer for problem in problems} == {f"/nodes/0/config{place}" for place in expected}


SOUND: Any = make_value(
    ["a", {"id": "b", "config": {"limit": 2}, "goto": ["a", "c"]}, {"id": "c", "output": "found", "join": 2}],
    ["a>b", {"source": "a", "target": "b", "on": "error", "id": "e"}, {"source": "b", "target": "c", "when": "true"}],
    entry=["a", "b"],
    state={"initial": {"x": 1}, "reducers": {"x": "add"}},
)


def places_in(value: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Give the places of all that is in a value."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        yield (*place, key)
        yield from places_in(member, (*place, key))


def changed(value: Any, place: tuple[str | int, ...], wrong: Any) -> Any:
    """Return a copy with another value at a place, or without what is there."""
    copied = inner = copy.deepcopy(value)
    for key in place[:-1]:
        inner = inner[key]
    if wrong is None and isinstance(inner, dict):
        del inner[place[-1]]
    else:
        inner[place[-1]] = wrong
    return copied


SHAPE = {"invalid_value", "missing_field", "unknown_field"}
WRONG = st.sampled_from([5, "", [], {}, None, [5], {"": 5}])


@given(place=st.sampled_from(list(places_in(SOUND))), wrong=WRONG)
def test_one_wrong_value_has_problems_of_shape_or_of_meaning_never_both(
    place: tuple[str | int, ...], wrong: Any
) -> None:
    findings = validate(changed(SOUND, place, wrong), REGISTRY)

    assert len({problem.code in SHAPE for problem in findings.problems}) <= 1, findings.problems
    assert findings.left_out == 0


def found(value: Any) -> Findings:
    return validate(value, REGISTRY)


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({f"field{n}": n for n in range(100_000)}, 100_000),
        ({"edges": [{}] * 100_000}, 200_001),
        ({"edges": [{"source": "a", "target": 5}, {"source": "a", "target": "z"}] * 2_000}, 6_000),
        ({"nodes": [{"id": "a", "type": "plain", "goto": [5] * 10_000}] * 10}, 100_010),
        ({"nodes": [{"id": f"n{n}", "type": "nope", "x": 1, "join": "2"} for n in range(2_000)]}, 6_000),
        ({"nodes": [{"id": "a", "type": "plain", "config": {f"x{n}": n for n in range(5_000)}}]}, 5_000),
        ({"nodes": [{"id": "a", "type": "plain", "input": dict.fromkeys(map(str, range(10_000)), 5)}]}, 10_001),
    ],
    ids=["unknown fields", "empty edges", "shape and meaning", "targets", "nodes", "a config", "inputs"],
)
def test_the_count_of_a_flood_of_problems_is_exact_and_takes_little_time(changes: dict[str, Any], count: int) -> None:
    value = make_value(["a"]) | changes

    findings = within_cpu_s(3, lambda: found(value))

    assert len(findings.problems) + findings.left_out == count
    assert len(findings.problems) >= 100


def test_the_first_problems_of_a_flood_are_those_that_come_first() -> None:
    nodes: list[Any] = ["a", *({"id": n} for n in range(3_000))]
    value = make_value(nodes, ["a>z", *({"source": "a", "target": n} for n in range(3_000))], oops=1)

    pointers = [problem.pointer for problem in found(value).problems]

    assert pointers[:100] == [f"/edges/{n}/target" for n in range(1, 101)]
    assert pointers[-1] == "/oops"
