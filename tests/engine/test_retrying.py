"""A failed attempt that is followed by another."""

import asyncio
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

import msgspec
import pytest

from graphwire import Context, Graph, GraphwireError, run
from graphwire.clock import FakeClock
from graphwire.engine.attempt import Attempt, Phase
from graphwire.engine.ending import End, timeout
from graphwire.engine.execution import Execution
from graphwire.engine.options import Options
from graphwire.engine.plan import compile_plan
from graphwire.graphs.resilience import Retry
from graphwire.graphs.validation import validate
from graphwire.nodes import builtin_registry
from tests.engine.hosting import heard, hosted
from tests.engine.running import course, nothing, without_times

AT_ONCE = {"delay_s": 0, "jitter": "none"}
NOT_TODAY = {"delay_s": 86_400, "jitter": "none", "max_delay_s": 86_400}
FAILURES = ["node_started", "node_failed", "retry_scheduled", "retry_attempted", "node_started"]


def flaky(failures: int, error: Callable[[], BaseException] = lambda: ValueError("not yet")) -> Any:
    """Return a node function that fails so many times."""
    calls = 0

    async def node(ctx: Context) -> dict[str, Any]:
        nonlocal calls
        calls += 1
        if calls <= failures:
            raise error()
        return {"calls": calls, "attempt": ctx.attempt, "key": ctx.idempotency_key, "drawn": ctx.random.random()}

    return node


@pytest.mark.capability("RES-07")
async def test_a_failed_attempt_is_told_as_one_that_is_retried_and_the_next_one_as_a_retry() -> None:
    done = await course(Graph("g").node(flaky(1), id="a", retry=AT_ONCE))

    assert done.types()[1:-2] == [*FAILURES, "node_completed"]
    failed = done.one("node_failed")
    assert (failed.will_retry, failed.edges, failed.attempt) == (True, [], 1)
    scheduled, attempted = done.one("retry_scheduled"), done.one("retry_attempted")
    assert (scheduled.attempt, scheduled.delay_ms, scheduled.max_attempts) == (2, 0, 4)
    assert (attempted.attempt, attempted.delay_ms) == (2, 0)
    assert [event.data.attempt for event in done.of("node_started")] == [1, 2]


async def test_what_was_retried_away_is_no_error_of_the_execution_and_no_step() -> None:
    done = await course(Graph("g").node(flaky(3), id="a", retry=AT_ONCE))

    assert done.finished.outcome == "success"
    assert "errors" not in done.state
    assert done.finished.steps == 1
    assert done.state["attempt"] == 4


async def test_the_last_attempt_fails_as_any_other_and_its_error_alone_is_kept() -> None:
    graph = Graph("g").node(flaky(9), id="a", retry={**AT_ONCE, "max_attempts": 3}).node(nothing(), id="rescue")
    graph.edge("a", "rescue", on="error", when="error.attempt == 3")

    done = await course(graph)

    assert [event.data.will_retry for event in done.of("node_failed")] == [True, True, False]
    assert done.nodes() == ["rescue"]
    assert [error["attempt"] for error in done.state["errors"]] == [3]


async def test_every_attempt_has_the_key_and_the_random_numbers_of_its_activation() -> None:
    seen: list[tuple[str, float]] = []

    async def node(ctx: Context) -> None:
        seen.append((ctx.idempotency_key, ctx.random.random()))
        if ctx.attempt < 3:
            raise ValueError("not yet")

    await course(Graph("g").node(node, retry=AT_ONCE))

    assert len(seen) == 3
    assert len(set(seen)) == 1


@pytest.mark.capability("RES-05")
@pytest.mark.parametrize(
    "node",
    [
        {"type": "transform", "config": {"set": {"x": "state.missing"}}},
        {"type": "foreach", "config": {"items": "1", "body": {"id": "b", "type": "delay", "config": {"seconds": 0}}}},
    ],
    ids=lambda node: node["type"],
)
async def test_what_lies_in_the_graph_is_not_tried_again(node: Any) -> None:
    done = await course(Graph("g").node("a", node["type"], node["config"], retry=AT_ONCE))

    assert done.finished.status == "failed"
    assert "retry_scheduled" not in done.types()


@pytest.mark.parametrize("condition", ["1 / state.zero > 1", "state.missing"])
async def test_an_attempt_that_cannot_be_routed_is_not_tried_again(condition: str) -> None:
    graph = Graph("g", state={"zero": 0}).node(nothing(), id="a", retry=AT_ONCE).node(nothing(), id="b")

    done = await course(graph.edge("a", "b", when=condition))

    assert done.one("node_failed").error.code == "routing_error"


