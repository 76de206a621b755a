"""Pauses, steps and breakpoints of executions that run."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest

from graphwire import Context, Graph
from graphwire.engine.breakpoints import Breakpoint
from graphwire.engine.commands import Cancel, EditState, Pause, Resume, SetBreakpoints, Step
from graphwire.engine.options import Options
from graphwire.engine.runner import Runner
from graphwire.errors import CommandNotAllowed, InvalidInput, NothingReady, StateInvalid
from graphwire.types import Status
from graphwire.values import thaw
from tests.engine.hosting import Host, heard, hosted
from tests.engine.running import turn
from tests.waiting import PATIENCE_S

IN_ORDER = Options(seed=7, in_order=True)
AS_FINISHED = Options(seed=7)
both_orders = pytest.mark.parametrize("options", [AS_FINISHED, IN_ORDER], ids=["as_finished", "deterministic"])


class Gates:
    """Nodes that run until they are let go."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self._open: dict[str, asyncio.Event] = {}

    def node(self, name: str, **written: Any) -> Callable[[], Any]:
        """Return a function that waits for its gate."""
        gate = self._open[name] = asyncio.Event()

        async def wait() -> dict[str, Any]:
            self.began.append(name)
            await gate.wait()
            return written

        return wait

    def open(self, *names: str) -> None:
        """Let these go, or all."""
        for name in names or self._open:
            self._open[name].set()


async def became(runner: Runner, status: Status) -> None:
    """Wait until the status is told."""
    async with asyncio.timeout(PATIENCE_S):
        while runner.status != status:
            await turn()


def told(events: list[Any], *types: str) -> list[str]:
    """Return the events of these types, with what tells them apart."""
    return [f"{event.type} {event.node_id}" if event.node_id else event.type for event in events if event.type in types]


@asynccontextmanager
async def chain(
    gates: Gates, *names: str, options: Options = AS_FINISHED, **kept: Any
) -> AsyncIterator[tuple[Host, Runner]]:
    """Give a chain of gated nodes that has started."""
    graph = Graph("g", **kept)
    for name in names:
        graph.node(name, "function", {"function": gates.node(name, **{name: 1})})
    for source, target in pairwise(names):
        graph.edge(source, target)
    async with hosted() as host:
        runner = await host.start(host.runner(graph, options=options))
        await heard(runner, "node_started")
        yield host, runner


@pytest.mark.capability("CTL-01", "CTL-02")
@both_orders
async def test_nothing_begins_after_a_pause_until_it_is_resumed(options: Options) -> None:
    gates = Gates()
    async with chain(gates, "a", "b", options=options) as (host, runner):
        await runner.command(Pause())
        assert runner.status == "pausing"
        gates.open()
        await became(runner, "paused")
        assert gates.began == ["a"]
        assert runner.execution.running == 0

        await runner.command(Resume())
        events = await host.ended(runner)

    steering = ("command_accepted", "execution_paused", "execution_resumed", "node_started", "node_completed")
    assert told(events, *steering) == [
        "node_started a",
        "command_accepted",
        "node_completed a",
        "execution_paused",
        "command_accepted",
        "execution_resumed",
        "node_started b",
        "node_completed b",
    ]
    paused = next(event for event in events if event.type == "execution_paused")
    assert paused.data.reason == "command"


async def test_a_pause_that_comes_during_the_last_node_is_kept_until_it_is_resumed() -> None:
    gates = Gates()
    async with chain(gates, "a") as (host, runner):
        await runner.command(Pause())
        gates.open()
        await became(runner, "paused")

        await runner.command(Resume())
        events = await host.ended(runner)

    assert events[-2].type == "execution_completed"


async def test_a_resume_before_the_pause_has_come_about_takes_it_back() -> None:
    gates = Gates()
    async with chain(gates, "a", "b") as (host, runner):
        await runner.command(Pause())
        await runner.command(Resume())
        assert runner.status == "running"
        gates.open()
        events = await host.ended(runner)

    assert told(events, "execution_paused", "execution_resumed") == ["execution_resumed"]


async def test_a_paused_execution_has_no_task_but_the_one_that_waits_for_its_end() -> None:
    gates = Gates()
    async with chain(gates, "a", "b") as (_, runner):
        await runner.command(Pause())
        gates.open()
        await became(runner, "paused")
        await turn()

        names = sorted(task.get_name() for task in asyncio.all_tasks() if runner.id in task.get_name())

        assert names == [f"execution:{runner.id}"]


