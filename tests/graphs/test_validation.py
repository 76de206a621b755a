"""What validation finds, and where."""

from typing import Any

import pytest

from graphwire.errors import CodeNotAllowed, GraphInvalid, Problem, UnknownNodeType
from graphwire.graphs.code import Code
from graphwire.graphs.definition import GraphDefinition
from graphwire.graphs.validation import check, validate
from graphwire.nodes import builtin_registry
from tests.graphs.samples import REGISTRY, make_graph


def fetch(order: int, ctx: object, page: int = 1) -> None: ...


def keep(old: object, written: object) -> object:
    return old or written


CODE = Code({"shop:fetch": fetch, "shop:keep": keep})


def problems_of(graph: GraphDefinition, code: Code | None = None) -> dict[str, Problem]:
    """Return the problems by their pointers."""
    return {problem.pointer: problem for problem in validate(graph, REGISTRY, code=code).problems}


def codes_of(graph: GraphDefinition, code: Code | None = None) -> dict[str, str]:
    """Return the problems' codes by their pointers."""
    return {place: problem.code for place, problem in problems_of(graph, code).items()}


def test_a_sound_graph_has_no_findings() -> None:
    graph = make_graph(
        ["a", {"id": "b", "config": {"limit": 2, "when": "state.a > 1", "text": "{{ state.a }}"}}],
        ["a>b", {"source": "a", "target": "b", "when": "error is null and result.x", "on": "always"}],
        state={"initial": {"a": 1}, "reducers": {"a": "add"}},
    )

    assert check(graph, REGISTRY)[1] == ()


@pytest.mark.bad_input(21)
def test_a_graph_without_nodes_is_refused() -> None:
    assert codes_of(make_graph([])) == {"/nodes": "no_nodes"}


@pytest.mark.bad_input(21)
@pytest.mark.parametrize(
    ("edges", "fields", "expected"),
    [
        (["a>b", "b>a"], {}, {"/entry": "no_entry"}),
        ([], {"entry": []}, {"/entry": "no_entry"}),
        ([], {"entry": ["a", "c"]}, {"/entry/1": "unknown_node"}),
        ([], {"entry": ["a", "a"]}, {"/entry/1": "duplicate_node"}),
    ],
)
def test_a_graph_begins_at_nodes_that_it_has(edges: Any, fields: Any, expected: dict[str, str]) -> None:
    assert codes_of(make_graph(["a", "b"], edges, **fields)) == expected


@pytest.mark.bad_input(22)
def test_a_doubled_node_is_named_at_both_places() -> None:
    problems = problems_of(make_graph(["a", "b", "a"]))

    assert {place: problem.code for place, problem in problems.items()} == {
        "/nodes/0/id": "duplicate_node",
        "/nodes/2/id": "duplicate_node",
    }
    assert "/nodes/2" in problems["/nodes/0/id"].detail
    assert "/nodes/0" in problems["/nodes/2/id"].detail


@pytest.mark.bad_input(22)
def test_a_doubled_edge_is_named_at_both_places() -> None:
    graph = make_graph(["a", "b"], ["a>b", {"source": "a", "target": "b", "on": "error"}, "a>b"])

    assert codes_of(graph) == {"/edges/0": "duplicate_edge", "/edges/2": "duplicate_edge"}


@pytest.mark.bad_input(22)
def test_two_edges_with_one_id_are_named_at_both_places() -> None:
    graph = make_graph(["a", "b"], ["a>b", {"source": "b", "target": "b", "id": "a>b"}])

    assert codes_of(graph) == {"/edges/0/id": "duplicate_edge", "/edges/1/id": "duplicate_edge"}


@pytest.mark.bad_input(23)
def test_every_dangling_end_is_named() -> None:
    graph = make_graph(["start", "b"], ["start>b", "strat>b", "b>c", "x>y"])

    problems = problems_of(graph)

    assert set(problems) == {"/edges/1/source", "/edges/2/target", "/edges/3/source", "/edges/3/target"}
    assert 'did you mean "start"?' in problems["/edges/1/source"].detail


@pytest.mark.bad_input(24)
def test_loops_are_allowed() -> None:
    graph = make_graph(["a", "b"], ["a>a", "a>b", "b>a"], entry=["a"])

    assert check(graph, REGISTRY)[1] == ()