async def test_a_policy_that_names_failures_lets_all_others_be_the_last() -> None:
    graph = Graph("g").node(flaky(1), id="a", retry=Retry(delay_s=0, on=("ConnectionError",)))

    done = await course(graph)

    assert done.finished.status == "failed"
    assert not done.one("node_failed").will_retry


async def test_classes_of_exceptions_are_named_by_themselves_in_python() -> None:
    retry = {**AT_ONCE, "on": [ConnectionError, TimeoutError]}
    graph = Graph("g").node(flaky(1, lambda: ConnectionResetError("gone")), id="a", retry=retry)

    done = await course(graph)

    assert graph.value["nodes"][0]["retry"]["on"] == ["ConnectionError", "TimeoutError"]
    assert done.state["calls"] == 2


async def test_an_attempt_that_took_too_long_is_tried_again() -> None:
    async def node(ctx: Context) -> None:
        if ctx.attempt == 1:
            await asyncio.Event().wait()

    done = await course(Graph("g").node(node, timeout_s=0.01, retry=AT_ONCE))

    assert done.one("node_failed").error.code == "timeout"
    assert done.finished.status == "completed"


async def test_a_foreach_is_tried_again_with_new_scopes() -> None:
    keys: list[tuple[int, str]] = []

    async def work(ctx: Context, item: int) -> int:
        keys.append((item, ctx.activation))
        if item == 2 and len(keys) <= 2:
            raise ValueError("not yet")
        return item

    body = {"id": "work", "type": "function", "config": {"function": work}}
    config = {"items": "[1, 2]", "body": body, "max_parallelism": 1}
    done = await course(Graph("g").node("each", "foreach", config, retry=AT_ONCE))

    assert done.state["each"] == [1, 2]
    assert [item for item, _ in keys] == [1, 2, 1, 2]
    assert len({key for _, key in keys}) == 4
    outer = [event for event in done.of("node_failed") if event.path is None]
    assert [event.data.will_retry for event in outer] == [True]
    assert "errors" not in done.state


async def test_an_inner_node_is_tried_again_before_its_opener_hears_of_it() -> None:
    body = {"id": "work", "type": "function", "config": {"function": flaky(2)}, "retry": AT_ONCE}
    done = await course(Graph("g").node("each", "foreach", {"items": "[1]", "body": body}))

    assert done.state["each"][0]["calls"] == 3
    assert {str(event.node_id) for event in done.of("node_failed")} == {"work"}


async def test_what_a_left_behind_attempt_emits_is_not_the_next_ones() -> None:
    speak = asyncio.Event()
    spoken = asyncio.Event()

    async def node(ctx: Context) -> None:
        if ctx.attempt == 2:
            speak.set()
            await spoken.wait()
            return

        async def late() -> None:
            await speak.wait()
            ctx.emit("late")
            spoken.set()

        left.append(asyncio.get_running_loop().create_task(late(), context=copy_context()))
        ctx.emit("early")
        raise ValueError("not yet")

    left: list[asyncio.Task[None]] = []
    done = await course(Graph("g").node(node, retry=AT_ONCE))

    assert [bytes(event.data.message) for event in done.of("node_message")] == [b'"early"']
    await asyncio.gather(*left)


@pytest.mark.parametrize("ordering", ["as_finished", "deterministic"])
async def test_others_go_on_while_one_waits(ordering: Any) -> None:
    waits = asyncio.Event()

    async def other() -> None:
        waits.set()

    async def node(ctx: Context) -> None:
        if ctx.attempt == 1:
            raise ValueError("not yet")
        await waits.wait()

    graph = Graph("g", limits={"max_parallelism": 2}).node(nothing(), id="s").node(node, retry=AT_ONCE).node(other)

    done = await course(graph.edge("s", node).edge("s", other), ordering=ordering)

    assert sorted(done.nodes()) == ["node", "other", "s"]


async def test_a_waiting_retry_keeps_its_place_in_the_order() -> None:
    def graph() -> Graph:
        graph = Graph("g").node(nothing(), id="s")
        for name in ("a", "b", "c"):
            graph.node(flaky(ord(name) % 3), id=name, output=name, retry={"delay_s": 0.001}).edge("s", name)
        return graph

    first = await course(graph(), ordering="deterministic")
    second = await course(graph(), ordering="deterministic")

    assert first.nodes() == ["s", "a", "b", "c"]
    strip = [each for each in without_times(first.events) if each[1] not in {"execution_completed", "node_completed"}]
    assert strip == [
        each for each in without_times(second.events) if each[1] not in {"execution_completed", "node_completed"}
    ]


