"""``human_input``: questions to people, as nodes."""

from typing import Any

import pytest

from graphwire import Graph
from graphwire.engine.commands import EditState, Input, Resume
from graphwire.engine.options import Options
from graphwire.engine.runner import Runner
from graphwire.errors import CommandNotAllowed, InvalidInput
from graphwire.values import thaw
from tests.engine.hosting import Host, hosted
from tests.engine.test_control import became, both_orders, told
from tests.engine.test_suspending import open_interrupt, started

FORM = {"type": "object", "properties": {"approved": {"type": "boolean"}}, "required": ["approved"]}


def asking(config: dict[str, Any] | None = None, **options: Any) -> Graph:
    """A graph that asks, and routes by the answer."""
    config = {"prompt": "May {{ state.who }}?", "schema": FORM, **(config or {})}
    graph = Graph("g", state={"who": "Ada"}).node("approve", "human_input", config, **options)
    graph.node("yes", "transform").node("no", "transform")
    return graph.edge("approve", "yes", when="get(result, 'approved', false)").edge("approve", "no", else_=True)


async def ended(host: Host, runner: Runner) -> tuple[list[str], dict[str, Any]]:
    """Return the nodes that completed, and the final state."""
    events = await host.ended(runner)
    assert events[-2].type == "execution_completed", events[-2]
    return told(events, "node_completed"), thaw(bytes(events[-2].data.state))


@pytest.mark.capability("NOD-11")
@both_orders
async def test_it_suspends_until_somebody_answers_and_the_answer_is_its_result(options: Options) -> None:
    async with hosted() as host:
        runner = await started(host, asking({"title": "Approval", "assignees": ["Grace"]}), options)
        (interrupt,) = runner.interrupts()
        assert (runner.execution.running, thaw(interrupt.payload)) == (
            0,
            {"prompt": "May Ada?", "title": "Approval", "assignees": ["Grace"]},
        )
        await runner.command(Input(interrupt.id, {"approved": True}))
        nodes, state = await ended(host, runner)

    assert nodes == ["node_completed approve", "node_completed yes"]
    assert state == {"who": "Ada", "approved": True}


@pytest.mark.capability("NOD-11")
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"approved": False, "decided_by": "Grace"}),
        ({"output": "decision"}, {"decision": {"approved": False}, "decided_by": "Grace"}),
    ],
)
async def test_who_answered_may_be_written_too(options: dict[str, Any], expected: dict[str, Any]) -> None:
    async with hosted() as host:
        runner = await started(host, asking({"by": "decided_by"}, **options))
        await runner.command(Input(open_interrupt(runner), {"approved": False}), by="Grace")
        _, state = await ended(host, runner)

    assert state == {"who": "Ada", **expected}


@pytest.mark.bad_input(101)
async def test_an_answer_that_does_not_fit_the_form_is_refused_and_nothing_goes_on_without_one() -> None:
    async with hosted() as host:
        runner = await started(host, asking())
        with pytest.raises(InvalidInput) as shape:
            await runner.command(Input(open_interrupt(runner), {"approved": "yes"}))
        with pytest.raises(CommandNotAllowed):
            await runner.command(Resume())
        await runner.command(Input(open_interrupt(runner), {"approved": False}))
        nodes, _ = await ended(host, runner)

    assert [each.pointer for each in shape.value.problems] == ["/value/approved"]
    assert nodes == ["node_completed approve", "node_completed no"]


@pytest.mark.capability("NOD-11")
@both_orders
async def test_what_nobody_answers_in_time_takes_the_default(options: Options) -> None:
    config = {"timeout_s": 0.01, "on_timeout": "default", "default": {"approved": False}, "by": "decided_by"}
    async with hosted() as host:
        runner = await host.start(host.runner(asking(config), options=options))
        nodes, state = await ended(host, runner)

    assert nodes == ["node_completed approve", "node_completed no"]
    assert state == {"who": "Ada", "approved": False, "decided_by": None}


@pytest.mark.capability("NOD-11")
@both_orders
async def test_without_a_default_a_question_that_nobody_answers_in_time_fails_the_attempt(options: Options) -> None:
    graph = asking({"timeout_s": 0.01}).node("rescue", "transform").edge("approve", "rescue", on="error")
    async with hosted() as host:
        runner = await host.start(host.runner(graph, options=options))
        nodes, state = await ended(host, runner)

    assert nodes == ["node_completed rescue"]
    assert state["errors"][0]["code"] == "interrupt_expired"


@both_orders
async def test_it_asks_inside_scopes_too(options: Options) -> None:
    body = {"id": "ask", "type": "human_input", "config": {"prompt": "{{ state.item }}?"}}
    graph = Graph("g", state={"list": [1, 2]}).node("each", "foreach", {"items": "state.list", "body": body})
    async with hosted() as host:
        runner = await started(host, graph, options)
        questions = {interrupt.id: thaw(interrupt.payload)["prompt"] for interrupt in runner.interrupts()}
        for name, prompt in questions.items():
            await runner.command(Input(name, f"answer to {prompt}"))
        _, state = await ended(host, runner)

    assert state["each"] == ["answer to 1?", "answer to 2?"]


async def test_a_question_that_cannot_be_put_fails_the_attempt() -> None:
    async with hosted() as host:
        runner = await host.start(host.runner(asking({"prompt": "{{ state.nobody }}"})))
        events = await host.ended(runner)

    assert events[-2].data.error.code == "expression_error"


async def test_a_while_asks_until_the_answer_suits() -> None:
    body = {"id": "ask", "type": "human_input", "config": {"prompt": "Go on?"}, "output": "done"}
    graph = Graph("g", state={"done": False}).node("loop", "while", {"condition": "not state.done", "body": body})
    async with hosted() as host:
        runner = await started(host, graph)
        await runner.command(Input(open_interrupt(runner), False))
        await became(runner, "paused")
        await runner.command(Input(open_interrupt(runner), True))
        _, state = await ended(host, runner)

    assert state == {"done": True}


@both_orders
async def test_what_a_person_edits_inside_a_loop_is_what_stands(options: Options) -> None:
    body = Graph("b").node("count", "transform", {"set": {"n": "state.n + 1", "log": "state.n"}})
    body.node("ask", "human_input", {"prompt": "Go on?"}, output="go").edge("count", "ask")
    graph = Graph("g", state={"n": 0, "go": True}, reducers={"log": "append"})
    graph.node("loop", "while", {"condition": "state.go", "body": body})
    async with hosted() as host:
        runner = await started(host, graph, options)
        await runner.command(Input(open_interrupt(runner), True))
        await became(runner, "paused")
        await runner.command(EditState({"n": 10, "log": ["edited"]}))
        await runner.command(Input(open_interrupt(runner), True))
        await became(runner, "paused")
        await runner.command(Input(open_interrupt(runner), False))
        _, state = await ended(host, runner)

    assert state == {"n": 11, "go": False, "log": ["edited", 10]}
