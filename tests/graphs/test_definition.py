"""The shape of definitions."""

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st
from pydantic import ValidationError

from graphwire.errors import GraphInvalid, Problem
from graphwire.graphs.definition import (
    EdgeDefinition,
    GraphDefinition,
    NodeDefinition,
    is_single,
    parse_body,
    parse_definition,
)
from tests.graphs.samples import make_graph, make_value
from tests.measuring import within_cpu_s


def problems_of(value: Any) -> dict[str, Problem]:
    """Return the problems by their pointers."""
    with pytest.raises(GraphInvalid) as caught:
        parse_definition(value)
    assert caught.value.code == "graph_invalid"
    return {problem.pointer: problem for problem in caught.value.problems}


def test_edges_without_ids_are_named_by_their_ends() -> None:
    graph = make_graph(
        ["a", "b"],
        ["a>b", {"source": "a", "target": "b", "on": "error"}, {"source": "a", "target": "b", "id": "c", "else": True}],
    )

    assert [edge.id for edge in graph.edges] == ["a>b", "a>b#2", "c"]


def test_an_edge_made_in_python_is_named_by_its_graph_and_stays_as_it_was() -> None:
    edge = EdgeDefinition(source="a", target="b")
    nodes = (NodeDefinition(id="a", type="plain"), NodeDefinition(id="b", type="plain"))

    graph = GraphDefinition(id="g", nodes=nodes, edges=(edge,))

    assert graph.edges[0].edge_id == "a>b"
    assert edge.id is None


def test_the_canonical_form_leaves_defaults_out() -> None:
    value = make_value(["a", {"id": "b", "join": 2, "goto": ["a"]}], [{"source": "a", "target": "b", "on": "success"}])
    value |= {"limits": {"max_parallelism": 64}, "on_error": "fail", "entry": ["a"], "state": {"initial": {}}}

    text = parse_definition(value).to_json()

    assert json.loads(text) == {
        "id": "sample",
        "entry": ["a"],
        "nodes": [{"id": "a", "type": "plain"}, {"id": "b", "type": "plain", "join": 2, "goto": ["a"]}],
        "edges": [{"source": "a", "target": "b"}],
    }


def test_equal_definitions_have_equal_digests_however_they_are_written() -> None:
    short = make_graph(["a", {"id": "b", "config": {"x": 1, "y": 2}}], ["a>b"])
    long = make_graph(
        ["a", {"join": "all", "config": {"y": 2, "x": 1}, "id": "b"}], [{"id": "a>b", "source": "a", "target": "b"}]
    )
    other = make_graph(["a", {"id": "b", "config": {"x": 1, "y": 3}}], ["a>b"])

    assert short.digest() == long.digest()
    assert short.digest() != other.digest()


ids = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,5}", fullmatch=True)
nodes = st.fixed_dictionaries(
    {"id": ids, "type": st.just("plain")},
    optional={
        "name": st.text(max_size=5),
        "config": st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3), max_size=2),
        "join": st.sampled_from(["all", "any", 1, 3]),
        "output": st.text(min_size=1, max_size=3),
        "timeout_s": st.integers(1, 9) | st.floats(0.1, 9),
        "effects": st.booleans(),
        "goto": st.lists(ids, max_size=2),
    },
)
edges = st.fixed_dictionaries(
    {"source": ids, "target": ids},
    optional={"id": ids, "when": st.just("state.a > 1"), "on": st.just("error"), "else": st.booleans()},
)


@given(
    value=st.fixed_dictionaries(
        {"id": ids, "nodes": st.lists(nodes, max_size=3)},
        optional={
            "edges": st.lists(edges, max_size=5),
            "entry": st.lists(ids, max_size=2),
            "name": st.text(max_size=5),
        },
    )
)
def test_reading_the_canonical_form_gives_an_equal_definition(value: Any) -> None:
    graph = parse_definition(value)

    again = parse_definition(json.loads(graph.to_json()))

    assert again == graph
    assert again.digest() == graph.digest()
    assert again.to_json() == graph.to_json()


def test_a_definition_cannot_be_changed() -> None:
    graph = make_graph(["a"])

    with pytest.raises(ValidationError):
        graph.nodes[0].id = "b"