async def test_one_slot_is_not_shared_by_a_retry_and_what_comes_after_it_in_order() -> None:
    running = 0
    most = 0

    async def work(ctx: Context) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        if ctx.attempt < 3:
            raise ValueError("not yet")

    graph = (
        Graph("g", limits={"max_parallelism": 1}).node(work, id="a", retry=AT_ONCE).node(work, id="b", retry=AT_ONCE)
    )

    done = await course(graph, ordering="deterministic")

    assert done.nodes() == ["a", "b"]
    assert most == 1


@pytest.mark.bad_input(99)
@pytest.mark.parametrize("ordering", ["as_finished", "deterministic"])
async def test_a_cancellation_during_the_wait_is_the_only_outcome(ordering: str) -> None:
    async with hosted() as host:
        graph = Graph("g").node(flaky(1), id="a", retry=NOT_TODAY)
        options = Options(seed=7, in_order=ordering == "deterministic")
        runner = await host.start(host.runner(graph, options=options))
        await heard(runner, "retry_scheduled")

        await runner.cancel("enough")
        events = await host.ended(runner)

    told = [event.type for event in events if event.node_id == "a"]
    assert told == ["node_started", "node_failed", "retry_scheduled"]
    assert events[-2].type == "execution_cancelled"


@pytest.mark.bad_input(99)
async def test_a_failed_scope_ends_the_wait_of_its_items() -> None:
    waiting = asyncio.Event()

    async def work(item: int) -> None:
        if item == 1:
            waiting.set()
            raise ConnectionError("not yet")
        await waiting.wait()
        raise ValueError("for good")

    body = {"id": "work", "type": "function", "config": {"function": work}}
    body["retry"] = {**NOT_TODAY, "on": ["network"]}
    config = {"items": "[1, 2]", "body": body}
    done = await course(Graph("g").node("each", "foreach", config, on_error="skip"))

    assert done.finished.outcome == "partial"
    assert [event.data.will_retry for event in done.of("node_failed") if event.path] == [True, False]


class Stage:
    """An execution whose attempts and timers the test moves by hand."""

    def __init__(self, graph: Graph, *, in_order: bool = False) -> None:
        self.clock = FakeClock()
        self.waits: dict[Attempt, float] = {}
        self.execution = Execution(
            compile_plan(graph.definition, builtin_registry(), graph.code),
            state={},
            options=Options(in_order=in_order),
            clock=self.clock,
            performer=self,
            reporter=None,
            recorder=None,
        )
        self.execution.start()

    def interrupt(self, attempt: Attempt) -> None: ...

    def sleep(self, attempt: Attempt, seconds: float, used_s: float = 0.0) -> None: ...

    def wait(self, attempt: Attempt, seconds: float) -> None:
        self.waits[attempt] = seconds

    def arm(self, attempt: Attempt, used_s: float = 0.0) -> None: ...

    def forget(self, attempt: Attempt) -> None:
        self.waits.pop(attempt, None)

    def stop_clock(self, attempt: Attempt) -> None: ...

    def run_clock(self, attempt: Attempt) -> None: ...

    def expire_at(self, interrupt_id: str, wall_us: int) -> None: ...

    def forget_interrupt(self, interrupt_id: str) -> None: ...

    def call_soon(self, callback: Callable[[], None]) -> None:
        callback()

    def fail(self, error: BaseException | None = None) -> Attempt | None:
        """Let the next attempt fail; return the one that waits now."""
        attempt = self.execution.take()
        assert attempt is not None
        self.execution.finish(attempt, error=error or ValueError("no"))
        return next(iter(self.waits), None)

    def wake(self, attempt: Attempt) -> None:
        """Its time has come."""
        self.clock.advance(self.waits.pop(attempt))
        self.execution.retrying.wake(attempt)


def stage(**retry: Any) -> Stage:
    return Stage(Graph("g").node(nothing(), id="a", retry=retry))


@pytest.mark.capability("RES-05")
def test_the_waits_are_one_two_and_four_seconds() -> None:
    played = stage(jitter="none")
    waits: list[float] = []

    while (waiting := played.fail()) is not None:
        waits.append(played.waits[waiting])
        played.wake(waiting)

    assert waits == [1, 2, 4]
    assert played.execution.status == "failed"


