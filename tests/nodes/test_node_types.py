"""The built-in node types: their configs, and what they make of them."""

from types import MappingProxyType
from typing import Any

import pytest

from graphwire.errors import ExpressionFailed, GraphInvalid, InputError
from graphwire.graphs.behaviour import Call, Compute, ForEach, Mode, Parameter, Wait
from graphwire.graphs.code import Code
from graphwire.graphs.definition import GraphDefinition, parse_definition
from graphwire.graphs.references import Reference
from graphwire.graphs.validation import validate
from graphwire.nodes import builtin_registry
from graphwire.values import DELETE


def double(total: float, ctx: object, rate: float = 2) -> float:
    return total * rate


CODE = Code({"shop:double": double})


def make_graph(node_type: str, config: dict[str, Any], **fields: Any) -> GraphDefinition:
    return parse_definition({"id": "g", "nodes": [{"id": "n", "type": node_type, "config": config, **fields}]})


def prepare(node_type: str, config: dict[str, Any]) -> Any:
    node = make_graph(node_type, config).nodes[0]
    registered = builtin_registry().get(node_type)
    assert registered is not None
    return registered.prepare(node, registered.parse(node), CODE)


def problems(node_type: str, config: dict[str, Any], **fields: Any) -> list[tuple[str, str]]:
    findings = validate(make_graph(node_type, config, **fields), builtin_registry(), code=CODE)
    return [(problem.pointer, problem.detail) for problem in findings.problems]


def test_a_function_is_called_with_what_its_signature_names() -> None:
    call = prepare("function", {"function": "shop:double"})

    assert isinstance(call, Call)
    assert (call.function, call.mode) == (double, Mode.THREAD)
    assert call.parameters == (
        Parameter("total", "key"),
        Parameter("ctx", "context"),
        Parameter("rate", "key", 2),
    )


def test_a_function_that_is_not_among_the_graphs_code_is_refused() -> None:
    assert problems("function", {"function": "os:system"})[0][0] == "/nodes/0/config/function"
    assert problems("function", {"function": "shop:double"}, input={"total": "state.sum"}) == []


@pytest.mark.capability("NOD-14")
def test_a_transform_writes_what_its_expressions_give_and_deletes() -> None:
    transform = prepare("transform", {"set": {"a": "state.b + 1", "b": "state.a"}, "delete": ["c"]})

    assert isinstance(transform, Compute)
    assert transform.compute(MappingProxyType({"a": 1, "b": 2})) == {"a": 3, "b": 1, "c": DELETE}


def test_a_transform_without_anything_to_do_is_no_update() -> None:
    assert prepare("transform", {}).compute({}) == {}


def test_an_expression_of_a_transform_that_fails_fails_the_node() -> None:
    with pytest.raises(ExpressionFailed):
        prepare("transform", {"set": {"a": "state.b"}}).compute({})


def test_a_template_gives_its_text() -> None:
    template = prepare("template", {"text": "{{ state.name }} has {{ len(state.orders) }}"})

    assert template.compute(MappingProxyType({"name": "Ada", "orders": [1, 2]})) == "Ada has 2"


@pytest.mark.capability("NOD-13")
@pytest.mark.parametrize(("seconds", "expected"), [(0, 0), (1.5, 1.5), (3600, 3600), ("state.n * 2", 8)])
def test_a_delay_takes_a_number_or_an_expression(seconds: float | str, expected: float) -> None:
    wait = prepare("delay", {"seconds": seconds})

    assert isinstance(wait, Wait)
    assert wait.seconds({"n": 4}) == expected


@pytest.mark.parametrize("seconds", ["-1", "3601", "'1'", "true", "null"])
def test_a_computed_delay_outside_its_bounds_is_an_input_error(seconds: str) -> None:
    with pytest.raises(InputError, match="from 0 to 3,600"):
        prepare("delay", {"seconds": seconds}).seconds({})


@pytest.mark.parametrize("body", [{"id": "b", "type": "transform"}, {"nodes": [{"id": "b", "type": "transform"}]}])
def test_a_foreach_has_a_node_or_a_graph_as_its_body(body: dict[str, Any]) -> None:
    foreach = prepare("foreach", {"items": "state.all", "body": body})

    assert isinstance(foreach, ForEach)
    assert [node.id for node in foreach.body.nodes] == ["b"]
    assert foreach.single == ("type" in body)
    assert foreach.items.evaluate({"state": {"all": [1]}}) == [1]
    assert (foreach.item, foreach.index, foreach.max_parallelism, foreach.collect) == ("item", "index", 8, False)


