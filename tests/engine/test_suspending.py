"""Nodes that wait for an answer from outside."""

import asyncio
from typing import Any

import pytest

from graphwire import Context, Graph, run
from graphwire.engine.commands import Cancel, Input, Pause, Resume
from graphwire.engine.options import Options
from graphwire.engine.runner import Runner
from graphwire.errors import CommandNotAllowed, InterruptClosed, InvalidInput, NotFound
from graphwire.values import thaw
from tests.engine.hosting import Host, hosted
from tests.engine.running import turn
from tests.engine.test_control import became, both_orders, told

STEERING = (
    "node_started",
    "node_suspended",
    "input_received",
    "execution_paused",
    "execution_resumed",
    "node_completed",
)


async def started(host: Host, graph: Graph, options: Options | None = None, **kept: Any) -> Runner:
    """Start a graph and wait until all that is active waits for input."""
    runner = await host.start(host.runner(graph, options=options or Options(seed=7), **kept))
    await became(runner, "paused")
    return runner


def open_interrupt(runner: Runner) -> str:
    (interrupt,) = runner.interrupts()
    return interrupt.id


@both_orders
async def test_a_node_that_asks_waits_and_runs_again_from_its_top_with_its_answers(options: Options) -> None:
    runs: list[str] = []

    async def order(ctx: Context) -> dict[str, Any]:
        runs.append(ctx.idempotency_key)
        size = ctx.interrupt({"ask": "size"})
        name = ctx.interrupt({"ask": "name"})
        return {"size": size, "name": name}

    async with hosted() as host:
        runner = await started(host, Graph("g").node(order), options)
        assert runner.execution.running == 0
        await runner.command(Input(open_interrupt(runner), 42))
        await became(runner, "paused")
        await runner.command(Input(open_interrupt(runner), "Ada"))
        events = await host.ended(runner)

    assert told(events, *STEERING) == [
        "node_started order",
        "node_suspended order",
        "execution_paused",
        "input_received order",
        "execution_resumed",
        "node_started order",
        "node_suspended order",
        "execution_paused",
        "input_received order",
        "execution_resumed",
        "node_started order",
        "node_completed order",
    ]
    assert len(runs) == 3
    assert len(set(runs)) == 1
    assert events[-2].data.steps == 1
    assert thaw(bytes(events[-2].data.state)) == {"size": 42, "name": "Ada"}
    assert {event.data.reason for event in events if event.type == "execution_paused"} == {"waiting_for_input"}


async def test_a_plain_function_asks_from_its_thread() -> None:
    def approve(ctx: Context) -> bool:
        return bool(ctx.interrupt("sure?"))

    async with hosted() as host:
        runner = await started(host, Graph("g").node(approve))
        await runner.command(Input(open_interrupt(runner), True))
        events = await host.ended(runner)

    assert thaw(bytes(events[-2].data.state)) == {"approve": True}


async def test_a_node_may_ask_inside_a_task_group_and_cannot_swallow_it_by_accident() -> None:
    async def ask(ctx: Context) -> Any:
        answers: list[Any] = []

        async def inner() -> None:
            answers.append(ctx.interrupt("?"))

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(inner())
        except Exception:  # what careless nodes do
            return "swallowed"
        return answers

    async with hosted() as host:
        runner = await started(host, Graph("g").node(ask))
        await runner.command(Input(open_interrupt(runner), 1))
        events = await host.ended(runner)

    assert thaw(bytes(events[-2].data.state)) == {"ask": [1]}


@both_orders
async def test_other_branches_go_on_and_the_join_waits_for_the_answer(options: Options) -> None:
    gate = asyncio.Event()

    async def ask(ctx: Context) -> Any:
        return ctx.interrupt("?")

    async def other() -> str:
        await gate.wait()
        return "done"

    async def after(ask: Any, other: Any) -> list[Any]:
        return [ask, other]

    graph = Graph("g").node(ask).node(other).node(after).edge(ask, after).edge(other, after)
    async with hosted() as host:
        runner = await host.start(host.runner(graph, options=options))
        while not runner.interrupts():
            await turn()
        assert runner.status == "running"
        gate.set()
        await became(runner, "paused")
        await runner.command(Input(open_interrupt(runner), 7))
        events = await host.ended(runner)

    assert thaw(bytes(events[-2].data.state))["after"] == [7, "done"]