def test_entries_are_by_default_the_nodes_that_nothing_leads_to() -> None:
    graph = make_graph([{"id": "a", "goto": ["c"]}, "b", "c"], ["a>b"])

    assert graph.entries == ("a",)


@pytest.mark.parametrize(("nodes", "limits", "steps"), [(3, {}, 1_000), (300, {}, 3_000), (3, {"max_steps": 7}, 7)])
def test_the_step_limit_grows_with_the_graph_unless_it_is_given(nodes: int, limits: Any, steps: int) -> None:
    assert make_graph([f"n{n}" for n in range(nodes)], limits=limits).max_steps == steps


@pytest.mark.bad_input(11)
def test_an_unknown_field_is_refused_with_the_nearest_known_name() -> None:
    value = make_value([{"id": "a", "confg": {}}], [{"source": "a", "target": "a", "wenn": "true"}], limit={})

    problems = problems_of(value)

    assert {place: problem.code for place, problem in problems.items()} == {
        "/nodes/0/confg": "unknown_field",
        "/edges/0/wenn": "unknown_field",
        "/limit": "unknown_field",
    }
    assert 'did you mean "config"?' in problems["/nodes/0/confg"].detail
    assert 'did you mean "when"?' in problems["/edges/0/wenn"].detail
    assert 'did you mean "limits"?' in problems["/limit"].detail


@pytest.mark.parametrize("field", ["priority", "cache"])
def test_a_field_of_a_later_release_is_refused(field: str) -> None:
    assert set(problems_of(make_value([{"id": "a", field: 1}]))) == {f"/nodes/0/{field}"}


