"""However attempts end, are ended, overrun or are given up: the execution ends once, and every start is closed."""

from collections.abc import Callable
from itertools import count, pairwise
from random import Random
from typing import Any

from hypothesis import given, settings, strategies as st

from graphwire import GraphDefinition, Guards
from graphwire.clock import FakeClock
from graphwire.engine.attempt import Attempt, Phase
from graphwire.engine.ending import End
from graphwire.engine.execution import Execution
from graphwire.engine.options import Options
from graphwire.engine.outbox import ExecutionOutbox
from graphwire.engine.plan import compile_plan
from graphwire.engine.report import Reporter
from graphwire.errors import NodeTimeout
from graphwire.events.encoding import decode_line
from graphwire.events.hub import Hub
from graphwire.events.log import EventLog
from graphwire.graphs.code import Code
from graphwire.nodes import builtin_registry
from graphwire.types import ExecutionId, GraphId
from tests.engine.running import check_laws

MOVES = 2_000
GUARDS: dict[str, Any] = {
    "circuit_breaker": {"name": "one", "failure_threshold": 2, "open_s": 1, "half_open_attempts": 1},
    "quarantine": {"failures": 1, "duration_s": 1},
    "fallback": {"c": 0},
}


async def never_called() -> None: ...


class Stage:
    """Plays the lanes and timers of an execution, in an order drawn from ``random``."""

    def __init__(self, definition: GraphDefinition, random: Random, *, in_order: bool) -> None:
        self._random = random
        self._flying: list[Attempt] = []
        self._interrupted: list[Attempt] = []
        self._timed: list[Attempt] = []
        self._soon: list[Callable[[], None]] = []
        clock = self._clock = FakeClock()
        self.hub = Hub()
        log = EventLog(ExecutionId("e"), GraphId("g"), clock, self.hub)
        outbox = ExecutionOutbox(ExecutionId("e"), self.hub, _NoStore())  # type: ignore[arg-type]  # only submit is used
        self.execution = Execution(
            compile_plan(definition, builtin_registry(), Code({"m:f": never_called})),
            state={"items": b"[1,2,3]"},
            options=Options(in_order=in_order),
            clock=clock,
            performer=self,
            reporter=Reporter(log, outbox, full=False),
            recorder=None,
            guards=Guards(clock),
        )

    def interrupt(self, attempt: Attempt) -> None:
        if attempt not in self._interrupted:
            self._interrupted.append(attempt)

    def sleep(self, attempt: Attempt, seconds: float, used_s: float = 0.0) -> None:
        self._timed.append(attempt)

    def wait(self, attempt: Attempt, seconds: float) -> None:
        self._timed.append(attempt)

    def arm(self, attempt: Attempt, used_s: float = 0.0) -> None:
        self._timed.append(attempt)

    def forget(self, attempt: Attempt) -> None:
        if attempt in self._timed:
            self._timed.remove(attempt)

    def stop_clock(self, attempt: Attempt) -> None: ...

    def run_clock(self, attempt: Attempt) -> None: ...

    def expire_at(self, interrupt_id: str, wall_us: int) -> None: ...

    def forget_interrupt(self, interrupt_id: str) -> None: ...

    def call_soon(self, callback: Callable[[], None]) -> None:
        self._soon.append(callback)

    def play(self) -> None:
        """Make moves until the execution is over."""
        self.execution.start()
        for _ in range(MOVES):
            if self.execution.is_over:
                return
            moves = self._moves()
            assert moves, "nothing can happen any more, and the execution is not over"
            self._random.choice(moves)()
        raise AssertionError("no end in sight")

    def _moves(self) -> list[Callable[[], None]]:
        moves: list[Callable[[], None]] = []
        if self.execution.has_ready:
            moves += [self._take] * 3
        moves += [self._finish] * 2 * bool(self._flying)
        moves += [self._close] * 2 * bool(self._interrupted)
        moves += [self._wake] * bool(self._timed)
        if self._soon:
            moves.append(self._call)
        if self._random.random() < 0.01 and self.execution.status == "running":
            moves.append(lambda: self.execution.stop(End("cancelled", reason="drawn")))
        return moves

    def _take(self) -> None:
        attempt = self.execution.take()
        if attempt is not None:
            self._flying.append(attempt)

    def _finish(self) -> None:
        attempt = self._flying.pop(self._random.randrange(len(self._flying)))
        if attempt in self._interrupted:
            self._interrupted.remove(attempt)
        draw = self._random.random()
        if draw < 0.35:
            self.execution.finish(attempt, error=ValueError("drawn"))
        elif draw < 0.45:
            self.execution.finish(attempt, error=NodeTimeout("drawn"))
        else:
            self.execution.finish(attempt, {"draw": self._random.randrange(4)})

    def _close(self) -> None:
        attempt = self._interrupted.pop(self._random.randrange(len(self._interrupted)))
        if attempt in self._flying and self._random.random() < 0.8:
            self._flying.remove(attempt)  # else it was given up, and its late result must change nothing
        self.execution.closed(attempt)

    def _wake(self) -> None:
        attempt = self._timed.pop(self._random.randrange(len(self._timed)))
        if attempt.phase is Phase.WAITING:
            self._clock.advance(0.5)
            self.execution.retrying.wake(attempt)
        elif attempt.phase is Phase.SLEEPING and self._random.random() < 0.7:
            self.execution.finish(attempt)
        elif self._random.random() < 0.5:
            self.execution.closing.expire(attempt, NodeTimeout("drawn"))
        else:
            self._timed.append(attempt)

    def _call(self) -> None:
        self._soon.pop(0)()


