"""However the timing falls: the same states, the same final state, the same activations; and every execution ends."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from hypothesis import given, strategies as st

from graphwire import GraphDefinition
from graphwire.clock import FakeClock
from graphwire.engine.attempt import Attempt
from graphwire.engine.execution import Execution
from graphwire.engine.options import Options
from graphwire.engine.plan import compile_plan
from graphwire.graphs.code import Code
from graphwire.nodes import builtin_registry
from graphwire.values import thaw

KEYS = ("x", "y", "sum", "list")
REDUCERS = {"sum": "add", "list": "append"}


async def _never_called() -> None: ...


ALL = st.just("all")
CODE = Code({"m:f": _never_called})


class Waiting:
    """A performer that keeps whom it is asked to interrupt; nothing sleeps or opens in these graphs."""

    def __init__(self) -> None:
        self.interrupted: list[Attempt] = []

    def interrupt(self, attempt: Attempt) -> None:
        self.interrupted.append(attempt)

    def sleep(self, attempt: Attempt, seconds: float, used_s: float = 0.0) -> None: ...

    def wait(self, attempt: Attempt, seconds: float) -> None: ...

    def arm(self, attempt: Attempt, used_s: float = 0.0) -> None: ...

    def forget(self, attempt: Attempt) -> None: ...

    def stop_clock(self, attempt: Attempt) -> None: ...

    def run_clock(self, attempt: Attempt) -> None: ...

    def expire_at(self, interrupt_id: str, wall_us: int) -> None: ...

    def forget_interrupt(self, interrupt_id: str) -> None: ...

    def call_soon(self, callback: Callable[[], None]) -> None:
        callback()


@dataclass
class Outcome:
    """What one order of completions came to."""

    status: str
    state: Any
    seen: dict[str, tuple[str, str]] = field(default_factory=dict)
    most_at_once: int = 0


def perform(definition: GraphDefinition, order: Random, *, in_order: bool = False) -> Outcome:
    """Run a graph, completing what is in flight in an order drawn from ``order``.

    What a node returns depends on its activation alone, so all orders have the same outcomes.
    """
    plan = compile_plan(definition, builtin_registry(), CODE)
    performer = Waiting()
    execution = Execution(
        plan,
        state={},
        options=Options(in_order=in_order),
        clock=FakeClock(),
        performer=performer,
        reporter=None,
        recorder=None,
    )
    outcome = Outcome("running", None)
    execution.start()
    flying: list[Attempt] = []
    while not execution.is_over:
        while (attempt := execution.take()) is not None:
            flying.append(attempt)
            assert attempt.activation.id not in outcome.seen, "an activation ran twice"
            outcome.seen[attempt.activation.id] = (attempt.node.id, attempt.state.to_json().decode())
        outcome.most_at_once = max(outcome.most_at_once, len(flying))
        if execution.status != "running":
            for attempt in performer.interrupted:
                execution.closed(attempt)
            break
        assert flying, "nothing runs and the execution is not over"
        attempt = flying.pop(order.randrange(len(flying)))
        execution.finish(attempt, returned(attempt.activation.id))
    assert execution.end is not None
    outcome.status, outcome.state = execution.status, thaw(execution.end.state_json())
    return outcome


def returned(activation: str) -> dict[str, Any]:
    """What the node of this activation returns: it writes some keys, and a draw that conditions look at."""
    draw = Random(hashlib.sha256(activation.encode()).digest())
    written: dict[str, Any] = {key: draw.randrange(3) for key in KEYS if draw.random() < 0.4}
    return {**written, f"draw_{activation[:2]}": draw.randrange(4), "draw": draw.randrange(4)}


@st.composite
def graphs(draw: st.DrawFn, *, joins: Any = ALL, acyclic: bool = False) -> GraphDefinition:
    count = draw(st.integers(2, 7))
    names = [f"n{number}" for number in range(count)]
    nodes = [{"id": name, "type": "function", "config": {"function": "m:f"}, "join": draw(joins)} for name in names]
    edges: list[dict[str, Any]] = [
        {"source": names[draw(st.integers(0, number - 1))], "target": names[number]} for number in range(1, count)
    ]
    for _ in range(draw(st.integers(0, 6))):
        source, target = draw(st.integers(0, count - 1)), draw(st.integers(0, count - 1))
        if acyclic and source >= target:
            continue
        edge: dict[str, Any] = {"source": names[source], "target": names[target]}
        if source >= target or draw(st.booleans()):
            edge["when"] = f"result.draw < {draw(st.integers(0, 3))}"
        edges.append(edge)
    return GraphDefinition.model_validate(
        {
            "id": "g",
            "nodes": nodes,
            "edges": edges,
            "entry": ["n0"],
            "state": {"reducers": REDUCERS},
            "limits": {"max_steps": 120},
        }
    )


@given(definition=graphs(), seeds=st.lists(st.integers(0, 1 << 30), min_size=2, max_size=4, unique=True))
def test_timing_changes_neither_activations_nor_states(definition: GraphDefinition, seeds: list[int]) -> None:
    runs = [perform(definition, Random(seed)) for seed in seeds]

    for later in runs[1:]:
        if runs[0].status == later.status == "completed":
            assert later.seen == runs[0].seen
            assert later.state == runs[0].state


@given(definition=graphs(), seeds=st.lists(st.integers(0, 1 << 30), min_size=2, max_size=3, unique=True))
def test_in_deterministic_order_not_even_the_order_of_dispatch_changes(
    definition: GraphDefinition, seeds: list[int]
) -> None:
    runs = [perform(definition, Random(seed), in_order=True) for seed in seeds]

    for later in runs[1:]:
        assert list(later.seen) == list(runs[0].seen)
        assert (later.status, later.state) == (runs[0].status, runs[0].state)


@given(
    definition=graphs(joins=st.sampled_from(["all", "any", 1, 2, 3])),
    seed=st.integers(0, 1 << 30),
    in_order=st.booleans(),
)
def test_every_execution_ends(definition: GraphDefinition, seed: int, in_order: bool) -> None:
    done = perform(definition, Random(seed), in_order=in_order)

    assert done.status in {"completed", "failed"}


@given(definition=graphs(acyclic=True), seed=st.integers(0, 1 << 30))
def test_without_loops_a_node_runs_once_at_most(definition: GraphDefinition, seed: int) -> None:
    nodes = [node for node, _ in perform(definition, Random(seed)).seen.values()]

    assert len(nodes) == len(set(nodes))


@given(definition=graphs(acyclic=True), seed=st.integers(0, 1 << 30))
def test_no_operation_of_a_reducer_is_lost_or_doubled(definition: GraphDefinition, seed: int) -> None:
    done = perform(definition, Random(seed))

    writes = [returned(activation) for activation in done.seen]
    assert done.state.get("sum", 0) == sum(write.get("sum", 0) for write in writes)
    assert sorted(done.state.get("list", [])) == sorted(write["list"] for write in writes if "list" in write)
