"""The built-in node types, run by the engine."""

import asyncio
import threading
from typing import Any

import pytest

from graphwire import Graph, run
from graphwire.events.encoding import Envelope
from graphwire.events.types import NodeCompleted
from tests.engine.hosting import heard, hosted


async def test_a_transform_writes_and_deletes_in_the_state() -> None:
    graph = Graph("g").node("n", "transform", {"set": {"sum": "state.a + state.b"}, "delete": ["a", "missing"]})

    finished = await run(graph, {"a": 1, "b": 2})

    assert finished.state == {"b": 2, "sum": 3}


async def test_a_template_leaves_its_text_under_its_id_or_output() -> None:
    graph = Graph("g").node("one", "template", {"text": "{{ state.a }}!"})
    graph.node("two", "template", {"text": "{{ state.one }}?"}, output="said").edge("one", "two")

    assert (await run(graph, {"a": "hi"})).state == {"a": "hi", "one": "hi!", "said": "hi!?"}


async def test_a_node_whose_expression_fails_takes_its_error_edge() -> None:
    graph = Graph("g").node("n", "transform", {"set": {"a": "state.b"}}).node("handled", "template", {"text": "yes"})
    graph.edge("n", "handled", on="error")

    finished = await run(graph)

    assert finished.state["handled"] == "yes"
    assert finished.errors[0]["code"] == "expression_error"


@pytest.mark.capability("NOD-13")
async def test_a_delay_lasts_as_long_as_it_says() -> None:
    events: list[Envelope] = []

    await run(Graph("g").node("n", "delay", {"seconds": 0.05}), on_event=events.append)

    (completed,) = [event.data for event in events if isinstance(event.data, NodeCompleted)]
    assert completed.duration_ms >= 50


@pytest.mark.capability("NOD-13")
async def test_a_delay_of_a_minute_is_cancelled_at_once() -> None:
    loop = asyncio.get_running_loop()

    async with hosted() as host:
        runner = await host.start(host.runner(Graph("g").node("n", "delay", {"seconds": 60})))
        await heard(runner, "node_started")
        began = loop.time()
        await runner.cancel("enough", by="somebody")
        events = await host.ended(runner)
        took = loop.time() - began

    assert took < 30
    assert [event.type for event in events][-3:] == ["node_cancelled", "execution_cancelled", "stream_end"]


async def test_a_delay_gives_no_result() -> None:
    graph = Graph("g").node("n", "delay", {"seconds": "state.a / 1000"})

    assert (await run(graph, {"a": 1})).state == {"a": 1}


async def test_a_delay_that_is_no_number_fails_with_an_input_error() -> None:
    finished = await run(Graph("g").node("n", "delay", {"seconds": "state.a"}), {"a": "soon"})

    assert finished.error is not None
    assert finished.error.code == "input_error"


async def test_a_foreach_lists_the_results_in_the_order_of_the_items() -> None:
    body = {"id": "square", "type": "transform", "config": {"set": {"squared": "state.x * state.x + state.at"}}}
    config = {"items": "state.numbers", "body": body, "item": "x", "index": "at", "max_parallelism": 4}

    finished = await run(Graph("g").node("all", "foreach", config), {"numbers": list(range(20))})

    assert finished.state["all"] == [{"squared": n * n + n} for n in range(20)]
    assert set(finished.state) == {"numbers", "all"}


async def test_a_foreach_collects_the_errors_of_its_items() -> None:
    body = {"id": "invert", "type": "transform", "config": {"set": {"y": "1 / state.item"}}}
    config = {"items": "[1, 0, 4]", "body": body, "on_item_error": "collect"}

    finished = await run(Graph("g").node("all", "foreach", config))

    first, second, third = finished.state["all"]
    assert (first, third) == ({"y": 1.0}, {"y": 0.25})
    assert (second["code"], second["node"]) == ("expression_error", "invert")


@pytest.mark.bad_input(97)
async def test_a_foreach_over_nothing_goes_straight_on_and_over_no_list_fails() -> None:
    def graph(items: str) -> Graph:
        body = {"id": "b", "type": "transform"}
        return Graph("g").node("all", "foreach", {"items": items, "body": body})

    assert (await run(graph("[]"))).state == {"all": []}
    failed = await run(graph("5"))
    assert failed.error is not None
    assert failed.error.code == "input_error"


@pytest.mark.capability("NOD-01", "NOD-02")
async def test_a_function_gets_state_keys_by_name_and_runs_off_the_loop() -> None:
    threads: list[int] = []

    def add(a: int, state: Any, b: int = 10) -> int:
        threads.append(threading.get_ident())
        return a + b + len(state)

    async def double(total: int) -> dict[str, int]:
        threads.append(threading.get_ident())
        return {"doubled": total * 2}

    graph = Graph("g").node(add, output="total").node(double).edge(add, double)

    finished = await run(graph, {"a": 1})

    assert finished.state == {"a": 1, "total": 12, "doubled": 24}
    assert threads[0] != threading.get_ident() == threads[1]


async def test_a_function_whose_key_is_missing_fails_with_an_input_error() -> None:
    def need(something: int) -> int:
        return something

    finished = await run(Graph("g").node(need))

    assert finished.error is not None
    assert finished.error.code == "input_error"


async def test_inner_nodes_of_a_foreach_say_where_they_are() -> None:
    events: list[Envelope] = []
    body = {
        "nodes": [{"id": "a", "type": "transform"}, {"id": "b", "type": "transform"}],
        "edges": [{"source": "a", "target": "b"}],
    }

    await run(Graph("g").node("all", "foreach", {"items": "[1, 2]", "body": body}), on_event=events.append)

    inner = [(event.node_id, event.path[0]["index"]) for event in events if event.type == "node_started" and event.path]
    assert sorted(inner) == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]