@pytest.mark.bad_input(26)
@pytest.mark.parametrize("name", ["os:system", "../x", "os.path", "plian", "Plain"])
def test_an_unknown_node_type_is_refused_and_nothing_is_imported(name: str) -> None:
    with pytest.raises(UnknownNodeType) as caught:
        check(make_graph([{"id": "a", "type": name}]), REGISTRY)

    assert [problem.pointer for problem in caught.value.problems] == ["/nodes/0/type"]


@pytest.mark.bad_input(26)
def test_a_node_type_with_a_slip_gets_the_near_name() -> None:
    assert 'did you mean "plain"?' in problems_of(make_graph([{"id": "a", "type": "plian"}]))["/nodes/0/type"].detail


@pytest.mark.bad_input(27, 11, 12)
@pytest.mark.parametrize(
    ("type_", "fields"),
    [("template", ["text"]), ("delay", ["seconds"]), ("function", ["function"]), ("foreach", ["body", "items"])],
)
def test_a_config_that_is_missing_is_what_is_said_to_be_missing(type_: str, fields: list[str]) -> None:
    registry = builtin_registry()
    without = {"id": "g", "nodes": [{"id": "a", "type": type_}]}
    with_none_of_it = {"id": "g", "nodes": [{"id": "a", "type": type_, "config": {}}]}

    assert {problem.pointer: problem.detail for problem in validate(without, registry).problems} == {
        f"/nodes/0/config/{field}": f'the field "config" with "{field}" is missing' for field in fields
    }
    assert {problem.pointer: problem.detail for problem in validate(with_none_of_it, registry).problems} == {
        f"/nodes/0/config/{field}": f'the field "{field}" is missing' for field in fields
    }


def test_a_config_that_does_not_fit_its_type_is_refused_at_the_field() -> None:
    graph = make_graph([{"id": "a", "config": {"limit": 0, "txt": "x"}}, {"id": "b", "config": {"limit": "1"}}])

    problems = problems_of(graph)

    assert set(problems) == {"/nodes/0/config/limit", "/nodes/0/config/txt", "/nodes/1/config/limit"}
    assert 'did you mean "text"?' in problems["/nodes/0/config/txt"].detail


def test_problems_of_all_kinds_are_found_at_once() -> None:
    graph = make_graph(
        ["a", "a", {"id": "b", "type": "nope"}, {"id": "c", "config": {"limit": 0}, "goto": ["q"]}],
        [{"source": "a", "target": "z", "when": "1 +"}],
        entry=["x"],
        state={"reducers": {"n": "sum"}, "schema": {"type": "nonsense"}},
    )

    assert codes_of(graph) == {
        "/nodes/0/id": "duplicate_node",
        "/nodes/1/id": "duplicate_node",
        "/nodes/2/type": "unknown_node_type",
        "/nodes/3/config/limit": "invalid_value",
        "/nodes/3/goto/0": "unknown_node",
        "/edges/0/target": "unknown_node",
        "/edges/0/when": "expression_invalid",
        "/entry/0": "unknown_node",
        "/state/reducers/n": "unknown_reducer",
        "/state/schema/type": "schema_invalid",
    }


@pytest.mark.bad_input(41)
def test_an_expression_that_does_not_compile_is_named_with_line_and_column() -> None:
    graph = make_graph(
        [{"id": "a", "config": {"when": "state.x >\n foo", "text": "hi {{ nope }}"}}],
        [{"source": "a", "target": "a", "when": "state.a b"}],
        entry=["a"],
    )

    problems = problems_of(graph)

    assert (problems["/nodes/0/config/when"].line, problems["/nodes/0/config/when"].column) == (2, 2)
    assert (problems["/nodes/0/config/text"].line, problems["/nodes/0/config/text"].column) == (1, 7)
    assert problems["/edges/0/when"].line == 1


def test_result_and_error_are_known_on_edges_only() -> None:
    graph = make_graph(
        [
            {"id": "a", "config": {"when": "result.x"}},
            {"id": "f", "type": "function", "config": {"function": "shop:fetch"}},
        ],
        [{"source": "a", "target": "f", "when": "result.x and error is null"}],
    )

    assert set(problems_of(graph, CODE)) == {"/nodes/0/config/when"}


