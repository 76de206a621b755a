"""Circuit breakers, quarantines and fallbacks in the course of executions."""

import asyncio
from typing import Any

import pytest

from graphwire import CircuitBreaker, Context, Graph, Guards, Quarantine, run
from graphwire.clock import FakeClock
from graphwire.events.encoding import Envelope
from graphwire.graphs.validation import validate
from graphwire.nodes import builtin_registry
from tests.engine.hosting import hosted
from tests.engine.running import Course, check_laws, course, nothing


class Upstream:
    """What a node calls: it works, or it does not."""

    def __init__(self) -> None:
        self.works = False
        self.calls = 0

    async def call(self) -> None:
        self.calls += 1
        if not self.works:
            raise ConnectionError("no answer")


async def shared(graph: Graph, guards: Guards, **options: Any) -> Course:
    """Run a graph with guards that outlive it."""
    events: list[Envelope] = []
    finished = await run(graph, seed=7, guards=guards, on_event=events.append, **options)
    check_laws(events)
    return Course(finished, events)


def guarded(upstream: Upstream, **fields: Any) -> Graph:
    return Graph("g").node(upstream.call, id="a", **fields)


BREAKER = CircuitBreaker(failure_threshold=2, open_s=30, half_open_attempts=1)
BREAKERS_TOLD = {"circuit_breaker_state_changed", "circuit_breaker_operation_attempted", "node_failed"}


@pytest.mark.capability("RES-08", "RES-09")
async def test_a_breaker_opens_blocks_tests_and_closes_and_tells_of_it() -> None:
    clock, upstream = FakeClock(), Upstream()
    guards = Guards(clock)
    graph = guarded(upstream, circuit_breaker=BREAKER)

    first = await shared(graph, guards)
    opening = await shared(graph, guards)
    refused = await shared(graph, guards)
    clock.advance(30)
    again = await shared(graph, guards)
    clock.advance(30)
    upstream.works = True
    closing = await shared(graph, guards)

    assert first.types()[1:-2] == ["node_started", "node_failed"]
    assert opening.types()[1:-2] == ["node_started", "circuit_breaker_state_changed", "node_failed"]
    changes = [run.one("circuit_breaker_state_changed") for run in (opening,)]
    assert [(each.breaker, each.old_state, each.new_state, each.failure_count) for each in changes] == [
        ("g/a", "closed", "open", 2)
    ]
    assert refused.types()[1:-2] == ["node_started", "circuit_breaker_operation_blocked", "node_failed"]
    assert refused.one("node_failed").error.code == "circuit_breaker_open"
    assert refused.one("node_failed").error.is_transient
    assert refused.one("circuit_breaker_operation_blocked").circuit_state == "open"
    told = [each.type for each in again.events if each.type in BREAKERS_TOLD]
    assert told == [
        "circuit_breaker_state_changed",
        "circuit_breaker_operation_attempted",
        "circuit_breaker_state_changed",
        "node_failed",
    ]
    assert [each.data.new_state for each in closing.of("circuit_breaker_state_changed")] == ["half_open", "closed"]
    assert upstream.calls == 4


async def test_a_breaker_with_a_name_is_shared_by_nodes_of_several_graphs() -> None:
    upstream, guards = Upstream(), Guards(FakeClock())
    breaker = {"name": "bank", "failure_threshold": 1}

    await shared(guarded(upstream, circuit_breaker=breaker), guards)
    other = await shared(Graph("other").node(upstream.call, id="b", circuit_breaker=breaker), guards)

    assert other.one("node_failed").error.code == "circuit_breaker_open"
    assert other.one("circuit_breaker_operation_blocked").breaker == "bank"
    assert upstream.calls == 1


async def test_nodes_without_a_name_have_breakers_of_their_own() -> None:
    upstream, guards = Upstream(), Guards(FakeClock())
    graph = Graph("g", on_error="continue").node(upstream.call, id="a", circuit_breaker={"failure_threshold": 1})
    graph.node(upstream.call, id="b", circuit_breaker={"failure_threshold": 1}).edge("a", "b")

    done = await shared(graph, guards)

    assert [event.data.error.code for event in done.of("node_failed")] == ["network", "network"]


