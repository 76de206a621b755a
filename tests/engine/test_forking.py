"""An execution that is forked at any of its checkpoints ends as the one that was never forked."""

from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from graphwire import GraphDefinition
from graphwire.clock import FakeClock
from graphwire.engine.forking import before_end, fork_record
from graphwire.engine.options import Options
from graphwire.engine.outbox import ExecutionOutbox
from graphwire.engine.plan import Plan
from graphwire.engine.records import Commit, Recorder, decode_record
from graphwire.engine.report import Reporter
from graphwire.engine.restoring import Restoring
from graphwire.events.hub import Hub
from graphwire.events.log import EventLog
from graphwire.events.types import ExecutionStarted
from graphwire.types import ExecutionId, GraphId
from tests.engine.test_restoring import (
    MAX_CUTS,
    START,
    Process,
    Stored,
    check_closed,
    definitions,
    is_guarded,
    outcome_of,
    plan_of,
    same_however_timing_falls,
)

NOTHING = GraphDefinition.model_validate(
    {"id": "g", "nodes": [{"id": "n", "type": "transform", "config": {"set": {}}}]}
)


class Fork(Process):
    """A process that carries on the past of another execution."""

    def __init__(self, plan: Plan, random: Random, options: Options, past: list[bytes]) -> None:
        super().__init__(plan_of(NOTHING), random, options)
        self.fork = fork_record(past, {})
        restoring = Restoring(plan, START, options, FakeClock())
        restoring.apply(self.fork)
        self.execution = restoring.execution
        self.tell(self.fork)
        restoring.go_on(self, self._reporter, self._recorder)

    def tell(self, record: bytes) -> None:
        """Begin a history of its own with the record of the fork."""
        self.hub = Hub()
        self._log = EventLog(ExecutionId("f"), GraphId("g"), FakeClock(), self.hub)
        self._outbox = ExecutionOutbox(ExecutionId("f"), self.hub, self)  # type: ignore[arg-type]  # only submit
        self._reporter = Reporter(self._log, self._outbox, full=False)
        self._recorder = Recorder(self._outbox, self.hub)
        self._outbox.commit(1, 1, record)
        self._log.append(ExecutionStarted(entry=[], seed=1, options=msgspec.Raw(b"{}")))

    def submit(self, outbox: object) -> None:
        """What is stored is taken at the end."""


def ended(stored: Stored) -> tuple[Any, ...]:
    """What an execution came to, without what is counted anew."""
    kind, *rest = outcome_of(stored)
    return kind, *[each for each in rest if not isinstance(each, int)]


def ran_out_of_steps(stored: Stored) -> bool:
    """Whether an execution failed because it took too many steps, which a fork counts anew."""
    return b"max_steps_exceeded" in msgspec.json.encode(outcome_of(stored))


def committed(records: list[bytes]) -> set[str]:
    """The activations that records say to be over."""
    return {record.activation for record in map(decode_record, records) if isinstance(record, Commit)}


def checkpoints(stored: Stored) -> list[list[bytes]]:
    """The records up to each commit, and none at all."""
    records = stored.records[: before_end(stored.read)]
    commits = [index for index, record in enumerate(records) if isinstance(decode_record(record), Commit)]
    return [[], *(records[: index + 1] for index in commits)]


@pytest.mark.capability("CKP-09")
@settings(max_examples=40)
@given(definition=definitions(), seed=st.integers(0, 1 << 30), in_order=st.booleans())
def test_a_fork_at_any_checkpoint_ends_as_the_execution_that_was_not_forked(
    definition: GraphDefinition, seed: int, in_order: bool
) -> None:
    plan, options = plan_of(definition), Options(seed=1, in_order=in_order)
    whole = Process(plan, Random(seed), options).play()
    places = checkpoints(whole)

    every = max(1, len(places) // MAX_CUTS)
    for past in places[seed % every :: every]:
        fork = Fork(plan, Random(seed + len(past)), options, past)
        after = fork.play()

        check_closed(after.events)
        assert fork.execution.running == 0
        assert not {name for name, _ in fork.ran} & committed(past)
        is_comparable = not is_guarded(definition) and not ran_out_of_steps(whole)
        if is_comparable and same_however_timing_falls(whole, in_order=in_order):
            assert ended(after) == ended(whole)