def test_an_expression_names_keys_of_the_schema_where_there_is_one() -> None:
    schema = {"properties": {"total": {"type": "number"}}}
    graph = make_graph(
        ["a", {"id": "b", "output": "made"}],
        [{"source": "a", "target": "b", "when": "state.totl > 1 and state.made and state.a and state.extra"}],
        state={"schema": schema, "initial": {"extra": 1}},
    )

    problem = problems_of(graph)["/edges/0/when"]

    assert problem.code == "unknown_key"
    assert 'did you mean "total"?' in problem.detail


def test_a_schema_that_leaves_keys_open_allows_any_key() -> None:
    schema = {"properties": {"total": {}}, "additionalProperties": True}
    graph = make_graph(
        ["a"], [{"source": "a", "target": "a", "when": "state.any"}], entry=["a"], state={"schema": schema}
    )

    assert problems_of(graph) == {}


def test_input_is_for_types_with_parameters() -> None:
    assert codes_of(make_graph([{"id": "a", "input": {"x": "state.x"}}])) == {"/nodes/0/input": "input_refused"}


def test_input_names_parameters_of_the_function() -> None:
    node = {"id": "a", "type": "function", "config": {"function": "shop:fetch"}}
    graph = make_graph([node | {"input": {"order": "state.x", "pgae": "1 +", "ctx": "1"}}])

    problems = problems_of(graph, CODE)

    assert set(problems) == {"/nodes/0/input/pgae", "/nodes/0/input/ctx"}
    assert 'did you mean "page"?' in problems["/nodes/0/input/pgae"].detail


def test_code_is_refused_in_a_definition_that_came_as_data() -> None:
    node = {"id": "a", "type": "function", "config": {"function": "shop:fetch"}}
    graph = make_graph([node], state={"reducers": {"x": "shop:keep", "y": "append"}})

    with pytest.raises(CodeNotAllowed) as caught:
        check(graph, REGISTRY)

    assert {problem.pointer for problem in caught.value.problems} == {
        "/nodes/0/config/function",
        "/state/reducers/x",
    }
    assert check(graph, REGISTRY, code=CODE)[1] == ()


def test_a_graph_with_other_faults_besides_code_is_plainly_invalid() -> None:
    graph = make_graph([{"id": "a", "type": "function", "config": {"function": "shop:fetch"}}], entry=["b"])

    with pytest.raises(GraphInvalid, match="1 more"):
        check(graph, REGISTRY)


@pytest.mark.parametrize(
    ("reference", "code"),
    [("shop:nothing", "unknown_function"), ("shop.fetch", "unknown_function"), ("os:system", "unknown_function")],
)
def test_a_reference_to_nothing_is_refused(reference: str, code: str) -> None:
    graph = make_graph([{"id": "a", "type": "function", "config": {"function": reference}}])

    assert codes_of(graph, CODE) == {"/nodes/0/config/function": code}


@pytest.mark.parametrize("field", ["initial", "reducers", "conflicts"])
def test_the_key_errors_belongs_to_the_engine(field: str) -> None:
    value = {"initial": [], "reducers": "append", "conflicts": "fail"}[field]
    graph = make_graph([{"id": "a", "output": "errors"}], state={field: {"errors": value}})

    assert codes_of(graph) == {f"/state/{field}/errors": "reserved_key", "/nodes/0/output": "reserved_key"}


def test_a_node_called_errors_needs_an_output_of_another_name() -> None:
    body = {"nodes": [{"id": "x", "type": "plain"}, {"id": "errors", "type": "plain"}], "edges": []}
    single = {"id": "errors", "type": "plain"}
    graph = make_graph(
        [
            "errors",
            {"id": "errors2", "output": "errors"},
            {"id": "a", "type": "each", "config": {"body": body}},
            {"id": "b", "type": "each", "config": {"body": single}},
        ]
    )

    assert codes_of(graph) == {
        "/nodes/0/id": "reserved_key",
        "/nodes/1/output": "reserved_key",
        "/nodes/2/config/body/nodes/1/id": "reserved_key",
        "/nodes/3/config/body/id": "reserved_key",
    }
    assert codes_of(make_graph([{"id": "errors", "output": "found"}])) == {}


