"""``switch``: one of several ways on."""

from typing import Any

import pytest

from graphwire import Graph
from graphwire.types import ErrorPolicy
from tests.engine.running import course

CASES = [{"when": "state.n > 10", "then": "large"}, {"when": "state.n > 5", "then": "medium"}]


def switch(default: str | None = "small", **options: Any) -> Graph:
    config: dict[str, Any] = {"cases": CASES, **({} if default is None else {"default": default})}
    graph = Graph("g").node("size", "switch", config, **options)
    for name in ("small", "medium", "large") if default else ("medium", "large"):
        graph.node(name, "transform").edge("size", name)
    return graph


@pytest.mark.capability("NOD-05")
@pytest.mark.parametrize(("n", "chosen"), [(20, "large"), (7, "medium"), (1, "small")])
async def test_the_first_case_that_holds_is_taken_and_else_the_default(n: int, chosen: str) -> None:
    done = await course(switch(), {"n": n})

    assert done.nodes() == ["size", chosen]
    assert done.of("node_completed")[0].data.edges == [f"size>{chosen}"]
    assert done.state == {"n": n}


@pytest.mark.capability("NOD-05")
async def test_no_case_and_no_default_is_no_route() -> None:
    done = await course(switch(None), {"n": 1})

    assert done.finished.error is not None
    assert done.finished.error.code == "no_route"


async def test_output_takes_the_id_of_the_chosen_node() -> None:
    assert (await course(switch(output="size"), {"n": 7})).state == {"n": 7, "size": "medium"}


async def test_a_condition_that_fails_fails_the_attempt_and_later_ones_are_not_looked_at() -> None:
    failed = await course(switch(), {"n": "text"})
    graph = Graph("g").node("pick", "switch", {"cases": [{"when": "true", "then": "a"}, {"when": "1/0", "then": "b"}]})
    graph.node("a", "transform").node("b", "transform").edge("pick", "a").edge("pick", "b")

    assert failed.finished.error is not None
    assert failed.finished.error.code == "expression_error"
    assert (await course(graph)).nodes() == ["pick", "a"]


async def test_edges_for_both_ends_fire_as_at_any_node() -> None:
    graph = switch().node("always", "transform").edge("size", "always", on="always")
    graph.node("rescue", "transform").edge("size", "rescue", on="error")

    assert sorted((await course(graph, {"n": 7})).nodes()) == ["always", "medium", "size"]
    assert sorted((await course(graph, {"n": "x"})).nodes()) == ["always", "rescue"]


@pytest.mark.parametrize(("policy", "expected"), [("continue", ["small"]), ("skip", [])])
async def test_a_failure_that_is_passed_over_goes_to_the_default(policy: ErrorPolicy, expected: list[str]) -> None:
    assert (await course(switch(on_error=policy), {"n": "x"})).nodes() == expected


async def test_branches_that_were_not_taken_are_not_waited_for() -> None:
    graph = switch().node("end", "transform")
    for name in ("small", "medium", "large"):
        graph.edge(name, "end")

    assert (await course(graph, {"n": 7})).nodes() == ["size", "medium", "end"]