@pytest.mark.parametrize("when", ["pausing", "paused"])
@both_orders
async def test_what_is_paused_can_be_cancelled(when: Status, options: Options) -> None:
    gates = Gates()
    async with chain(gates, "a", "b", options=options) as (host, runner):
        await runner.command(Pause())
        if when == "paused":
            gates.open("a")
        await became(runner, when)

        await runner.command(Cancel("enough"))
        events = await host.ended(runner)

    assert events[-2].type == "execution_cancelled"
    assert gates.began == ["a"]


@pytest.mark.bad_input(85)
async def test_a_command_that_does_not_fit_says_which_do() -> None:
    gates = Gates()
    async with chain(gates, "a", "b") as (host, runner):
        with pytest.raises(CommandNotAllowed, match="cannot resume: the execution is running") as resumed:
            await runner.command(Resume())
        await runner.command(Pause())
        with pytest.raises(CommandNotAllowed) as paused:
            await runner.command(Pause())
        gates.open()
        await became(runner, "paused")
        await runner.command(Cancel())
        await host.ended(runner)
        with pytest.raises(CommandNotAllowed) as ended:
            await runner.command(Step())

    assert resumed.value.facts == {"status": "running", "allowed": ["cancel", "pause", "input", "set_breakpoints"]}
    assert paused.value.facts["allowed"] == ["cancel", "resume", "input", "set_breakpoints"]
    assert ended.value.facts == {"status": "cancelled", "allowed": []}


async def test_a_time_limit_does_not_count_while_it_is_paused() -> None:
    gates = Gates()
    graph = Graph("g").node("a", "function", {"function": gates.node("a")})
    async with hosted() as host:
        runner = await host.start(host.runner(graph, timeout_s=1.0))
        await heard(runner, "node_started")
        await runner.command(Pause())
        gates.open()
        await became(runner, "paused")

        waited = asyncio.Event()
        asyncio.get_running_loop().call_later(1.1, waited.set)
        await waited.wait()
        assert runner.status == "paused"
        await runner.command(Resume())
        events = await host.ended(runner)

    assert events[-2].type == "execution_completed"


@both_orders
async def test_a_delay_that_is_over_while_it_is_paused_ends_when_it_is_resumed(options: Options) -> None:
    graph = Graph("g").node("nap", "delay", {"seconds": 0.02})
    async with hosted() as host:
        runner = await host.start(host.runner(graph, options=options))
        await heard(runner, "node_started")
        await runner.command(Pause())
        waited = asyncio.Event()
        asyncio.get_running_loop().call_later(0.05, waited.set)
        await waited.wait()
        assert runner.status == "paused"
        assert runner.hub.published == 4

        await runner.command(Resume())
        events = await host.ended(runner)

    assert events[-2].type == "execution_completed"


@pytest.mark.capability("CTL-06")
@both_orders
async def test_a_step_runs_one_activation_and_pauses_again(options: Options) -> None:
    gates = Gates()
    async with chain(gates, "a", "b", "c", options=options) as (host, runner):
        gates.open()
        await runner.command(Pause())
        await became(runner, "paused")
        began = list(gates.began)
        await runner.command(Step())
        await became(runner, "paused")
        assert gates.began == [*began, "b"]
        await runner.command(Step())
        await became(runner, "paused")
        with pytest.raises(NothingReady):
            await runner.command(Step())
        await runner.command(Resume())
        events = await host.ended(runner)

    assert told(events, "step_completed", "execution_paused", "node_completed") == [
        "node_completed a",
        "execution_paused",
        "node_completed b",
        "step_completed",
        "execution_paused",
        "node_completed c",
        "step_completed",
        "execution_paused",
    ]


def each_graph(ran: list[str]) -> Graph:
    async def first() -> None:
        ran.append("first")

    async def do(item: int) -> int:
        ran.append(f"do {item}")
        return item

    async def other() -> None:
        ran.append("other")

    body = {
        "nodes": [
            {"id": "do", "type": "function", "config": {"function": do}},
            {"id": "more", "type": "function", "config": {"function": other}},
        ],
        "edges": [{"source": "do", "target": "more"}],
    }
    graph = Graph("g").node(first)
    graph.node("each", "foreach", {"items": "[1, 2]", "body": body}).node(other)
    return graph.edge("first", "each").edge("first", "other")


