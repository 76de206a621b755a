"""Records of what happened, stored beside the events."""

from collections.abc import Callable

import pytest
from msgspec import Raw

from graphwire import Graph, prepare
from graphwire.clock import FakeClock
from graphwire.engine import records
from graphwire.engine.attempt import Attempt, Scope
from graphwire.engine.memory import MemoryStore
from graphwire.engine.outbox import ExecutionOutbox
from graphwire.engine.plan import Route
from graphwire.engine.records import Recorder, decode_record
from graphwire.engine.reducers import Operations, Update
from graphwire.engine.state import State
from graphwire.errors import HistoryDamaged
from graphwire.events.hub import Hub
from graphwire.events.log import EventLog
from graphwire.events.types import CheckpointRestored, Failure
from graphwire.types import ExecutionId, GraphId
from graphwire.values import DELETE
from tests.engine.running import nothing

FAILURE = Failure(code="node_failed", type="ValueError", message="bad")


def an_attempt() -> Attempt:
    plan = prepare(Graph("g", reducers={"sum": "add"}).node(nothing(), id="a"))
    scope = Scope.open(plan, plan.entries, "", State.initial({}))
    (activation,) = scope.scheduler.start(scope.start)
    return Attempt(scope, activation, plan.nodes[0], scope.start)


def recorded(record: Callable[[Recorder], None]) -> records.Record:
    """Record something after an event; return it as it comes back from the store."""
    hub = Hub()
    outbox = ExecutionOutbox(ExecutionId("e"), hub, MemoryStore())
    recorder = Recorder(outbox, hub)
    recorder.begin()
    log = EventLog(ExecutionId("e"), GraphId("g"), FakeClock(), hub)
    log.append(CheckpointRestored(valid_to=0, next=1))
    record(recorder)
    batch = outbox.take(1 << 20)
    assert batch is not None
    (text,) = batch.deltas
    return decode_record(text)


def test_each_record_comes_back_as_it_was() -> None:
    attempt = an_attempt()
    name, scope = attempt.activation.id, attempt.scope
    attempt.number, attempt.interrupted = 3, 1

    cases: list[tuple[Callable[[Recorder], None], records.Record]] = [
        (lambda to: to.scope_failed(scope, FAILURE, attempt), records.ScopeFailed(1, "", FAILURE, name)),
        (lambda to: to.scope_failed(scope, FAILURE), records.ScopeFailed(1, "", FAILURE)),
        (
            lambda to: to.stopping("failed", FAILURE, None, ("timeout_s", 1.5)),
            records.Stopping(1, "failed", FAILURE, None, ("timeout_s", 1.5)),
        ),
        (lambda to: to.stopping("cancelled", reason="enough"), records.Stopping(1, "cancelled", None, "enough")),
        (lambda to: to.sleeps(attempt, 12, 4), records.Sleeps(1, name, 12, 4, 1)),
        (lambda to: to.suspended(attempt, "i", None, b"null", None), records.Suspended(1, name, "i", 3)),
        (
            lambda to: to.suspended(attempt, "i", 12, b"[1]", b"{}"),
            records.Suspended(1, name, "i", 3, 12, Raw(b"[1]"), Raw(b"{}")),
        ),
        (lambda to: to.answered("i", b'{"a":1}', None), records.Answered(1, "i", Raw(b'{"a":1}'))),
        (lambda to: to.answered("i", b"1", "Ada"), records.Answered(1, "i", Raw(b"1"), "Ada")),
        (
            lambda to: to.edited("w", {"a": b"[1]", "b": DELETE}),
            records.Edited(1, "w", {"a": Raw(b"[1]")}, ["b"]),
        ),
        (lambda to: to.paused("command", 12), records.Paused(1, "command", 12)),
        (lambda to: to.resumed(), records.Resumed(1)),
        (lambda to: to.breakpoints(b"[]"), records.Breakpoints(1, Raw(b"[]"))),
        (lambda to: to.opened(attempt, b'{"version":2}'), records.Opened(1, name, Raw(b'{"version":2}'))),
        (lambda to: to.restored(7), records.Restored(1, 7)),
    ]

    for record, expected in cases:
        assert recorded(record) == expected


def test_a_commit_holds_what_was_written_and_how() -> None:
    attempt = an_attempt()
    update: Update = {
        "x": b"1",
        "y": DELETE,
        "sum": Operations((b"1", DELETE, b"2"), b"2"),
        "z": Operations((b"[1]",), b"[1]"),
    }

    record = recorded(
        lambda to: to.commit(attempt, Route((0, 2), ["a", "b"]), update, attempt.state, b"null", partial=True)
    )

    assert record == records.Commit(
        seq=1,
        activation=attempt.activation.id,
        edges=[0, 2],
        update={"x": Raw(b"1"), "z": Raw(b"[1]")},
        deleted=["y"],
        operations={"sum": [[Raw(b"1")], [], [Raw(b"2")]]},
        partial=True,
    )


def test_a_commit_without_an_update_is_short() -> None:
    attempt = an_attempt()

    record = recorded(lambda to: to.commit(attempt, Route((0,), ["a"]), None, attempt.state, b"null"))

    assert record == records.Commit(1, attempt.activation.id, [0])


@pytest.mark.bad_input(141)
@pytest.mark.parametrize("text", [b"{", b"[]", b'{"kind":"of a later version","seq":1}', b'{"kind":"commit","seq":1}'])
def test_what_no_version_so_far_wrote_is_damage(text: bytes) -> None:
    with pytest.raises(HistoryDamaged, match="record"):
        decode_record(text)
