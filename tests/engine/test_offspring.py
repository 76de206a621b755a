"""Tasks that a node leaves behind."""

import asyncio
import contextvars
from typing import Any

import pytest

from graphwire import Context, Graph, run
from tests.engine.running import course, nothing, turn


async def until_cancelled(cancelled: list[str], name: str) -> None:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        cancelled.append(name)
        raise


@pytest.mark.bad_input(94)
async def test_tasks_that_a_node_leaves_behind_are_cancelled_with_its_attempt() -> None:
    cancelled: list[str] = []
    made: list[asyncio.Task[None]] = []

    async def node() -> None:
        made.append(asyncio.create_task(until_cancelled(cancelled, "left")))
        await turn()

    done = await course(Graph("g").node(node).node(nothing(), id="next").edge(node, "next"))

    assert done.nodes() == ["node", "next"]
    await asyncio.wait(made)
    assert cancelled == ["left"]
    warning = done.one("diagnostic")
    assert (warning.problem, warning.severity) == ("tasks_left_behind", "warning")


@pytest.mark.bad_input(94)
@pytest.mark.parametrize("how", ["fails", "times_out"])
async def test_however_the_attempt_ends(how: str) -> None:
    cancelled: list[str] = []
    made: list[asyncio.Task[None]] = []

    async def node() -> None:
        made.append(asyncio.create_task(until_cancelled(cancelled, how)))
        await turn()
        if how == "fails":
            raise ValueError("no")
        await asyncio.Event().wait()

    done = await course(Graph("g").node(node, timeout_s=0.05))

    assert done.finished.status == "failed"
    await asyncio.wait(made)
    assert cancelled == [how]


@pytest.mark.bad_input(94)
async def test_the_tasks_of_its_tasks_are_its_too() -> None:
    cancelled: list[str] = []
    inner: list[asyncio.Task[None]] = []
    begun = asyncio.Event()

    async def outer() -> None:
        inner.append(asyncio.create_task(until_cancelled(cancelled, "inner")))
        await turn()
        begun.set()

    async def node() -> None:
        asyncio.ensure_future(outer())  # noqa: RUF006  # left on purpose
        await begun.wait()

    await course(Graph("g").node(node))

    await asyncio.wait(inner)
    assert cancelled == ["inner"]


async def test_a_task_with_a_context_of_its_own_lives_on() -> None:
    made: list[asyncio.Task[int]] = []
    release = asyncio.Event()

    async def long() -> int:
        await release.wait()
        return 1

    async def node() -> None:
        made.append(asyncio.create_task(long(), context=contextvars.copy_context()))

    done = await course(Graph("g").node(node))

    release.set()
    assert await made[0] == 1
    assert "diagnostic" not in done.types()


async def test_tasks_that_a_node_awaits_and_those_of_others_are_left_alone() -> None:
    async def one(number: int) -> int:
        await turn()
        return number

    others: list[asyncio.Task[int]] = []

    async def node(ctx: Context) -> dict[str, Any]:
        found = await asyncio.gather(one(1), one(2))
        async with asyncio.TaskGroup() as group:
            third = group.create_task(one(3))
        inner = await run(Graph("inner").node(nothing(), id="x"))
        return {"found": [*found, third.result()], "inner": inner.status}

    async def other() -> int:
        others.append(asyncio.get_running_loop().create_task(one(4)))
        return await others[0]

    outside = asyncio.create_task(other())
    done = await course(Graph("g").node(node))

    assert done.state == {"found": [1, 2, 3], "inner": "completed"}
    assert "diagnostic" not in done.types()
    assert await outside == 4


async def test_the_loops_own_task_factory_is_as_it_was() -> None:
    loop = asyncio.get_running_loop()
    made: list[str] = []

    def factory(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
        made.append("task")
        return asyncio.Task(coro, loop=loop, **options)

    loop.set_task_factory(factory)
    try:
        await course(Graph("g").node(nothing(), id="a"))
        assert loop.get_task_factory() is factory
        assert made
    finally:
        loop.set_task_factory(None)
