"""An execution that an earlier process left, as this one takes it up: what is told of it before it goes on."""

from collections.abc import Mapping
from typing import NamedTuple

from graphwire.engine.ending import End
from graphwire.engine.records import Recorder
from graphwire.engine.report import Reporter
from graphwire.engine.restoring import Restoring, Told
from graphwire.errors import GraphwireError
from graphwire.events import types
from graphwire.events.encoding import Envelope
from graphwire.events.log import EventLog
from graphwire.events.types import Failure

MAX_RECOVERIES = 3
"""So often an execution is taken up without anything being committed meanwhile."""
INTERRUPTED = "interrupted"


class Left(NamedTuple):
    """What an earlier process left of an execution that had begun.

    Attributes:
        restoring: It, with all records repeated.
        starts: The stored ``node_started`` events of attempts that were not closed, by activation.
        told: What the events say of activations whose end is not stored.
        last_seq: Its newest stored event.
        last_mono_ns: When that was, as events count the time.
        began_ns: When it began, likewise: it may have been queued.
        active_ns: How long it was neither paused nor suspended.
        refuses: Why it may not go on; None where it may.
        was_parked: All that was told is stored, and nothing was lost: nobody need know.
    """

    restoring: Restoring
    starts: Mapping[str, Envelope]
    told: Mapping[str, Told]
    last_seq: int
    last_mono_ns: int
    began_ns: int
    active_ns: int
    refuses: GraphwireError | None = None
    was_parked: bool = False


def tell_restored(left: Left, log: EventLog, report: Reporter, recorder: Recorder) -> None:
    """Tell that the execution is restored, and which attempts were lost; record it."""
    restoring = left.restoring
    recorder.begin()
    if not left.was_parked:
        log.append(types.CheckpointRestored(valid_to=left.last_seq, next=log.next_seq))
    lost = restoring.take_up(left.told)
    for name in lost:
        started = left.starts[name]
        lasted_ms = (left.last_mono_ns - started.mono_ns) // 1000 / 1000
        log.append(
            types.NodeCancelled(attempt=left.told[name].number, duration_ms=lasted_ms, reason=INTERRUPTED),
            node_id=started.node_id,
            activation=name,
            pass_number=started.pass_number,
            path=started.path,
        )
    if not left.was_parked:
        recorder.restored(left.last_seq, left.active_ns, len(lost))
    if left.refuses is not None:
        _hold(left, report, recorder)
    elif lost and restoring.recoveries >= MAX_RECOVERIES:
        restoring.end_with(End("failed", failure=_too_often()))


def _hold(left: Left, report: Reporter, recorder: Recorder) -> None:
    control = left.restoring.execution.control
    if control.reason != "code_changed":
        recorder.begin()
        report.execution(types.ExecutionPaused(reason="code_changed"))
        recorder.paused("code_changed", left.active_ns)
    control.paused("code_changed", left.active_ns)


def _too_often() -> Failure:
    message = (
        f"it was restored {MAX_RECOVERIES} times, and nothing was committed in between: it seems to end its process"
    )
    return Failure(code="recovery_limit_exceeded", type="RecoveryLimitExceeded", message=message)
