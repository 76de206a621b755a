"""An execution that is restored from any of its records goes on as if nothing had happened."""

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import count
from random import Random
from typing import Any

import msgspec
from hypothesis import assume, given, settings, strategies as st

from graphwire import GraphDefinition
from graphwire.clock import FakeClock
from graphwire.engine.attempt import Attempt, Phase
from graphwire.engine.execution import Execution
from graphwire.engine.options import Options
from graphwire.engine.outbox import ExecutionOutbox
from graphwire.engine.plan import Plan, compile_plan
from graphwire.engine.ports import Batch
from graphwire.engine.records import Commit, Record, Recorder, ScopeFailed, Sleeps, decode_record
from graphwire.engine.report import Reporter
from graphwire.engine.restoring import Restoring, Told
from graphwire.events.encoding import decode_line
from graphwire.events.hub import Hub
from graphwire.events.log import EventLog
from graphwire.events.types import CheckpointRestored, NodeCancelled
from graphwire.graphs.code import Code
from graphwire.nodes import builtin_registry
from graphwire.types import ExecutionId, GraphId
from tests.engine.test_ending_laws import bodies, never_called

MOVES = 600
MAX_CUTS = 40
START = {"items": b"[1,2,3]"}
ENDS = frozenset({"node_completed", "node_failed", "node_cancelled"})


class _NoStore:
    def submit(self, outbox: object) -> None: ...


@dataclass
class Stored:
    """What is stored of an execution when its process dies."""

    batches: list[Batch] = field(default_factory=list)

    @property
    def records(self) -> list[bytes]:
        return [delta for batch in self.batches for delta in batch.deltas]

    @property
    def read(self) -> list[Record]:
        return [decode_record(record) for record in self.records]

    @property
    def events(self) -> list[Any]:
        return [decode_line(event.line) for batch in self.batches for event in batch.events]

    def committed(self) -> list[str]:
        return [record.activation for record in self.read if isinstance(record, Commit)]

    def told(self) -> dict[str, Told]:
        told: dict[str, Told] = {}
        for event in self.events:
            if event.type == "node_started":
                told[event.activation] = Told(event.data.attempt, is_open=True, mono_ns=event.mono_ns)
            elif event.type == "node_cancelled" and event.data.reason == "interrupted":
                told[event.activation] = Told(event.data.attempt, is_open=False)
            elif event.type in ENDS:
                del told[event.activation]
        return told