def test_an_else_edge_is_for_success() -> None:
    graph = make_graph(["a", "b"], [{"source": "a", "target": "b", "on": "error", "else": True}])

    assert codes_of(graph) == {"/edges/0/else": "else_not_on_success"}


def test_bodies_are_checked_like_graphs() -> None:
    body = {
        "nodes": [{"id": "x", "type": "plain"}, {"id": "y", "type": "nope"}],
        "edges": [{"source": "x", "target": "z"}],
    }
    single = {"id": "x", "type": "each", "config": {"body": {"id": "y", "type": "plain", "config": {"limit": 0}}}}
    graph = make_graph(
        [
            {"id": "a", "type": "each", "config": {"body": body}},
            {"id": "b", "type": "each", "config": {"body": single}},
            {"id": "c", "type": "each", "config": {"body": {"id": "x", "typ": "plain"}}},
            {"id": "d", "type": "each", "config": {"body": 5}},
        ]
    )

    assert codes_of(graph) == {
        "/nodes/0/config/body/nodes/1/type": "unknown_node_type",
        "/nodes/0/config/body/edges/0/target": "unknown_node",
        "/nodes/1/config/body/config/body/config/limit": "invalid_value",
        "/nodes/2/config/body/type": "missing_field",
        "/nodes/2/config/body/typ": "unknown_field",
        "/nodes/3/config/body": "invalid_value",
    }


def test_a_body_knows_the_keys_of_its_opener_and_its_own() -> None:
    inner = {"id": "x", "type": "plain", "config": {"when": "state.item and state.a and state.x and state.nope"}}
    graph = make_graph(
        [{"id": "a", "type": "each", "config": {"body": inner}}], state={"schema": {"properties": {"b": {}}}}
    )

    assert codes_of(graph) == {"/nodes/0/config/body/config/when": "unknown_key"}


def test_bodies_may_be_nested_only_so_deep() -> None:
    body: dict[str, Any] = {"id": "x", "type": "plain"}
    for _ in range(12):
        body = {"id": "x", "type": "each", "config": {"body": body}}

    (problem,) = problems_of(make_graph([body])).values()

    assert problem.code == "too_deep"


@pytest.mark.bad_input(28)
def test_more_nodes_or_edges_than_allowed_are_refused_with_the_limit() -> None:
    graph = make_graph([f"n{n}" for n in range(12)], [f"n{n}>n0" for n in range(12)], entry=["n1"])

    findings = validate(graph, REGISTRY, max_nodes=10, max_edges=11)

    assert [(problem.pointer, problem.detail) for problem in findings.problems] == [
        ("/edges", "12 edges; the limit is 11 (GRAPHWIRE_MAX_EDGES)"),
        ("/nodes", "12 nodes; the limit is 10 (GRAPHWIRE_MAX_NODES)"),
    ]
    assert validate(graph, REGISTRY, max_nodes=12, max_edges=12).problems == ()


def test_nodes_of_bodies_count_like_others() -> None:
    body = {"nodes": [{"id": f"n{n}", "type": "plain"} for n in range(5)]}
    graph = make_graph(["a", {"id": "b", "type": "each", "config": {"body": body}}])

    findings = validate(graph, REGISTRY, max_nodes=6)

    assert [problem.pointer for problem in findings.problems] == ["/nodes/1/config/body/nodes"]
    assert validate(graph, REGISTRY, max_nodes=7).problems == ()


@pytest.mark.bad_input(34)
@pytest.mark.parametrize("text", ["${x}", "{0.__class__}", "%s", "{% raw %}"])
def test_template_syntax_of_other_languages_is_text(text: str) -> None:
    assert problems_of(make_graph([{"id": "a", "name": text, "config": {"text": text}}])) == {}


def test_problems_inside_names_are_quoted_safely() -> None:
    graph = make_graph([{"id": "a", "type": "\u202e\n" + "x" * 100}])

    detail = problems_of(graph)["/nodes/0/type"].detail

    assert "\\u202e\\u000a" in detail
    assert "x" * 65 not in detail
