"""``foreach``: child scopes, their results and their failures."""

import asyncio
from typing import Any

import pytest

from graphwire import Graph
from graphwire.types import Ordering
from tests.engine.running import course, nothing, turn


def each(body: Any, **config: Any) -> Graph:
    config = {"items": "state.list", "body": body, **config}
    return (
        Graph("g").node("each", "foreach", config, output="results").node(nothing(), id="after").edge("each", "after")
    )


async def double(item: int) -> int:
    return item * 2


async def test_results_stand_in_item_order_whatever_finishes_first() -> None:
    gates = [asyncio.Event() for _ in range(4)]
    gates[3].set()

    async def work(item: int, index: int) -> list[int]:
        await gates[item].wait()
        if item:
            gates[item - 1].set()
        return [item, index]

    done = await course(each(Graph("b").node(work), max_parallelism=4), {"list": [0, 1, 2, 3]})

    assert done.state["results"] == [{"work": [n, n]} for n in range(4)] or done.state["results"] == [
        [n, n] for n in range(4)
    ]


async def test_a_body_of_one_node_gives_that_nodes_result() -> None:
    body = {"id": "twice", "type": "transform", "config": {"set": {"value": "state.item * 2"}}}

    done = await course(each(body), {"list": [1, 2]})

    assert done.state["results"] == [{"value": 2}, {"value": 4}]
    inner = [event for event in done.of("node_completed") if event.node_id == "twice"]
    assert [event.path[0]["index"] for event in inner if event.path] == [0, 1]
    assert done.one("execution_completed").steps == 2


async def test_a_body_of_several_nodes_gives_what_each_item_wrote() -> None:
    async def more(twice: int) -> dict[str, int]:
        return {"more": twice + 1}

    body = Graph("b").node(double, id="twice").node(more).edge("twice", more)

    done = await course(each(body), {"list": [1, 2]})

    assert done.state["results"] == [{"more": 3, "twice": 2}, {"more": 5, "twice": 4}]
    assert "more" not in done.state


@pytest.mark.parametrize("ordering", ["as_finished", "deterministic"])
async def test_once_an_item_has_failed_no_further_ones_are_opened(ordering: Ordering) -> None:
    begun: list[int] = []
    is_waiting = asyncio.Event()

    async def work(item: int) -> None:
        begun.append(item)
        if item == 1:
            is_waiting.set()
            await asyncio.Event().wait()
        await is_waiting.wait()
        raise ValueError("no")

    graph = each(Graph("b").node(work), max_parallelism=2)
    done = await course(graph, {"list": list(range(10))}, ordering=ordering)

    assert begun == [0, 1]
    assert [event.path[0]["index"] for event in done.of("node_started") if event.path] == [0, 1]
    assert done.nodes("node_cancelled") == ["work"]
    assert done.finished.status == "failed"
    assert done.finished.error is not None
    assert done.finished.error.node == "each"


@pytest.mark.bad_input(97)
async def test_no_items_go_straight_on() -> None:
    done = await course(each(Graph("b").node(double)), {"list": []})

    assert done.state["results"] == []
    assert done.nodes() == ["each", "after"]


@pytest.mark.bad_input(97)
@pytest.mark.parametrize("items", [3, "text", {"a": 1}, None])
async def test_items_that_are_no_list_are_an_input_error(items: Any) -> None:
    done = await course(each(Graph("b").node(double)), {"list": items})

    assert done.finished.error is not None
    assert done.finished.error.code == "input_error"


@pytest.mark.bad_input(97)
async def test_many_items_keep_to_the_bound_of_parallelism() -> None:
    now = most = 0

    async def work(item: int) -> int:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await turn()
        now -= 1
        return item

    body = {"id": "work", "type": "function", "config": {"function": work}}
    done = await course(each(body, max_parallelism=7), {"list": list(range(2_000))})

    assert done.state["results"] == list(range(2_000))
    assert most == 7
    assert 2 <= len(done.of("node_progress")) <= 21


async def test_an_items_failure_fails_the_opener_with_the_path() -> None:
    async def bad(item: int) -> int:
        if item == 2:
            raise ValueError("two")
        return item

    done = await course(each(Graph("b").node(bad)), {"list": [1, 2, 3]})

    assert done.finished.error is not None
    assert done.finished.error.message == "two"
    assert done.finished.error.node == "each"
    assert [step["index"] for step in done.finished.error.path] == [1]  # type: ignore[union-attr]  # it has a path
    assert done.nodes("node_failed") == ["bad", "each"]


async def test_collect_puts_an_items_error_in_its_place() -> None:
    async def bad(item: int) -> int:
        if item == 2:
            raise ValueError("two")
        return item

    body = {"id": "bad", "type": "function", "config": {"function": bad}}
    done = await course(each(body, on_item_error="collect"), {"list": [1, 2, 3]})

    one, two, three = done.state["results"]
    assert (one, three) == (1, 3)
    assert two["message"] == "two"
    assert done.finished.status == "completed"


async def test_the_openers_error_edge_handles_an_items_failure_and_other_items_are_ended() -> None:
    started = asyncio.Event()

    async def work(item: int) -> None:
        if item == 0:
            await started.wait()
            raise ValueError("first")
        started.set()
        await asyncio.Event().wait()

    graph = Graph("g").node("each", "foreach", {"items": "state.list", "body": Graph("b").node(work)})
    graph.node(nothing(), id="rescue").edge("each", "rescue", on="error")

    done = await course(graph, {"list": [0, 1]})

    assert done.finished.status == "completed"
    assert done.nodes("node_cancelled") == ["work"]
    assert done.nodes() == ["rescue"]


async def test_each_item_counts_its_own_steps() -> None:
    graph = Graph("g", limits={"max_steps": 3}, state={"list": list(range(20))})
    graph.node("each", "foreach", {"items": "state.list", "body": Graph("b").node(double)})
    looping = Graph("g", limits={"max_steps": 3}, state={"list": [1]})
    body = {
        "nodes": [
            {"id": "s", "type": "function", "config": {"function": nothing()}},
            {"id": "a", "type": "function", "config": {"function": nothing()}},
        ],
        "edges": [{"source": "s", "target": "a"}, {"source": "a", "target": "a"}],
    }
    looping.node("each", "foreach", {"items": "state.list", "body": body})

    assert (await course(graph)).finished.status == "completed"
    failed = (await course(looping)).finished.error
    assert failed is not None
    assert failed.code == "max_steps_exceeded"


async def test_foreach_nests() -> None:
    inner = {"id": "inner", "type": "foreach", "config": {"items": "state.item", "item": "x", "body": {
        "id": "sum", "type": "transform", "config": {"set": {"v": "state.x + 1"}}}}}  # fmt: skip

    done = await course(each(inner), {"list": [[1, 2], [3]]})

    assert done.state["results"] == [[{"v": 2}, {"v": 3}], [{"v": 4}]]
    deepest = [event.path for event in done.of("node_completed") if event.node_id == "sum"]
    assert [len(path) for path in deepest if path] == [2, 2, 2]


async def test_an_item_that_fails_while_something_sleeps_in_it_fails_the_opener() -> None:
    async def bad() -> None:
        raise ValueError("no")

    body = Graph("b").node("sleep", "delay", {"seconds": 60}).node(bad)

    done = await course(each(body), {"list": [1]})

    assert done.finished.status == "failed"
    assert done.nodes("node_cancelled") == ["sleep"]
    assert done.nodes("node_failed") == ["bad", "each"]