@pytest.mark.bad_input(27)
@pytest.mark.parametrize(
    ("node_type", "config", "places"),
    [
        ("transform", {"set": {"errors": "[]", "fine": "1"}}, ["/set/errors"]),
        ("transform", {"delete": ["fine", "errors"]}, ["/delete/1"]),
        ("foreach", {"items": "[]", "body": {"id": "b", "type": "transform"}, "item": "errors"}, ["/item"]),
        ("foreach", {"items": "[]", "body": {"id": "b", "type": "transform"}, "index": "errors"}, ["/index"]),
        (
            "foreach",
            {"items": "[]", "body": {"id": "b", "type": "transform", "config": {"set": {"errors": "1"}}}},
            ["/body/config/set/errors"],
        ),
    ],
)
def test_a_config_names_no_reserved_key_to_be_written(
    node_type: str, config: dict[str, Any], places: list[str]
) -> None:
    findings = validate(make_graph(node_type, config), builtin_registry()).problems

    assert [(problem.pointer, problem.code) for problem in findings] == [
        (f"/nodes/0/config{place}", "reserved_key") for place in places
    ]


def test_the_keys_of_a_result_that_output_takes_are_no_state_keys() -> None:
    assert problems("transform", {"set": {"errors": "[]"}}, output="counts") == []


@pytest.mark.parametrize("node_type", builtin_registry().names())
def test_no_type_of_node_has_the_reserved_key_as_its_output(node_type: str) -> None:
    assert "/nodes/0/output" in dict(problems(node_type, {}, output="errors"))


@pytest.mark.bad_input(27)
@pytest.mark.parametrize(
    ("node_type", "config", "pointer"),
    [
        ("function", {}, "/function"),
        ("function", {"function": 5}, "/function"),
        ("transform", {"sets": {}}, "/sets"),
        ("transform", {"set": {"a/b": "state."}}, "/set/a~1b"),
        ("transform", {"set": {"a": 1}}, "/set/a"),
        ("transform", {"delete": "a"}, "/delete"),
        ("template", {"text": "{{ foo }}"}, "/text"),
        ("template", {"text": None}, "/text"),
        ("delay", {"seconds": -1}, "/seconds"),
        ("delay", {"seconds": 3601}, "/seconds"),
        ("delay", {"seconds": True}, "/seconds"),
        ("delay", {"seconds": "soon"}, "/seconds"),
        ("foreach", {"items": "state.", "body": {"id": "b", "type": "transform"}}, "/items"),
        ("foreach", {"items": "[]", "body": {"id": "b", "type": "no"}}, "/body/type"),
        ("foreach", {"items": "[]", "body": []}, "/body"),
        ("foreach", {"items": "[]", "body": {"id": "b", "type": "delay"}, "max_parallelism": 0}, "/max_parallelism"),
        ("foreach", {"items": "[]", "body": {"id": "b", "type": "delay"}, "on_item_error": "no"}, "/on_item_error"),
        ("foreach", {"items": "[]", "body": {"id": "b", "type": "delay"}, "item": "index"}, ""),
        ("switch", {}, "/cases"),
        ("switch", {"cases": []}, "/cases"),
        ("switch", {"cases": {}}, "/cases"),
        ("switch", {"cases": [{"when": "true"}]}, "/cases/0/then"),
        ("switch", {"cases": [{"when": "state.", "then": "n"}]}, "/cases/0/when"),
        ("switch", {"cases": [{"when": "true", "then": "n", "else": 1}]}, "/cases/0/else"),
        ("switch", {"cases": [{"when": "true", "then": "nobody"}]}, "/cases/0/then"),
        ("switch", {"cases": [{"when": "true", "then": "nobody"}], "default": "n"}, "/default"),
        ("while", {"body": {"id": "b", "type": "delay"}}, "/condition"),
        ("while", {"condition": "result", "body": {"id": "b", "type": "transform"}}, "/condition"),
        ("while", {"condition": "true", "body": {"id": "b", "type": "no"}}, "/body/type"),
        (
            "while",
            {"condition": "true", "body": {"id": "b", "type": "transform"}, "max_iterations": 0},
            "/max_iterations",
        ),
        ("while", {"condition": "true", "body": {"id": "b", "type": "transform"}, "index": "errors"}, "/index"),
        ("human_input", {}, "/prompt"),
        ("human_input", {"prompt": "{{ x }}"}, "/prompt"),
        ("human_input", {"prompt": "?", "schema": {"type": "nothing"}}, "/schema/type"),
        ("human_input", {"prompt": "?", "schema": {"$ref": "http://localhost/"}}, "/schema"),
        ("human_input", {"prompt": "?", "schema": True}, "/schema"),
        ("human_input", {"prompt": "?", "timeout_s": 0}, "/timeout_s"),
        ("human_input", {"prompt": "?", "on_timeout": "default", "default": 1}, ""),
        ("human_input", {"prompt": "?", "on_timeout": "default", "timeout_s": 1}, ""),
        ("human_input", {"prompt": "?", "default": 1}, ""),
        ("human_input", {"prompt": "?", "by": "errors"}, "/by"),
        ("human_input", {"prompt": "?", "assignees": "Ada"}, "/assignees"),
        (
            "human_input",
            {
                "prompt": "?",
                "schema": {"type": "object", "properties": {"n": {"type": "number"}}},
                "timeout_s": 1,
                "on_timeout": "default",
                "default": {"n": "text"},
            },
            "/default/n",
        ),
        ("subgraph", {}, ""),
        ("subgraph", {"graph": "a", "body": {"id": "b", "type": "transform"}}, ""),
        ("subgraph", {"graph": "a b"}, "/graph"),
        ("subgraph", {"graph": "a", "version": 0}, "/version"),
        ("subgraph", {"version": 1, "body": {"id": "b", "type": "transform"}}, ""),
        ("subgraph", {"body": {"id": "b", "type": "no"}}, "/body/type"),
        ("subgraph", {"graph": "a", "inherit": "no"}, "/inherit"),
    ],
)
def test_a_config_that_does_not_fit_is_refused_at_its_field(
    node_type: str, config: dict[str, Any], pointer: str
) -> None:
    assert f"/nodes/0/config{pointer}" in [place for place, _ in problems(node_type, config)]


