"""``priority`` of nodes: which of several that are ready begins first."""

from typing import cast

import pytest
from hypothesis import given, strategies as st

from graphwire import Graph
from graphwire.engine.policies.line import LEVELS
from graphwire.types import Ordering, Priority
from tests.engine.running import course

PRIORITIES: list[Priority] = ["low", "normal", "high", "critical"]


def fan(priorities: list[Priority | None]) -> Graph:
    """A node after which all others are ready at once, of which one runs at a time."""
    graph = Graph("fan", limits={"max_parallelism": 1})
    graph.node("start", "transform", {"set": {"begun": "true"}})
    for number, priority in enumerate(priorities):
        id, config = f"n{number}", {"set": {f"v{number}": "1"}}
        if priority is None:
            graph.node(id, "transform", config)
        else:
            graph.node(id, "transform", config, priority=priority)
        graph.edge("start", id)
    return graph


@pytest.mark.capability("SCH-04")
@pytest.mark.parametrize("ordering", ["as_finished", "deterministic"])
async def test_ready_nodes_begin_by_priority_then_in_definition_order(ordering: str) -> None:
    done = await course(fan(["low", "high", None, "critical", "high"]), ordering=cast("Ordering", ordering))

    assert done.nodes("node_started") == ["start", "n3", "n1", "n4", "n2", "n0"]


@pytest.mark.capability("SCH-09")
@given(priorities=st.lists(st.sampled_from([*PRIORITIES, None]), min_size=1, max_size=12))
async def test_of_equals_the_one_that_was_ready_first_begins_first(priorities: list[Priority | None]) -> None:
    done = await course(fan(priorities))

    ranked = sorted(range(len(priorities)), key=lambda number: -LEVELS[priorities[number] or "normal"])
    assert done.nodes("node_started")[1:] == [f"n{number}" for number in ranked]


async def test_a_node_inside_a_body_is_ordered_likewise() -> None:
    body = {
        "nodes": [
            {"id": "a", "type": "transform", "config": {"set": {"a": "1"}}},
            {"id": "b", "type": "transform", "config": {"set": {"b": "1"}}, "priority": "high"},
        ]
    }
    graph = Graph("g", limits={"max_parallelism": 1})
    graph.node("each", "foreach", {"items": "[1]", "body": body})

    assert (await course(graph)).nodes("node_started") == ["each", "b", "a"]