async def test_a_blocked_attempt_goes_to_the_error_edge_and_not_through_a_retry_that_does_not_name_it() -> None:
    upstream, guards = Upstream(), Guards(FakeClock())
    retry = {"delay_s": 0, "max_attempts": 10}
    graph = guarded(upstream, circuit_breaker={"failure_threshold": 3}, retry=retry)
    graph.node(nothing(), id="rescue").edge("a", "rescue", on="error", when="error.code == 'circuit_breaker_open'")

    done = await shared(graph, guards)

    assert upstream.calls == 3
    assert done.nodes() == ["rescue"]


async def test_a_retry_that_names_it_waits_until_the_breaker_lets_through() -> None:
    upstream = Upstream()

    class Slow(FakeClock):
        """Each look at it takes a while."""

        def mono_ns(self) -> int:
            self.advance(0.2)
            return super().mono_ns()

    breaker = {"failure_threshold": 1, "open_s": 0.9, "half_open_attempts": 1}
    retry = {"delay_s": 0, "max_attempts": 20, "on": ["network", "circuit_breaker_open"]}

    done = await shared(guarded(upstream, circuit_breaker=breaker, retry=retry), Guards(Slow()))

    assert upstream.calls > 1
    blocked = [event.data.error.code for event in done.of("node_failed")].count("circuit_breaker_open")
    assert blocked > 0
    waits = [event.data.delay_ms for event in done.of("retry_scheduled")]
    assert max(waits) > 0


async def test_only_the_failures_that_it_names_count() -> None:
    upstream, guards = Upstream(), Guards(FakeClock())
    graph = guarded(upstream, circuit_breaker={"failure_threshold": 1, "on": ["rate_limit"]})

    for _ in range(3):
        await shared(graph, guards)

    assert upstream.calls == 3


async def test_a_test_that_is_cancelled_gives_its_place_back() -> None:
    clock = FakeClock()
    guards = Guards(clock)
    calls = 0
    begun = asyncio.Event()

    async def node() -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ConnectionError("no")
        if calls == 2:
            begun.set()
            await asyncio.Event().wait()

    graph = Graph("g").node(node, circuit_breaker={"failure_threshold": 1, "open_s": 30, "half_open_attempts": 1})
    await shared(graph, guards)
    clock.advance(30)
    async with hosted() as host:
        runner = host.runner(graph, guards=guards)
        await host.start(runner)
        await begun.wait()
        await runner.cancel()
        await host.ended(runner)

    done = await shared(graph, guards)

    assert done.finished.status == "completed"


async def test_a_foreach_has_a_breaker_and_so_have_the_nodes_in_it() -> None:
    upstream = Upstream()
    body = {
        "id": "work",
        "type": "function",
        "config": {"function": upstream.call},
        "circuit_breaker": {"failure_threshold": 2},
    }
    config = {"items": "range(5)", "body": body, "on_item_error": "collect", "max_parallelism": 1}
    graph = Graph("g").node("each", "foreach", config, circuit_breaker={"failure_threshold": 1})

    done = await course(graph)

    assert [item["code"] for item in done.state["each"]] == ["network"] * 2 + ["circuit_breaker_open"] * 3
    assert done.one("circuit_breaker_state_changed").breaker == "g/each/work"


@pytest.mark.capability("RES-16")
async def test_a_node_that_keeps_failing_is_skipped_for_a_while_and_then_runs_again() -> None:
    clock, upstream = FakeClock(), Upstream()
    guards = Guards(clock)
    graph = guarded(upstream, quarantine=Quarantine(failures=5, duration_s=60), on_error="continue")
    graph.node(nothing(), id="next").edge("a", "next")

    failing = [await shared(graph, guards) for _ in range(5)]
    skipped = await shared(graph, guards)
    clock.advance(60)
    upstream.works = True
    again = await shared(graph, guards)

    assert "node_quarantined" not in failing[3].types()
    quarantined = failing[4].one("node_quarantined")
    assert (quarantined.failures, quarantined.duration_s) == (5, 60)
    assert skipped.types()[1:-2] == ["node_started", "node_failed", "node_skipped_due_to_error_policy"]
    assert skipped.one("node_failed").error.code == "node_quarantined"
    assert skipped.finished.outcome == "partial"
    assert again.one("node_quarantine_cleared").reason == "expired"
    assert again.finished.outcome == "success"
    assert upstream.calls == 6