def test_types_without_parameters_refuse_input() -> None:
    for node_type in ("transform", "template", "delay", "switch", "foreach", "while", "human_input"):
        registered = builtin_registry().get(node_type)
        assert registered is not None
        assert not registered.takes_input


def test_every_type_describes_itself_with_a_schema() -> None:
    described = {each["name"]: each for each in builtin_registry().describe()}

    names = ["function", "transform", "template", "delay", "switch", "foreach", "while", "subgraph", "human_input"]
    assert list(described) == names
    assert [name for name, each in described.items() if each["uses_code"]] == ["function"]
    for each in described.values():
        assert each["title"]
        assert each["description"]
        assert each["config"]["additionalProperties"] is False


def test_a_config_is_refused_without_a_look_at_the_rest() -> None:
    with pytest.raises(GraphInvalid):
        prepare("delay", {})


def test_a_subgraph_takes_inputs_but_not_under_the_reserved_key() -> None:
    assert problems("subgraph", {"graph": "other"}, input={"n": "state.m"}) == []
    assert [place for place, _ in problems("subgraph", {"graph": "other"}, input={"errors": "1"})] == [
        "/nodes/0/input/errors"
    ]


def test_the_graphs_that_a_graph_runs_are_among_the_findings() -> None:
    inner = {"id": "b", "type": "subgraph", "config": {"graph": "deep", "version": 3}}
    graph = make_graph("foreach", {"items": "[]", "body": inner})

    assert validate(graph, builtin_registry()).references == (
        Reference("/nodes/0/config/body/config/graph", "deep", 3),
    )


def test_a_closed_schema_does_not_refuse_what_a_subgraph_may_have_written() -> None:
    graph = parse_definition(
        {
            "id": "g",
            "state": {"schema": {"properties": {"n": {}}, "additionalProperties": False}},
            "nodes": [
                {"id": "sub", "type": "subgraph", "config": {"graph": "other"}},
                {"id": "t", "type": "transform", "config": {"set": {"n": "state.total"}}},
            ],
        }
    )

    assert validate(graph, builtin_registry()).problems == ()