async def paused_after_the_first(host: Host, graph: Graph, options: Options) -> Runner:
    runner = host.runner(graph, options=options)
    runner.execution.control.set_breakpoints([Breakpoint("first", "after")])
    await host.start(runner)
    await became(runner, "paused")
    return runner


@both_orders
async def test_a_step_over_a_foreach_runs_all_of_its_items_and_nothing_else(options: Options) -> None:
    ran: list[str] = []
    async with hosted() as host:
        runner = await paused_after_the_first(host, each_graph(ran), options)
        await runner.command(Step("over"))
        await became(runner, "paused")
        assert sorted(ran[1:]) == ["do 1", "do 2", "other", "other"]

        await runner.command(Resume())
        events = await host.ended(runner)

    assert sum(event.type == "step_completed" for event in events) == 1
    assert len(ran) == 6


@both_orders
async def test_a_step_into_a_foreach_pauses_before_its_items_and_one_out_after_it(options: Options) -> None:
    ran: list[str] = []
    async with hosted() as host:
        runner = await paused_after_the_first(host, each_graph(ran), options)
        await runner.command(Step("into"))
        await became(runner, "paused")
        assert ran == ["first"]
        await runner.command(Step("over"))  # what became ready before the items did: the other branch
        await became(runner, "paused")
        assert ran == ["first", "other"]
        await runner.command(Step("into"))
        await became(runner, "paused")
        assert ran == ["first", "other", "do 1"]
        await runner.command(Step("out"))
        await became(runner, "paused")
        assert sorted(ran[3:]) == ["do 2", "other", "other"]

        await runner.command(Resume())
        await host.ended(runner)


@pytest.mark.capability("CTL-07")
@both_orders
async def test_a_breakpoint_before_a_node_pauses_once_and_lets_it_pass(options: Options) -> None:
    gates = Gates()
    async with chain(gates, "a", "b", "c", options=options) as (host, runner):
        await runner.command(SetBreakpoints([Breakpoint("b")]))
        gates.open()
        await became(runner, "paused")
        assert gates.began == ["a"]

        await runner.command(Resume())
        events = await host.ended(runner)

    hit = next(event for event in events if event.type == "breakpoint_hit")
    assert (hit.node_id, hit.data.when, hit.data.hits) == ("b", "before", 1)
    assert next(event for event in events if event.type == "execution_paused").data.reason == "breakpoint"
    assert sum(event.type == "execution_paused" for event in events) == 1


@both_orders
async def test_a_breakpoint_after_a_node_pauses_at_its_commit(options: Options) -> None:
    gates = Gates()
    async with chain(gates, "a", "b", options=options) as (host, runner):
        await runner.command(SetBreakpoints([Breakpoint("a", "after"), Breakpoint("b", "after")]))
        gates.open()
        await became(runner, "paused")
        assert gates.began == ["a"]
        await runner.command(Resume())
        await became(runner, "paused")
        await runner.command(Resume())
        events = await host.ended(runner)

    assert told(events, "node_completed", "breakpoint_hit", "execution_paused")[:3] == [
        "node_completed a",
        "breakpoint_hit a",
        "execution_paused",
    ]


def loop_graph() -> Graph:
    async def count(n: int) -> dict[str, int]:
        return {"n": n + 1}

    return Graph("g", state={"n": 0}).node(count, join="any").edge(count, count, when="state.n < 6").entry(count)


@pytest.mark.parametrize(
    ("breakpoint", "seen"),
    [
        (Breakpoint("count", "before", condition="state.n >= 4"), [4, 5]),
        (Breakpoint("count", "after", condition="state.n == 3"), [3]),
        (Breakpoint("count", "before", hits=5), [4, 5]),
        (Breakpoint("count", "after", condition="state.n > 2", hits=3), [5, 6]),
        (Breakpoint("count", "before", condition="state.missing"), []),
    ],
)
async def test_a_breakpoint_has_a_condition_and_counts_its_hits(breakpoint: Breakpoint, seen: list[int]) -> None:
    paused_at: list[int] = []
    async with hosted() as host:
        runner = host.runner(loop_graph())
        runner.execution.control.set_breakpoints([breakpoint])
        await host.start(runner)
        async with asyncio.timeout(PATIENCE_S):
            while not runner.is_ended:
                if runner.status == "paused":
                    paused_at.append(_state(runner)["n"])
                    await runner.command(Resume())
                await turn()
        await host.ended(runner)

    assert paused_at == seen