@pytest.mark.bad_input(12)
@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"name": 5}, "/name"),
        ({"name": None}, "/name"),
        ({"entry": {"a": 1}}, "/entry"),
        ({"entry": "a"}, "/entry"),
        ({"limits": {"max_steps": "5"}}, "/limits/max_steps"),
        ({"limits": {"max_steps": True}}, "/limits/max_steps"),
        ({"limits": {"max_steps": 5.0}}, "/limits/max_steps"),
        ({"limits": {"timeout_s": True}}, "/limits/timeout_s"),
        ({"limits": {"timeout_s": None}}, "/limits/timeout_s"),
        ({"limits": None}, "/limits"),
        ({"limits": []}, "/limits"),
        ({"nodes": {"a": {}}}, "/nodes"),
        ({"nodes": None}, "/nodes"),
        ({"state": {"initial": []}}, "/state/initial"),
        ({"state": {"reducers": {"a": 1}}}, "/state/reducers/a"),
        ({"on_error": "ignore"}, "/on_error"),
        ({"nodes": [{"id": "a", "type": "plain", "join": "2"}]}, "/nodes/0/join"),
        ({"nodes": [{"id": "a", "type": "plain", "join": True}]}, "/nodes/0/join"),
        ({"nodes": [{"id": "a", "type": "plain", "join": 0}]}, "/nodes/0/join"),
        ({"nodes": [{"id": "a", "type": "plain", "goto": "a"}]}, "/nodes/0/goto"),
        ({"nodes": [{"id": "a", "type": "plain", "effects": 1}]}, "/nodes/0/effects"),
        ({"nodes": [{"id": "a", "type": "plain", "input": {"x": 1}}]}, "/nodes/0/input/x"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_and_never_converted(fields: dict[str, Any], place: str) -> None:
    assert set(problems_of(make_value(["a"]) | fields)) == {place}


@pytest.mark.bad_input(12)
@pytest.mark.parametrize("value", [None, [], "graph", 5, True])
def test_what_is_no_object_is_no_definition(value: Any) -> None:
    assert problems_of(value)[""].detail == "must be an object"


@pytest.mark.bad_input(23)
def test_edges_that_are_none_are_all_named() -> None:
    value = make_value(["a", "b"])
    value["edges"] = [["a", "b", "c"], {"source": "a"}, {"target": "b"}, {"source": "a", "target": ["a", "b"]}]

    assert {place: problem.code for place, problem in problems_of(value).items()} == {
        "/edges/0": "invalid_value",
        "/edges/1/target": "missing_field",
        "/edges/2/source": "missing_field",
        "/edges/3/target": "invalid_value",
    }


@pytest.mark.bad_input(8, 31)
@pytest.mark.parametrize(
    "node_id",
    [
        "",
        "a\x00",
        "a\n",
        "a\r\n\r\nb",
        "data: x",
        "a b",
        "\u202ea",
        "a\u200b",
        "ä",
        "-a",
        ".a",
        "a:b",
        "a/b",
        "<b>",
        "a>b",
    ],
)
def test_an_id_is_of_few_plain_characters(node_id: str) -> None:
    assert "/nodes/0/id" in problems_of(make_value([node_id]))
    assert "/id" in problems_of(make_value(["a"]) | {"id": node_id})


@pytest.mark.bad_input(8, 31)
@pytest.mark.parametrize("name", ["a\x00b", "data: x\r\n\r\n", "\u202e\u200b", "<script>", "{{7*7}}"])
def test_a_name_may_hold_any_text(name: str) -> None:
    graph = make_graph([{"id": "a", "name": name}], name=name)

    assert (graph.name, graph.nodes[0].name) == (name, name)
    assert parse_definition(json.loads(graph.to_json())) == graph


@pytest.mark.bad_input(9)
def test_ids_that_differ_only_in_case_are_different_nodes() -> None:
    assert [node.id for node in make_graph(["a", "A"]).nodes] == ["a", "A"]


@pytest.mark.bad_input(10)
@pytest.mark.parametrize("word", ["__proto__", "constructor", "__class__", "toString"])
def test_words_that_mean_something_elsewhere_are_ordinary_ids_and_keys(word: str) -> None:
    graph = make_graph([{"id": word, "output": word, "config": {word: 1}}], [f"{word}>{word}"], entry=[word])

    assert graph.nodes[0].config == {word: 1}
    assert graph.edges[0].id == f"{word}>{word}"


@pytest.mark.bad_input(28)
def test_ids_and_descriptions_at_their_limits_pass_and_beyond_are_refused_with_the_limit() -> None:
    make_graph(["n" * 128], ["n" * 128 + ">" + "n" * 128], description="d" * 65_536)

    problems = problems_of(make_value(["n" * 129]) | {"description": "d" * (1024 * 1024)})

    assert "128" in problems["/nodes/0/id"].detail
    assert "65536" in problems["/description"].detail


@pytest.mark.bad_input(34)
@pytest.mark.parametrize("text", ["{{7*7}}", "${x}", "{0.__class__}", "%s %(a)s %n", "{}"])
def test_template_syntax_in_wrong_places_stays_text(text: str) -> None:
    value = make_value([{"id": "a", "name": text, text: 1}], name=text, id=text)

    details = [problem.detail for problem in problems_of(value).values()]

    assert any(text in detail for detail in details)
    assert make_graph(["a"], name=text).name == text


def test_problems_quote_no_more_than_64_characters() -> None:
    problems = problems_of(make_value(["a"]) | {"x" * 5_000 + "\u202e": 1})

    assert all(len(problem.detail) < 200 and len(problem.pointer) < 400 for problem in problems.values())


@pytest.mark.parametrize(
    "fields",
    [
        {f"field{n}": n for n in range(100_000)},
        {"edges": [{}] * 100_000},
        {"edges": [1] * 1_000_000},
        {"nodes": [{"id": "a", "type": "plain", "goto": [5] * 10_000}] * 10},
    ],
    ids=["unknown fields", "empty edges", "more edges than ever allowed", "targets"],
)
def test_a_flood_of_problems_is_counted_and_its_beginning_shown_in_little_time(fields: dict[str, Any]) -> None:
    value = make_value(["a"]) | fields

    problems = within_cpu_s(3, lambda: problems_of(value))

    assert 1 <= len(problems) <= 1_001


def test_a_body_is_one_node_or_nodes_with_edges() -> None:
    node = {"id": "inner", "type": "plain"}
    single = parse_body(node, graph_id="each")
    graph = parse_body({"nodes": [node], "edges": [{"source": "inner", "target": "inner"}]}, graph_id="each")

    assert (is_single(node), single.nodes[0].id, single.id) == (True, "inner", "each")
    assert not is_single({"nodes": [node]})
    assert graph.edges[0].id == "inner>inner"


def test_a_body_has_no_state_or_limits_of_its_own() -> None:
    with pytest.raises(GraphInvalid) as caught:
        parse_body({"nodes": [], "state": {}}, graph_id="each")

    assert [problem.pointer for problem in caught.value.problems] == ["/state"]
