"""Forks: an execution that goes on from the past of another one, with a history of its own."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Raw
from msgspec.structs import replace

from graphwire.engine.attempt import Attempt, Phase
from graphwire.engine.plan import Plan
from graphwire.engine.records import Commit, Forked, Record, ScopeFailed, Stopping, encode_record
from graphwire.events.types import Failure
from graphwire.values import Deleted, Frozen

if TYPE_CHECKING:
    from graphwire.engine.execution import Execution

FIRST = 1
"""The number of the event that begins a fork, and of its record."""


def fork_record(records: Sequence[bytes], update: Mapping[str, Frozen]) -> bytes:
    """Return the record that a fork begins with.

    Args:
        records: Of the past, from the start on.
        update: Keys that the fork sets or removes.
    """
    values = {key: Raw(value) for key, value in update.items() if isinstance(value, bytes)}
    deleted = [key for key, value in update.items() if isinstance(value, Deleted)]
    return encode_record(Forked(FIRST, [Raw(record) for record in records], values, deleted))


def before_end(records: Sequence[Record]) -> int:
    """Return how many records tell of what happened before an execution was told to end.

    The commit that ended it, of an attempt whose failure nothing handled, is none of them.
    """
    for index, record in enumerate(records):
        if isinstance(record, Stopping):
            last = records[index - 1] if index else None
            ended_it = record.failure is not None and record.failure.activation
            return index - (isinstance(last, Commit) and not last.scope and last.activation == ended_it)
    return len(records)


def before_failure(records: Sequence[Record], failure: Failure) -> int:
    """Return how many records tell of what happened before the failure that an execution ended with.

    A failure inside a child scope ends that one, and each that is around it.
    """
    kept = before_end(records)
    activation = failure.activation
    for place in reversed(range(kept)):
        record = records[place]
        if isinstance(record, ScopeFailed) and record.scope.partition("/")[0] == activation and failure.path:
            kept, activation = place, record.activation
    return kept


def translated(record: Record, of: Plan, to: Plan) -> Record:
    """Return a record of the graph itself with the edges of another version.

    Raises:
        KeyError: That one lacks an edge that fired.
    """
    if not isinstance(record, Commit) or record.scope:
        return record
    index = {id: position for position, id in enumerate(to.edge_ids)}
    return replace(record, edges=[index[of.edge_ids[edge]] for edge in record.edges])


def renew(
    execution: "Execution",
    ready: Mapping[str, Attempt],
    begun: dict[str, Attempt],
    waking: dict[str, int],
    unbegin: Callable[[Attempt], None],
) -> dict[str, Attempt]:
    """Make of an execution as it was one that begins there; return the attempts that are ready, in order.

    Args:
        ready, begun: Its attempts by activation; of ``begun`` those stay that are open, asleep or suspended.
        waking: When those that sleep, or wait for a retry, go on, in microseconds since the Unix epoch.
        unbegin: Has an attempt begin again when its turn comes.
    """
    again: dict[str, Attempt] = {}
    for name, attempt in list(begun.items()):
        phase = attempt.phase
        attempt.follows = FIRST
        if phase is Phase.SLEEPING and name in waking:
            waking[name] = 0
        elif phase is not Phase.OPEN and phase is not Phase.SUSPENDED:
            again[name] = attempt
            _leave_place(execution, attempt)
            waking.pop(name, None)
            unbegin(attempt)
            del begun[name]
    found = {name: _fresh(attempt) for name, attempt in {**again, **ready}.items()}
    for interrupt in list(execution.suspending.interrupts.values()):
        execution.suspending.rename(interrupt)
    if execution.status != "running":
        execution.control.resumed()
    execution.control.breakpoints.set(())
    execution.root.steps = 0
    return found


def _leave_place(execution: "Execution", attempt: Attempt) -> None:
    in_order = execution.in_order
    if in_order is None or attempt not in in_order.attempts:
        return
    if attempt.phase is Phase.WAITING:
        in_order.forget(attempt)
    else:
        in_order.attempts.remove(attempt)


def _fresh(attempt: Attempt) -> Attempt:
    """Return the first attempt of an activation; what it was answered is kept."""
    if attempt.asked is not None:
        attempt.number, attempt.interrupted, attempt.again, attempt.follows = 1, 0, None, FIRST
        return attempt
    activation = attempt.activation
    return Attempt(attempt.scope, activation, attempt.node, activation.tokens[0].state, follows=FIRST)
