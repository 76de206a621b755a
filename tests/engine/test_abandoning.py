"""When the engine itself fails, what it runs is interrupted and its execution ends."""

import asyncio
import logging
from typing import Any

import pytest

from graphwire import Graph
from graphwire.engine.attempt import Attempt
from graphwire.engine.options import Options
from tests.engine.hosting import hosted
from tests.engine.running import turn
from tests.waiting import PATIENCE_S


@pytest.mark.parametrize("in_order", [False, True])
async def test_an_execution_whose_engine_fails_interrupts_all_that_runs_and_ends(
    in_order: bool, caplog: pytest.LogCaptureFixture
) -> None:
    interrupted: list[str] = []
    under_way = asyncio.Semaphore(0)

    async def wait_for_ever(name: str) -> None:
        under_way.release()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            interrupted.append(name)
            raise

    async def long() -> None:
        await wait_for_ever("long")

    async def inner(item: int) -> None:
        await wait_for_ever(f"inner {item}")

    async def fatal() -> int:
        for _ in range(3):
            await under_way.acquire()
        return 1

    graph = (
        Graph("g", state={"list": [0, 1]})
        .node(fatal)
        .node(long)
        .node("timer", "delay", {"seconds": 3000})
        .node("each", "foreach", {"items": "state.list", "body": Graph("b").node(inner)})
        .node("after", "transform", {})
        .edge("long", "after")
    )

    async with hosted() as host, asyncio.timeout(PATIENCE_S):
        runner = host.runner(graph, options=Options(seed=7, in_order=in_order))
        commit = runner.execution.commit

        def broken(attempt: Attempt, value: Any, error: BaseException | None) -> None:
            if attempt.node.id == "fatal":
                raise RuntimeError("a fault of the engine")
            commit(attempt, value, error)

        runner.execution.commit = broken  # type: ignore[method-assign]
        with caplog.at_level(logging.CRITICAL, logger="graphwire.engine.runner"):
            events = await host.ended(await host.start(runner))
        while len(interrupted) < 3:
            await turn()
        again = await host.events(Graph("h").node("next", "transform", {"set": {"x": "1"}}))

    cancelled = [(str(event.node_id), event.data.reason) for event in events if event.type == "node_cancelled"]
    failed = events[-2]
    assert sorted(interrupted) == ["inner 0", "inner 1", "long"]
    assert sorted(cancelled) == [
        (node, "the engine failed") for node in ("each", "fatal", "inner", "inner", "long", "timer")
    ]
    assert (failed.type, failed.data.error.code) == ("execution_failed", "internal")
    assert runner.status == "failed"
    assert again[-2].type == "execution_completed"
