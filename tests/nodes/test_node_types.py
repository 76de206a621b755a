"""The built-in node types: their configs, and what they make of them."""

from types import MappingProxyType
from typing import Any

import pytest

from graphwire.errors import ExpressionFailed, GraphInvalid, InputError
from graphwire.graphs.behaviour import Call, Compute, ForEach, Mode, Parameter, Wait
from graphwire.graphs.code import Code
from graphwire.graphs.definition import GraphDefinition, parse_definition
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


@pytest.mark.parametrize("node_type", ["transform", "template", "delay", "foreach", "function"])
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
    ],
)
def test_a_config_that_does_not_fit_is_refused_at_its_field(
    node_type: str, config: dict[str, Any], pointer: str
) -> None:
    assert f"/nodes/0/config{pointer}" in [place for place, _ in problems(node_type, config)]


def test_types_without_parameters_refuse_input() -> None:
    for node_type in ("transform", "template", "delay", "foreach"):
        registered = builtin_registry().get(node_type)
        assert registered is not None
        assert not registered.takes_input


def test_every_type_describes_itself_with_a_schema() -> None:
    described = {each["name"]: each for each in builtin_registry().describe()}

    assert list(described) == ["function", "transform", "template", "delay", "foreach"]
    assert [name for name, each in described.items() if each["uses_code"]] == ["function"]
    for each in described.values():
        assert each["title"]
        assert each["description"]
        assert each["config"]["additionalProperties"] is False


def test_a_config_is_refused_without_a_look_at_the_rest() -> None:
    with pytest.raises(GraphInvalid):
        prepare("delay", {})
