"""Graphs written in Python are the same as their JSON form."""

import math
from typing import Any

import pytest

from graphwire.errors import GraphInvalid
from graphwire.graphs.builder import Graph
from graphwire.graphs.definition import Limits, parse_definition
from graphwire.graphs.validation import check
from tests.graphs.samples import REGISTRY

HERE = __name__


def fetch(order: int) -> int:
    return order


async def price(order: int) -> int:
    return order * 2


def keep(old: Any, written: Any) -> Any:
    return old or written


def test_a_graph_in_python_equals_its_json_form() -> None:
    graph = (
        Graph(
            "orders",
            name="Orders",
            description="Prices orders.",
            state={"order": 5},
            schema={"type": "object"},
            reducers={"seen": "append", "kept": keep},
            conflicts={"order": "fail"},
            on_conflict="merge",
            limits={"max_steps": 10},
            on_error="continue",
            metadata={"team": "shop"},
        )
        .node(fetch, output="order", timeout_s=2)
        .node(price, id="pricing", join="any", goto=["fetch"])
        .node("total", "plain", {"limit": 3}, name="Total")
        .edge(fetch, price, when="state.order > 1")
        .edge("pricing", "total", else_=True, label="otherwise")
        .edge("pricing", "total", on="error", id="failed")
        .entry(fetch)
    )

    assert graph.definition == parse_definition(
        {
            "id": "orders",
            "name": "Orders",
            "description": "Prices orders.",
            "entry": ["fetch"],
            "nodes": [
                {
                    "id": "fetch",
                    "type": "function",
                    "config": {"function": f"{HERE}:fetch"},
                    "output": "order",
                    "timeout_s": 2,
                },
                {
                    "id": "pricing",
                    "type": "function",
                    "config": {"function": f"{HERE}:price"},
                    "join": "any",
                    "goto": ["fetch"],
                },
                {"id": "total", "type": "plain", "config": {"limit": 3}, "name": "Total"},
            ],
            "edges": [
                {"source": "fetch", "target": "pricing", "when": "state.order > 1"},
                {"source": "pricing", "target": "total", "else": True, "label": "otherwise"},
                {"source": "pricing", "target": "total", "on": "error", "id": "failed"},
            ],
            "state": {
                "initial": {"order": 5},
                "schema": {"type": "object"},
                "reducers": {"seen": "append", "kept": f"{HERE}:keep"},
                "conflicts": {"order": "fail"},
                "on_conflict": "merge",
            },
            "limits": {"max_steps": 10},
            "on_error": "continue",
            "metadata": {"team": "shop"},
        }
    )
    assert check(graph.definition, REGISTRY, code=graph.code)[1] == ()


def test_the_code_of_a_graph_resolves_its_functions() -> None:
    graph = Graph("orders", reducers={"kept": keep}).node(fetch)

    assert graph.code.resolve(f"{HERE}:fetch") is fetch
    assert graph.code.resolve(f"{HERE}:keep") is keep


def test_functions_become_nodes_by_decoration_and_stay_functions() -> None:
    graph = Graph("orders")

    @graph.node()
    def first(order: int) -> int:
        return order + 1

    @graph.node(id="second", output="x")
    def other(order: int) -> int:
        return order + 2

    graph.edge(first, other)

    assert (first(1), other(1)) == (2, 3)
    assert [node.id for node in graph.definition.nodes] == ["first", "second"]
    assert graph.definition.edges[0].id == "first>second"


def test_different_functions_of_one_name_are_told_apart() -> None:
    graph = Graph("orders").node(lambda order: 1, id="a").node(lambda order: 2, id="b")

    references = [node.config["function"] for node in graph.definition.nodes]

    assert len(set(references)) == 2
    assert [graph.code.resolve(reference)(0) for reference in references] == [1, 2]


def test_a_body_may_be_a_graph_and_its_functions_belong_to_the_whole() -> None:
    body = Graph("body").node(fetch).node(price).edge(fetch, price)
    graph = Graph("orders").node("each", "each", {"body": body})

    assert graph.definition.nodes[0].config["body"] == {
        "nodes": [
            {"id": "fetch", "type": "function", "config": {"function": f"{HERE}:fetch"}},
            {"id": "price", "type": "function", "config": {"function": f"{HERE}:price"}},
        ],
        "edges": [{"source": "fetch", "target": "price", "on": "success", "else": False}],
    }
    assert check(graph.definition, REGISTRY, code=graph.code)[1] == ()


def test_a_definition_is_not_changed_by_what_is_added_later() -> None:
    state = {"items": [1]}
    graph = Graph("orders", state=state, limits=Limits(max_steps=3)).node(fetch)
    before = graph.definition

    state["items"].append(2)
    graph.node(price)

    assert before.state.initial == {"items": [1]}
    assert (len(before.nodes), len(graph.definition.nodes)) == (1, 2)
    assert before.limits.max_steps == 3


@pytest.mark.bad_input(12)
@pytest.mark.parametrize("value", [object(), math.nan, {1, 2}, b"x", "\ud800", 2**70])
def test_a_value_that_is_no_json_is_refused(value: Any) -> None:
    with pytest.raises(GraphInvalid):
        _ = Graph("orders", state={"x": value}).node(fetch).definition


def test_a_value_that_holds_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)

    with pytest.raises(GraphInvalid):
        _ = Graph("orders", state={"x": loop}).node(fetch).definition


def test_problems_of_shape_show_all_at_once() -> None:
    graph = Graph("or ders").node("a b", "plain").node("c")

    with pytest.raises(GraphInvalid) as caught:
        _ = graph.definition

    assert [problem.pointer for problem in caught.value.problems] == ["/id", "/nodes/0/id", "/nodes/1/type"]


def test_a_decorator_without_brackets_is_told_so() -> None:
    graph = Graph("orders")

    @graph.node
    def first(order: int) -> int:
        return order

    with pytest.raises(TypeError, match="brackets"):
        graph.edge(first, "b")  # type: ignore[arg-type]  # the mistake that is tested