class Process:
    """Plays the lanes and timers of an execution in a drawn order; what its nodes do is always the same."""

    def __init__(self, plan: Plan, random: Random, options: Options, stored: Stored | None = None) -> None:
        self._random = random
        self._flying: list[Attempt] = []
        self._interrupted: list[Attempt] = []
        self._timed: list[Attempt] = []
        self._soon: list[Callable[[], None]] = []
        self.ran: list[tuple[str, int]] = []
        clock = FakeClock()
        events = [] if stored is None else stored.events
        self.hub = Hub(first_seq=events[-1].seq + 100 if events else 1)
        self._log = EventLog(ExecutionId("e"), GraphId("g"), clock, self.hub, events_before=len(events))
        self._outbox = ExecutionOutbox(ExecutionId("e"), self.hub, _NoStore())  # type: ignore[arg-type]  # only submit
        self._reporter = Reporter(self._log, self._outbox, full=False)
        self._recorder = Recorder(self._outbox, self.hub)
        if stored is None:
            self.execution = Execution(
                plan,
                state=START,
                options=options,
                clock=clock,
                performer=self,
                reporter=self._reporter,
                recorder=self._recorder,
            )
            self.execution.start()
            return
        restoring = Restoring(plan, START, options, clock)
        for record in stored.records:
            restoring.apply(record)
        self.execution = restoring.execution
        self._recorder.begin()
        self._log.append(CheckpointRestored(valid_to=events[-1].seq if events else 0, next=self.hub.published + 1))
        told = stored.told()
        for name in restoring.take_up(told):
            self._log.append(
                NodeCancelled(attempt=told[name].number, duration_ms=0, reason="interrupted"), activation=name
            )
        self._recorder.restored(events[-1].seq if events else 0)
        restoring.go_on(self, self._reporter, self._recorder)

    def interrupt(self, attempt: Attempt) -> None:
        if attempt not in self._interrupted:
            self._interrupted.append(attempt)

    def sleep(self, attempt: Attempt, seconds: float, used_s: float = 0.0) -> None:
        self._timed.append(attempt)

    def wait(self, attempt: Attempt, seconds: float) -> None:
        self._timed.append(attempt)

    def arm(self, attempt: Attempt, used_s: float = 0.0) -> None: ...

    def stop_clock(self, attempt: Attempt) -> None: ...

    def run_clock(self, attempt: Attempt) -> None: ...

    def expire_at(self, interrupt_id: str, wall_us: int) -> None: ...

    def forget_interrupt(self, interrupt_id: str) -> None: ...

    def forget(self, attempt: Attempt) -> None:
        if attempt in self._timed:
            self._timed.remove(attempt)

    def call_soon(self, callback: Callable[[], None]) -> None:
        self._soon.append(callback)

    def play(self, moves: int = 10 * MOVES) -> Stored:
        """Make moves until the execution is over; return what it stores, in the smallest batches."""
        for _ in range(moves):
            if self.execution.is_over:
                break
            possible = self._moves()
            assert possible, "nothing can happen any more, and the execution is not over"
            self._random.choice(possible)()
        stored = Stored()
        while (batch := self._outbox.take(1)) is not None:
            stored.batches.append(batch)
        return stored

    def _moves(self) -> list[Callable[[], None]]:
        moves: list[Callable[[], None]] = []
        if self.execution.has_ready:
            moves += [self._take] * 3
        moves += [self._finish] * 2 * bool(self._flying)
        moves += [self._close] * bool(self._interrupted)
        moves += [self._wake] * bool(self._timed)
        moves += [lambda: self._soon.pop(0)()] * bool(self._soon)
        return moves

    def _take(self) -> None:
        attempt = self.execution.take()
        if attempt is not None:
            self._flying.append(attempt)
            self.ran.append((attempt.activation.id, attempt.number))

    def _finish(self) -> None:
        attempt = self._flying.pop(self._random.randrange(len(self._flying)))
        if attempt in self._interrupted:
            self._interrupted.remove(attempt)
        draw = blake2b(attempt.activation.id.encode(), digest_size=1).digest()[0]
        if draw % 8 == 0:
            self.execution.finish(attempt, error=ValueError("drawn"))
        else:
            self.execution.finish(attempt, {"draw": draw, "log": attempt.activation.id})

    def _close(self) -> None:
        attempt = self._interrupted.pop(self._random.randrange(len(self._interrupted)))
        if attempt in self._flying:
            self._flying.remove(attempt)
        self.execution.closed(attempt)

    def _wake(self) -> None:
        attempt = self._timed.pop(self._random.randrange(len(self._timed)))
        if attempt.phase is Phase.WAITING:
            self.execution.retrying.wake(attempt)
        else:
            self.execution.slept(attempt)


def has_entries(body: dict[str, Any]) -> bool:
    """Whether every body inside has a node to begin with, as validation asks."""
    inner = [node["config"]["body"] for node in body["nodes"] if "body" in node.get("config", {})]
    return all(len(each["edges"]) == 0 or len(each["nodes"]) > 1 for each in inner) and all(map(has_entries, inner))


@st.composite
def definitions(draw: st.DrawFn) -> GraphDefinition:
    body = draw(bodies(count()).filter(has_entries))
    limits = {"max_steps": 30, "max_parallelism": draw(st.sampled_from([1, 2, 64]))}
    entry = [body["nodes"][0]["id"]]
    state = {"reducers": {"log": "append"}}
    return GraphDefinition.model_validate({"id": "g", **body, "entry": entry, "limits": limits, "state": state})


def whole_run(plan: Plan, options: Options, seed: int) -> Stored:
    """Return what an execution stores that is never cut. Long ones are not tried."""
    process = Process(plan, Random(seed), options)
    stored = process.play(MOVES)
    assume(process.execution.is_over)
    return stored


def plan_of(definition: GraphDefinition) -> Plan:
    return compile_plan(definition, builtin_registry(), Code({"m:f": never_called}))


