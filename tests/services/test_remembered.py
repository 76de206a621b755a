"""What is remembered of graphs is bounded by what it weighs, and goes with its graph."""

import gc
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, strategies as st

from app.services.derived import plan_bytes
from app.services.graphs import GraphService
from app.services.remembered import Memory, Part
from app.storage.database import Database
from app.storage.repositories.graphs import GraphRepository
from graphwire.clock import SystemClock
from graphwire.engine.plan import compile_plan
from graphwire.engine.supervisor import Supervisor
from graphwire.graphs.code import Code
from graphwire.graphs.definition import parse_definition
from graphwire.nodes import builtin_registry
from graphwire.types import GraphId

A, B, C = ((GraphId(name), 1) for name in "abc")


def test_beyond_the_bound_goes_what_was_not_used_for_longest() -> None:
    memory = Memory(100)
    plans, texts = Part[str](memory), Part[bytes](memory)
    plans.keep(A, "plan", 20)
    texts.keep(A, b"text", 20)
    plans.keep(B, "other", 40)
    assert texts.get(A) == b"text"

    plans.keep(C, "third", 40)

    assert (plans.get(A), texts.get(A), plans.get(B), plans.get(C)) == ("plan", b"text", None, "third")
    assert memory.weight == 80


def test_what_is_heavier_than_the_bound_is_remembered_alone_until_something_else_is() -> None:
    memory = Memory(100)
    plans, texts = Part[str](memory), Part[bytes](memory)
    plans.keep(A, "light", 10)

    plans.keep(B, "heavy", 1_000)
    texts.keep(B, b"text", 10)
    assert (plans.get(A), plans.get(B), texts.get(B)) == (None, "heavy", b"text")

    plans.keep(C, "light", 10)
    assert (plans.get(B), texts.get(B), plans.get(C), memory.weight) == (None, None, "light", 10)


def test_all_about_a_graph_is_forgotten_with_it() -> None:
    memory = Memory(100)
    plans, texts = Part[str](memory), Part[bytes](memory)
    for version in range(1, 4):
        plans.keep((A[0], version), "plan", 10)
    texts.keep(A, b"text", 10)
    texts.keep(B, b"text", 10)

    memory.forget(A[0])

    assert (plans.get(A), texts.get(A), texts.get(B)) == (None, None, b"text")
    assert (len(memory), memory.weight) == (1, 10)


@given(st.lists(st.tuples(st.sampled_from("pqf"), st.sampled_from([A, B, C]), st.integers(0, 60)), max_size=40))
def test_what_is_remembered_never_weighs_more_than_the_bound_but_for_one_version(
    steps: list[tuple[str, tuple[GraphId, int], int]],
) -> None:
    memory = Memory(50)
    parts = {"p": Part[int](memory), "q": Part[int](memory)}

    for step, key, weight in steps:
        if step == "f":
            memory.forget(key[0])
        else:
            parts[step].keep(key, weight, weight)
            assert parts[step].get(key) == weight
        kept = [found for part in parts.values() for each in (A, B, C) if (found := part.get(each)) is not None]
        assert memory.weight == sum(kept)
        assert memory.weight <= 50 or len(memory) == 1


def graph(id: str, count: int = 1, *, when: str | None = None, config: dict[str, Any] | None = None) -> dict[str, Any]:
    nodes = [
        {"id": f"n{number}", "type": "transform", "config": config or {"set": {"x": "1"}}} for number in range(count)
    ]
    edges: list[dict[str, Any]] = [{"source": f"n{number}", "target": f"n{number + 1}"} for number in range(count - 1)]
    if when is not None:
        edges = [{**edge, "when": when} for edge in edges]
    return {"id": id, "nodes": nodes, "edges": edges}


async def test_everything_that_is_remembered_of_a_graph_goes_when_it_is_deleted(database: Database) -> None:
    memory = Memory(2**30)
    async with Supervisor() as supervisor:
        registry, clock = builtin_registry(), SystemClock()
        graphs = GraphService(
            GraphRepository(database), registry, supervisor, clock, memory, max_nodes=10, max_edges=10
        )
        for id in "ab":
            await graphs.create(graph(id))
            await graphs.replace(GraphId(id), graph(id, 2), expected={1})
            for version in (1, 2):
                await graphs.version(GraphId(id), version)
                await graphs.runnable(GraphId(id), version)
                await graphs.replayable(GraphId(id), version)
        both, weight = len(memory), memory.weight

        await graphs.delete(GraphId("a"))
        assert (len(memory) * 2, memory.weight * 2) == (both, weight)
        await graphs.delete(GraphId("b"))
        assert (len(memory), memory.weight) == (0, 0)


@pytest.mark.parametrize(
    "value",
    [
        graph("nodes", 500),
        graph("conditions", 300, when="state.a + 1 > 2 and state.b[0] == 'x'"),
        graph("expressions", 20, config={"set": {f"k{number}": "state.a + 1" for number in range(20)}}),
    ],
    ids=lambda value: value["id"],
)
def test_a_plan_takes_about_what_it_is_taken_for(value: dict[str, Any]) -> None:
    definition, registry = parse_definition(value), builtin_registry()
    compile_plan(definition, registry, Code(), 1)  # what the first one leaves behind is not its own
    gc.collect()
    tracemalloc.start()
    plan = compile_plan(definition, registry, Code(), 1)
    gc.collect()
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert plan.nodes
    assert 0.4 * taken < plan_bytes(definition) < 4 * taken