def _state(runner: Runner) -> Any:
    return thaw(runner.look().state().state)


@pytest.mark.bad_input(102)
async def test_breakpoints_that_are_wrong_are_told_with_every_problem() -> None:
    gates = Gates()
    async with chain(gates, "price", "ship") as (_, runner):
        with pytest.raises(InvalidInput) as refused:
            await runner.command(SetBreakpoints([Breakpoint("pryce"), Breakpoint("ship", condition="state.n <")]))

    first, second = refused.value.problems
    assert (first.pointer, first.code) == ("/0/node", "unknown_node")
    assert 'did you mean "price"?' in first.detail
    assert (second.pointer, second.line, second.column) == ("/1/condition", 1, 10)


@pytest.mark.capability("CTL-08")
@both_orders
async def test_what_is_edited_while_paused_is_what_the_next_node_sees(options: Options) -> None:
    seen: list[Any] = []

    async def look(address: Any, state: Any) -> None:
        seen.append((address, "draft" in state))

    gates = Gates()
    graph = Graph("g", state={"address": {"city": "Bern", "zip": 3000}, "draft": True})
    graph.node("a", "function", {"function": gates.node("a")}).node(look).edge("a", look)
    async with hosted() as host:
        runner = await host.start(host.runner(graph, options=options))
        await heard(runner, "node_started")
        with pytest.raises(CommandNotAllowed):
            await runner.command(EditState({"draft": None}))
        await runner.command(Pause())
        gates.open()
        await became(runner, "paused")
        await runner.command(EditState({"address": {"city": "Basel"}, "draft": None}))
        assert _state(runner) == {"address": {"city": "Basel", "zip": 3000}}
        await runner.command(Resume())
        events = await host.ended(runner)

    assert seen == [({"city": "Basel", "zip": 3000}, False)]
    assert next(event for event in events if event.type == "variable_changed").data.keys == ["address", "draft"]


@pytest.mark.parametrize(
    ("patch", "problem"),
    [
        ({"errors": []}, ("/errors", "reserved_key")),
        ({"n": "many"}, ("/n", "state_invalid")),
        ({"n": None}, ("", "state_invalid")),
        ({"text": "x" * 2000}, ("", "state_too_large")),
    ],
)
async def test_an_edit_that_does_not_fit_changes_nothing(patch: dict[str, Any], problem: tuple[str, str]) -> None:
    gates = Gates()
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
        "additionalProperties": True,
    }
    options = Options(seed=7, max_state_bytes=1000)
    async with chain(gates, "a", "b", options=options, state={"n": 1}, schema=schema) as (_, runner):
        await runner.command(Pause())
        gates.open()
        await became(runner, "paused")
        before = _state(runner)

        with pytest.raises(StateInvalid) as refused:
            await runner.command(EditState(patch))

        assert [(each.pointer, each.code) for each in refused.value.problems] == [problem]
        assert _state(runner) == before


@both_orders
async def test_a_retry_that_is_due_while_it_is_paused_begins_when_it_is_resumed(options: Options) -> None:
    gate, begun = asyncio.Event(), asyncio.Event()

    async def node(ctx: Context) -> dict[str, Any]:
        begun.set()
        await gate.wait()
        if ctx.attempt == 1:
            raise ValueError("not yet")
        return {"attempt": ctx.attempt}

    graph = Graph("g").node(node, retry={"delay_s": 0, "jitter": "none"})
    async with hosted() as host:
        runner = await host.start(host.runner(graph, options=options))
        await begun.wait()
        await runner.command(Pause())
        gate.set()
        await became(runner, "paused")
        for _ in range(20):
            await turn()
        waiting = runner.hub.published
        await runner.command(Resume())
        events = await host.ended(runner)

    kinds = [event.type for event in events]
    assert kinds.index("retry_scheduled") < kinds.index("execution_paused") < kinds.index("execution_resumed")
    assert kinds.index("retry_attempted") > kinds.index("execution_resumed") >= waiting
    assert kinds[-2] == "execution_completed"