def check_closed(events: list[Any]) -> None:
    """Every start is closed once, and nothing else is."""
    running: set[str] = set()
    for event in events:
        if event.type == "node_started":
            assert event.activation not in running
            running.add(event.activation)
        elif event.type in ENDS:
            running.remove(event.activation)
    assert not running


def outcome_of(stored: Stored) -> tuple[Any, ...]:
    """What an execution came to, without its times and the numbers of attempts."""
    end = next(
        event for event in stored.events if event.type.startswith("execution_") and event.type != "execution_started"
    )
    data = end.data
    if end.type == "execution_completed":
        return end.type, data.outcome, data.steps, without_attempts(data.state)
    return end.type, data.steps, without_attempts(getattr(data, "error", None))


def without_attempts(value: Any) -> Any:
    plain = msgspec.json.decode(msgspec.json.encode(value))

    def strip(each: Any) -> Any:
        if isinstance(each, dict):
            return {key: strip(inner) for key, inner in each.items() if key != "attempt"}
        return [strip(inner) for inner in each] if isinstance(each, list) else each

    return strip(plain)


def is_guarded(definition: GraphDefinition) -> bool:
    """Whether a node has a breaker or a quarantine: what those refuse is an outcome, and begins anew elsewhere."""
    text = definition.model_dump_json(exclude_none=True)
    return '"circuit_breaker"' in text or '"quarantine"' in text


def same_however_timing_falls(whole: Stored, *, in_order: bool) -> bool:
    """Whether the run promises the same end under any timing."""
    if in_order:
        return not any(isinstance(record, Sleeps) and record.since_us is not None for record in whole.read)
    is_completed = any(event.type == "execution_completed" for event in whole.events)
    return is_completed and not any(isinstance(record, ScopeFailed) for record in whole.read)


@settings(max_examples=30)
@given(definition=definitions(), seed=st.integers(0, 1 << 30), in_order=st.booleans())
def test_from_any_record_on_it_ends_as_it_would_have(definition: GraphDefinition, seed: int, in_order: bool) -> None:
    plan, options = plan_of(definition), Options(seed=1, in_order=in_order)
    whole = whole_run(plan, options, seed)

    every = max(1, len(whole.batches) // MAX_CUTS)
    for cut in range(seed % every, len(whole.batches), every):
        before = Stored(whole.batches[:cut])
        process = Process(plan, Random(seed + cut), options, before)
        after = process.play()

        both = Stored(before.batches + after.batches)
        commits = both.committed()
        assert len(commits) == len(set(commits)), "a committed activation ran again"
        assert not {name for name, _ in process.ran} & set(before.committed())
        check_closed(both.events)
        assert [event.type for event in both.events].count("stream_end") == 1
        assert process.execution.running == 0
        if same_however_timing_falls(whole, in_order=in_order) and not is_guarded(definition):
            assert outcome_of(after) == outcome_of(whole)
            assert set(commits) == set(whole.committed())


@settings(max_examples=30)
@given(definition=definitions(), seed=st.integers(0, 1 << 30), in_order=st.booleans(), crashes=st.integers(2, 5))
def test_crashes_one_after_the_other_change_nothing(
    definition: GraphDefinition, seed: int, in_order: bool, crashes: int
) -> None:
    plan, options, random = plan_of(definition), Options(seed=1, in_order=in_order), Random(seed)
    whole = whole_run(plan, options, seed)
    stored: Stored | None = None
    for _ in range(crashes):
        process = Process(plan, random, options, stored)
        lived = process.play(random.randrange(12)).batches
        stored = Stored([] if stored is None else stored.batches)
        if process.execution.is_over:
            lived = lived[: len(lived) // 2]
        stored.batches += lived[: random.randint(0, len(lived))]

    after = Process(plan, random, options, stored).play()

    assert stored is not None
    both = Stored(stored.batches + after.batches)
    check_closed(both.events)
    commits = both.committed()
    assert len(commits) == len(set(commits))
    if same_however_timing_falls(whole, in_order=in_order) and not is_guarded(definition):
        assert outcome_of(after) == outcome_of(whole)
        assert set(commits) == set(whole.committed())
    numbers: dict[str, int] = {}
    for event in both.events:
        if event.type == "node_started":
            assert event.data.attempt > numbers.get(event.activation, 0)
            numbers[event.activation] = event.data.attempt