@both_orders
async def test_an_answer_that_comes_while_others_run_is_taken_at_once(options: Options) -> None:
    gate = asyncio.Event()

    async def ask(ctx: Context) -> Any:
        return ctx.interrupt("?")

    async def other() -> None:
        await gate.wait()

    async with hosted() as host:
        runner = await host.start(host.runner(Graph("g").node(ask).node(other), options=options))
        while not runner.interrupts():
            await turn()
        await runner.command(Input(open_interrupt(runner), 7))
        gate.set()
        events = await host.ended(runner)

    assert told(events, "execution_paused", "execution_resumed") == []
    assert events[-2].type == "execution_completed"


@pytest.mark.bad_input(101)
async def test_an_answer_of_the_wrong_shape_or_for_a_closed_interrupt_is_refused() -> None:
    async def ask(ctx: Context) -> Any:
        ctx.interrupt("sure?", schema={"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]})
        return ctx.interrupt("really?")

    async with hosted() as host:
        runner = await started(host, Graph("g").node(ask))
        first = open_interrupt(runner)
        with pytest.raises(InvalidInput) as shape:
            await runner.command(Input(first, {"ok": "yes"}))
        with pytest.raises(NotFound, match="did you mean"):
            await runner.command(Input(first + "1", {}))
        with pytest.raises(CommandNotAllowed, match="waits for input"):
            await runner.command(Resume())
        await runner.command(Input(first, {"ok": True}))
        with pytest.raises(InterruptClosed):
            await runner.command(Input(first, {"ok": True}))
        await became(runner, "paused")
        await runner.command(Cancel())
        await host.ended(runner)

    assert [(each.pointer, each.code) for each in shape.value.problems] == [("/value/ok", "value_invalid")]


@both_orders
async def test_what_nobody_answers_in_time_fails_the_attempt(options: Options) -> None:
    async def ask(ctx: Context) -> Any:
        return ctx.interrupt("?", timeout_s=0.05)

    async def late(errors: list[dict[str, Any]]) -> str:
        return str(errors[0]["code"])

    graph = Graph("g").node(ask).node(late).edge(ask, late, on="error")
    async with hosted() as host:
        runner = await host.start(host.runner(graph, options=options))
        events = await host.ended(runner)
        with pytest.raises(CommandNotAllowed):
            await runner.command(Input("any", 1))

    assert told(events, *STEERING, "node_failed")[:7] == [
        "node_started ask",
        "node_suspended ask",
        "execution_paused",
        "execution_resumed",
        "node_started ask",
        "node_failed ask",
        "node_started late",
    ]
    suspended = next(event for event in events if event.type == "node_suspended")
    assert suspended.data.expires_at.endswith("Z")
    assert thaw(bytes(events[-2].data.state))["late"] == "interrupt_expired"


@pytest.mark.bad_input(99)
async def test_the_first_of_an_answer_and_an_expiry_counts() -> None:
    async def ask(ctx: Context) -> Any:
        return ctx.interrupt("?", timeout_s=3600)

    async with hosted() as host:
        runner = await started(host, Graph("g").node(ask))
        name = open_interrupt(runner)
        answered = asyncio.create_task(runner.command(Input(name, 1)))
        await turn()
        runner.execution.suspending.expire(name)
        await answered
        events = await host.ended(runner)

    assert events[-2].type == "execution_completed"


@both_orders
async def test_cancelling_closes_what_waits(options: Options) -> None:
    async def ask(ctx: Context) -> Any:
        return ctx.interrupt("?")

    async with hosted() as host:
        runner = await started(host, Graph("g").node(ask), options)
        await runner.command(Cancel("enough"))
        events = await host.ended(runner)

    assert told(events, "node_suspended", "node_cancelled", "execution_cancelled") == [
        "node_suspended ask",
        "node_cancelled ask",
        "execution_cancelled",
    ]
    assert runner.interrupts() == []


@both_orders
async def test_an_answer_while_it_is_paused_by_a_command_does_not_set_it_going(options: Options) -> None:
    ran: list[str] = []

    async def ask(ctx: Context) -> Any:
        ran.append("ask")
        return ctx.interrupt("?")

    async def nap(ctx: Context) -> None:
        await gate.wait()

    gate = asyncio.Event()
    async with hosted() as host:
        runner = await host.start(host.runner(Graph("g").node(ask).node(nap), options=options))
        while not runner.interrupts():
            await turn()
        await runner.command(Pause())
        gate.set()
        await became(runner, "paused")
        await runner.command(Input(open_interrupt(runner), 1))
        await turn()
        assert ran == ["ask"]
        await runner.command(Resume())
        events = await host.ended(runner)

    assert events[-2].type == "execution_completed"


@both_orders
async def test_an_open_foreach_counts_as_suspended_when_all_in_it_is(options: Options) -> None:
    async def ask(item: int, ctx: Context) -> Any:
        return [item, ctx.interrupt({"item": item})] if item % 2 else item

    body = {"id": "ask", "type": "function", "config": {"function": ask}}
    graph = Graph("g").node("each", "foreach", {"items": "[1, 2, 3]", "body": body}, timeout_s=1.0)
    async with hosted() as host:
        runner = await started(host, graph, options)
        waited = asyncio.Event()
        asyncio.get_running_loop().call_later(1.1, waited.set)
        await waited.wait()
        for interrupt in runner.interrupts():
            await runner.command(Input(interrupt.id, "yes"))
        events = await host.ended(runner)

    assert thaw(bytes(events[-2].data.state)) == {"each": [[1, "yes"], 2, [3, "yes"]]}


async def test_the_limit_of_a_foreach_does_not_count_while_all_in_it_is_suspended_and_others_run() -> None:
    gate = asyncio.Event()

    async def ask(item: int, ctx: Context) -> Any:
        return ctx.interrupt(item)

    async def other() -> None:
        await gate.wait()

    body = {"id": "ask", "type": "function", "config": {"function": ask}}
    graph = Graph("g").node("each", "foreach", {"items": "[1, 2]", "body": body}, timeout_s=1.0).node(other)
    async with hosted() as host:
        runner = await host.start(host.runner(graph))
        while len(runner.interrupts()) < 2:
            await turn()
        waited = asyncio.Event()
        asyncio.get_running_loop().call_later(1.1, waited.set)
        await waited.wait()
        assert runner.status == "running"
        for interrupt in runner.interrupts():
            await runner.command(Input(interrupt.id, 1))
        gate.set()
        events = await host.ended(runner)

    assert events[-2].type == "execution_completed"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"payload": object()}, "state_not_serializable"),
        ({"payload": 1, "schema": {"type": "no type"}}, "exception"),
        ({"payload": 1, "timeout_s": 0}, "exception"),
        ({"payload": 1, "timeout_s": float("nan")}, "exception"),
    ],
)
async def test_a_question_that_cannot_be_asked_fails_the_attempt(asked: dict[str, Any], code: str) -> None:
    async def ask(ctx: Context) -> Any:
        return ctx.interrupt(**asked)

    async with hosted() as host:
        events = await host.events(Graph("g").node(ask))

    assert next(event for event in events if event.type == "node_failed").data.error.code == code


@pytest.mark.parametrize("is_heard", [True, False])
async def test_a_run_that_nobody_attends_fails_where_it_would_wait_for_ever(is_heard: bool) -> None:
    async def ask(ctx: Context) -> Any:
        return ctx.interrupt("?")

    finished = await run(Graph("g").node(ask), on_event=(lambda event: None) if is_heard else None)

    assert finished.status == "failed"
    assert finished.error is not None
    assert 'waits for input, and nobody can give it here: "ask"' in finished.error.message