def test_no_attempt_begins_after_the_time_budget() -> None:
    played = stage(jitter="none", time_budget_s=6, max_attempts=100)
    waits: list[float] = []

    while (waiting := played.fail()) is not None:
        waits.append(played.waits[waiting])
        played.wake(waiting)

    assert waits == [1, 2]


def test_an_upstreams_retry_after_is_waited_for() -> None:
    played = stage(jitter="full", max_delay_s=2)
    error = type("Limited", (GraphwireError,), {"retry_after_s": 120})("wait")

    waiting = played.fail(error)

    assert waiting is not None
    assert played.waits[waiting] == 120


def test_a_waiting_activation_holds_no_slot_and_is_active() -> None:
    played = stage(jitter="none")

    waiting = played.fail()

    assert waiting is not None
    assert waiting.phase is Phase.WAITING
    assert played.execution.running == 0
    assert not played.execution.has_ready
    assert played.execution.status == "running"


@pytest.mark.bad_input(99)
@pytest.mark.parametrize("in_order", [False, True])
@pytest.mark.parametrize("is_woken", [False, True])
@pytest.mark.parametrize(
    "end", [End("cancelled", reason="x"), timeout("limits.timeout_s", 1)], ids=["cancelled", "timeout"]
)
def test_an_end_during_the_wait_comes_once_however_the_timer_falls(in_order: bool, is_woken: bool, end: End) -> None:
    played = Stage(Graph("g").node(nothing(), id="a", retry={"jitter": "none"}), in_order=in_order)
    waiting = played.fail()
    assert waiting is not None
    if is_woken:
        played.wake(waiting)

    played.execution.stop(End(end.status, failure=end.failure, reason=end.reason, limit=end.limit))
    begun = waiting if in_order and is_woken else None  # in order it is begun at once, so its lane has to end first
    if begun is not None:
        played.execution.closed(begun)
    played.execution.retrying.wake(waiting)
    played.execution.finish(waiting, {"late": 1})

    assert played.execution.is_over
    assert played.execution.status == end.status
    assert played.execution.take() is None
    assert not played.waits
    assert played.execution.end is not None
    assert played.execution.end.state is not None
    assert played.execution.end.state.get("late") is None


async def test_runs_that_nobody_listens_to_do_not_wait_alike() -> None:
    plans = Graph("g").node(flaky(1), id="a", retry={"delay_s": 0.001})

    finished = await run(plans)

    assert finished.state["calls"] == 2


def test_the_waits_follow_from_the_seed() -> None:
    def waits(seed: int) -> list[float]:
        graph = Graph("g").node(nothing(), id="a", retry={"max_attempts": 5})
        played = Stage(graph)
        played.execution.options = Options(seed=seed)
        found: list[float] = []
        while (waiting := played.fail()) is not None:
            found.append(played.waits[waiting])
            played.wake(waiting)
        return found

    assert waits(1) == waits(1)
    assert waits(1) != waits(2)


@pytest.mark.bad_input(100)
@pytest.mark.parametrize(
    ("retry", "pointer"),
    [
        ({"max_attempts": 1_000_000_000}, "max_attempts"),
        ({"max_attempts": 0}, "max_attempts"),
        ({"delay_s": -1}, "delay_s"),
        ({"delay_s": 1e300}, "delay_s"),
        ({"multiplier": 1e9}, "multiplier"),
        ({"multiplier": 0.5}, "multiplier"),
        ({"max_delay_s": -1}, "max_delay_s"),
        ({"delay_s": 5, "max_delay_s": 1}, "max_delay_s"),
        ({"time_budget_s": 0}, "time_budget_s"),
        ({"strategy": "random"}, "strategy"),
        ({"jitter": True}, "jitter"),
        ({"on": []}, "on"),
        ({"on": ["routing_error"]}, "on/0"),
        ({"on": ["timeout", "not a name"]}, "on/1"),
        ({"on": ["timeout", 7]}, "on/1"),
        ({"attempts": 3}, "attempts"),
    ],
    ids=lambda value: msgspec.json.encode(value).decode() if isinstance(value, dict) else "",
)
def test_a_policy_out_of_bounds_is_refused_at_its_place(retry: Any, pointer: str) -> None:
    graph = {"id": "g", "nodes": [{"id": "a", "type": "delay", "config": {"seconds": 0}, "retry": retry}]}

    findings = validate(graph, builtin_registry())

    assert [problem.pointer for problem in findings.problems] == [f"/nodes/0/retry/{pointer}"]