async def test_what_is_retried_away_is_no_step_to_a_quarantine() -> None:
    async def node(ctx: Context) -> None:
        if ctx.attempt < 4:
            raise ValueError("not yet")

    done = await course(Graph("g").node(node, retry={"delay_s": 0}, quarantine={"failures": 1}))

    assert done.finished.outcome == "success"
    assert "node_quarantined" not in done.types()


@pytest.mark.capability("RES-10")
@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({"fallback": 7}, {"a": 7}),
        ({"fallback": {"x": 1}}, {"x": 1}),
        ({"fallback": {"x": 1}, "output": "y"}, {"y": {"x": 1}}),
    ],
    ids=["value", "mapping", "output"],
)
async def test_a_fallback_stands_in_for_the_result_when_all_attempts_have_failed(fields: Any, state: Any) -> None:
    upstream = Upstream()
    graph = guarded(upstream, retry={"delay_s": 0, "max_attempts": 3}, **fields).node(nothing(), id="next")
    graph.edge("a", "next", when="result is not null")

    done = await course(graph)

    assert upstream.calls == 3
    assert done.finished.outcome == "success"
    assert done.nodes() == ["next"]
    errors = done.state.pop("errors")
    assert [error["code"] for error in errors] == ["network"]
    assert done.state == state
    last = done.of("node_failed")[-1].data
    assert (last.will_retry, last.edges) == (False, ["a>next"])
    assert bytes(last.result) in {b"7", b'{"x":1}'}


async def test_an_error_edge_that_fires_comes_before_the_fallback() -> None:
    graph = guarded(Upstream(), fallback=7).node(nothing(), id="rescue").node(nothing(), id="next")
    graph.edge("a", "rescue", on="error", when="error.code == 'network'").edge("a", "next")

    done = await course(graph)

    assert done.nodes() == ["rescue"]
    assert "a" not in done.state


async def test_a_fallback_that_does_not_fit_the_state_stands_in_for_nothing() -> None:
    graph = Graph("g", state={"a": "text"}, reducers={"a": "add"}).node(Upstream().call, id="a", fallback=7)

    done = await course(graph)

    assert done.finished.status == "failed"
    assert done.one("node_failed").error.code == "network"


async def test_a_fallback_is_an_items_result_too() -> None:
    body = {"id": "work", "type": "function", "config": {"function": Upstream().call}, "fallback": 0}
    done = await course(Graph("g").node("each", "foreach", {"items": "[1, 2]", "body": body}))

    assert done.state["each"] == [0, 0]


@pytest.mark.bad_input(100)
@pytest.mark.parametrize(
    ("field", "value", "pointer"),
    [
        ("circuit_breaker", {"failure_threshold": 0}, "/failure_threshold"),
        ("circuit_breaker", {"failure_threshold": 10**9}, "/failure_threshold"),
        ("circuit_breaker", {"window_s": -1}, "/window_s"),
        ("circuit_breaker", {"open_s": 0}, "/open_s"),
        ("circuit_breaker", {"name": ""}, "/name"),
        ("circuit_breaker", {"on": ["input_error"]}, "/on/0"),
        ("quarantine", {"failures": 0}, "/failures"),
        ("quarantine", {"duration_s": 1e12}, "/duration_s"),
        ("fallback", None, ""),
        ("fallback", {"errors": []}, "/errors"),
    ],
)
def test_policies_out_of_bounds_are_refused_at_their_place(field: str, value: Any, pointer: str) -> None:
    graph = {"id": "g", "nodes": [{"id": "a", "type": "delay", "config": {"seconds": 0}, field: value}]}

    findings = validate(graph, builtin_registry())

    assert [problem.pointer for problem in findings.problems] == [f"/nodes/0/{field}{pointer}"]


def test_policies_are_written_in_python_as_in_json() -> None:
    graph = Graph("g").node(nothing(), id="a", circuit_breaker=CircuitBreaker(on=("timeout",)), quarantine=Quarantine())

    definition = graph.definition

    assert definition.to_value()["nodes"][0]["circuit_breaker"] == {"on": ["timeout"]}
    assert definition.to_value()["nodes"][0]["quarantine"] == {}