class _NoStore:
    def submit(self, outbox: object) -> None: ...


@st.composite
def bodies(draw: st.DrawFn, names: Any, depth: int = 0) -> dict[str, Any]:
    kinds = ["function", "function", "delay", "transform", *["foreach", "foreach", "while", "subgraph"] * (depth < 3)]
    nodes: list[dict[str, Any]] = []
    for _ in range(draw(st.integers(1, 3))):
        node: dict[str, Any] = {"id": f"n{next(names)}", "type": draw(st.sampled_from(kinds))}
        policy = draw(st.sampled_from([None, "fail", "continue", "skip"]))
        if policy:
            node["on_error"] = policy
        guard = draw(st.sampled_from(["none", "none", *GUARDS]))
        if guard in GUARDS:
            node[guard] = GUARDS[guard]
        if draw(st.booleans()):
            node["retry"] = {"max_attempts": draw(st.integers(1, 3)), "delay_s": draw(st.sampled_from([0, 5]))}
        if node["type"] == "function":
            node["config"] = {"function": "m:f"}
        elif node["type"] == "delay":
            node["config"] = {"seconds": 1}
        elif node["type"] == "transform":
            node["config"] = {"set": {"c": "1"}}
        elif node["type"] == "subgraph":
            node["config"] = {"body": draw(bodies(names, depth + 1))}
        elif node["type"] == "while":
            conditions = [f"state.turn{depth} < 2", f"state.turn{depth} < 2", "true", "false", "1"]
            node["config"] = {
                "condition": draw(st.sampled_from(conditions)),
                "index": f"turn{depth}",
                "max_iterations": draw(st.integers(1, 3)),
                "body": draw(bodies(names, depth + 1)),
            }
        else:
            node["config"] = {
                "items": draw(st.sampled_from(["state.items", "state.items", "range(2)", "range(0)", "1"])),
                "item": f"item{depth}",
                "index": f"index{depth}",
                "max_parallelism": draw(st.integers(1, 3)),
                "on_item_error": draw(st.sampled_from(["fail", "collect"])),
                "body": draw(bodies(names, depth + 1)),
            }
        nodes.append(node)
    edges = [
        {"source": source["id"], "target": target["id"], "on": draw(st.sampled_from(["success", "error", "always"]))}
        for place, source in enumerate(nodes)
        for target in nodes[place + 1 :]
        if draw(st.booleans())
    ]
    if draw(st.integers(0, 4)) == 0:
        edges.append({"source": nodes[-1]["id"], "target": nodes[-1]["id"], "on": "always"})
    return {"nodes": nodes, "edges": edges}


@st.composite
def definitions(draw: st.DrawFn) -> GraphDefinition:
    body = draw(bodies(count()))
    limits = {"max_steps": draw(st.sampled_from([3, 20])), "max_parallelism": draw(st.sampled_from([1, 2, 64]))}
    entry = [body["nodes"][0]["id"]]
    return GraphDefinition.model_validate({"id": "g", **body, "entry": entry, "limits": limits})


@settings(max_examples=400)
@given(definition=definitions(), seed=st.integers(0, 1 << 30), in_order=st.booleans())
def test_every_execution_ends_once_and_closes_what_it_started(
    definition: GraphDefinition, seed: int, in_order: bool
) -> None:
    stage = Stage(definition, Random(seed), in_order=in_order)

    stage.play()

    events = [decode_line(each.line) for each in stage.hub.take_unstored(1 << 60)]
    check_laws(events)
    check_attempts(events)
    closed: set[Any] = set()
    for event in events:
        assert not any(step["activation"] in closed for step in event.path or ()), "its opener had ended before"
        if event.type in {"node_completed", "node_failed", "node_cancelled"}:
            closed.add(event.activation)
        elif event.type == "node_started":
            closed.discard(event.activation)
    assert stage.execution.running == 0


def check_attempts(events: list[Any]) -> None:
    """The attempts of an activation are numbered, a retry follows from a failure that said so, and one is the last."""
    told: dict[tuple[Any, ...], list[Any]] = {}
    for event in events:
        if event.activation is not None:
            told.setdefault((event.activation, str(event.path)), []).append(event)
    for course in told.values():
        started = [event.data.attempt for event in course if event.type == "node_started"]
        assert started == list(range(1, len(started) + 1))
        last = 0
        for before, event in pairwise(course):
            if event.type == "node_started" and event.data.attempt > 1:
                assert before.type == "retry_attempted"
                assert before.data.attempt == event.data.attempt
            if before.type == "node_failed":
                assert (event.type == "retry_scheduled") == before.data.will_retry
            last += event.type in {"node_completed", "node_cancelled"}
            last += event.type == "node_failed" and not event.data.will_retry
        assert last <= 1
