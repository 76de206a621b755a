"""The events of an execution: one frozen class per type, holding the event's ``data``.

The envelope around them (``seq``, ``type``, ids, times) is in ``encoding``. Codes are informative; consumers key
on the type. A released name or code never changes its meaning.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal, TypeAlias, get_args

from msgspec import UNSET, Meta, Raw, UnsetType, field

from graphwire.events.control_types import (
    BreakpointHit as BreakpointHit,
    CommandAccepted as CommandAccepted,
    ExecutionPaused as ExecutionPaused,
    ExecutionQueued as ExecutionQueued,
    ExecutionResumed as ExecutionResumed,
    InputReceived as InputReceived,
    NodeSuspended as NodeSuspended,
    StepCompleted as StepCompleted,
    VariableChanged as VariableChanged,
)
from graphwire.events.event_data import (
    Attempt as Attempt,
    DurationMs as DurationMs,
    EventData as EventData,
    Failure as Failure,
    Fired as Fired,
    ForkedFrom as ForkedFrom,
    Path as Path,
    Steps as Steps,
)
from graphwire.events.resilience_types import (
    CircuitBreakerOperationAttempted as CircuitBreakerOperationAttempted,
    CircuitBreakerOperationBlocked as CircuitBreakerOperationBlocked,
    CircuitBreakerStateChanged as CircuitBreakerStateChanged,
    NodeQuarantineCleared as NodeQuarantineCleared,
    NodeQuarantined as NodeQuarantined,
    ResourceBudgetExhausted as ResourceBudgetExhausted,
    RetryAttempted as RetryAttempted,
    RetryScheduled as RetryScheduled,
)
from graphwire.types import TerminalStatus


class ExecutionStarted(EventData, frozen=True):
    """The execution was accepted and begins. Always ``seq`` 1 of an execution that need not wait."""

    type = "execution_started"
    code = 0
    is_barrier = True

    entry: Annotated[list[str], Meta(description="The nodes that it starts at.")]
    seed: Annotated[int, Meta(description="Seeds the nodes' random numbers.")]
    options: Annotated[Raw, Meta(description="What the start chose, defaults included.")]
    forked_from: (
        Annotated[ForkedFrom, Meta(description="Where it was forked; left out where it was started.")] | UnsetType
    ) = UNSET


class NodeStarted(EventData, frozen=True):
    """An attempt of a node begins."""

    type = "node_started"
    code = 1

    node_type: Annotated[str, Meta(description="The node's type.")]
    attempt: Attempt


class NodeCompleted(EventData, frozen=True):
    """An attempt succeeded and was committed. ``edges`` fired, in definition order."""

    type = "node_completed"
    code = 2

    attempt: Attempt
    duration_ms: DurationMs
    edges: Fired
    result: Annotated[Raw, Meta(description="The node's result; of a mapping, a deleted key is null.")]


class NodeFailed(EventData, frozen=True):
    """An attempt ended with an error. Always follows its ``node_started``."""

    type = "node_failed"
    code = 3

    attempt: Attempt
    duration_ms: DurationMs
    error: Annotated[Failure, Meta(description="What went wrong.")]
    will_retry: Annotated[bool, Meta(description="Whether another attempt follows.")]
    edges: Fired
    result: Annotated[Raw, Meta(description="What stands in for the node's result: its fallback.")] | UnsetType = UNSET


class ExecutionCompleted(EventData, frozen=True):
    """Nothing is active or waiting any more. ``state`` is the final state."""

    type = "execution_completed"
    code = 4
    is_barrier = True

    outcome: Annotated[
        Literal["success", "partial"], Meta(description="`partial` where it went on past unhandled errors.")
    ]
    duration_ms: DurationMs
    steps: Steps
    state: Annotated[Raw, Meta(description="The final state.")]


class ExecutionFailed(EventData, frozen=True):
    """The execution ended with an error."""

    type = "execution_failed"
    code = 5
    is_barrier = True

    error: Annotated[Failure, Meta(description="What ended it.")]
    duration_ms: DurationMs
    steps: Steps


class ExecutionCancelled(EventData, frozen=True):
    """The execution was cancelled by a command."""

    type = "execution_cancelled"
    code = 6
    is_barrier = True

    reason: Annotated[str | None, Meta(description="What the command gave as its reason.")]
    duration_ms: DurationMs
    steps: Steps


class NodeEntered(EventData, frozen=True):
    """``detail: full``: an activation was taken up."""

    type = "node_entered"
    code = 7


class NodeExited(EventData, frozen=True):
    """``detail: full``: an activation's tokens were placed; ``next`` names their targets."""

    type = "node_exited"
    code = 8

    next: Annotated[list[str], Meta(description="The nodes that got a token.")]


class ConditionEvaluated(EventData, frozen=True):
    """``detail: full``: an edge's expression was evaluated."""

    type = "condition_evaluated"
    code = 9

    edge: Annotated[str, Meta(description="The edge's id.")]
    expression: Annotated[str, Meta(description="Its `when`.")]
    value: Annotated[bool, Meta(description="What that gave.")]


class StateMergeConflictDetected(EventData, frozen=True):
    """States that met hold different values under ``key``; ``value`` is what stands. Absent values are null."""

    type = "state_merge_conflict_detected"
    code = 10

    key: Annotated[str, Meta(description="The key of the state.")]
    nodes: Annotated[list[str], Meta(description="Who wrote the values, side by side.")]
    values: Annotated[list[Raw], Meta(description="What they wrote; null where the key is absent.")]
    policy: Annotated[str, Meta(description="The policy that decided.")]
    value: Annotated[Raw, Meta(description="What stands.")]


class NodeSkippedDueToErrorPolicy(EventData, frozen=True):
    """A failed node's success edges do not fire (``on_error: skip``)."""

    type = "node_skipped_due_to_error_policy"
    code = 16

    reason: Annotated[str, Meta(description="What the error said.")]


class CheckpointRestored(EventData, frozen=True):
    """A process died: what was folded from events above ``valid_to`` is void; ``next`` is this event's ``seq``."""

    type = "checkpoint_restored"
    code = 17
    is_barrier = True  # else the next process, where this one dies at once, would give its number again

    valid_to: Annotated[int, Meta(description="The last `seq` that still holds.")]
    next: Annotated[int, Meta(description="This event's own `seq`.")]


class StreamEnd(EventData, frozen=True):
    """The sentinel: the last event of every execution."""

    type = "stream_end"
    code = 21
    is_barrier = True

    status: Annotated[TerminalStatus, Meta(description="How the execution ended.")]
    total_events: Annotated[int, Meta(description="How many events there are, this one included.")]
    duration_ms: DurationMs


class DataFlow(EventData, frozen=True):
    """``detail: full``: an edge fired with an update of so many bytes."""

    type = "data_flow"
    code = 24

    edge: Annotated[str, Meta(description="The edge's id.")]
    bytes: Annotated[int, Meta(description="The size of the update that it carries.")]


class ExecutionTimeout(EventData, frozen=True):
    """A time limit ended the execution; ``execution_failed`` follows."""

    type = "execution_timeout"
    code = 27

    limit: Annotated[str, Meta(description="The name of the limit.")]
    limit_s: Annotated[float, Meta(description="The limit, in seconds.")]


class StateChanged(EventData, frozen=True):
    """``detail: full``: a commit wrote these keys."""

    type = "state_changed"
    code = 28

    keys: Annotated[list[str], Meta(description="The keys that were written.")]


class NodeMessage(EventData, frozen=True):
    """A node said something. ``message`` is any JSON value."""

    type = "node_message"
    code = 34

    scope: Annotated[str, Meta(description="What kind of message it is: `yield`, or what the node chose.")]
    message: Annotated[Raw, Meta(description="What was said; any JSON value.")]
    metadata: Annotated[Raw, Meta(description="What the node added, by name.")]


class Diagnostic(EventData, frozen=True):
    """The engine noticed something that its user should know."""

    type = "diagnostic"
    code = 35

    problem: Annotated[str, Meta(description="What was noticed, in snake case.")] = field(name="code")
    severity: Annotated[Literal["info", "warning", "error"], Meta(description="How bad it is.")]
    message: Annotated[str, Meta(description="What was noticed, in words.")]
    facts: Annotated[Raw, Meta(description="What a program can act on.")]


class LlmChunk(EventData, frozen=True):
    """A piece of streamed text."""

    type = "llm_chunk"
    code = 36

    stream_id: Annotated[str, Meta(description="Which of the streams of the node.")]
    text: Annotated[str, Meta(description="The piece.")]
    is_final: Annotated[bool, Meta(description="Whether it is the last of its stream.")]


class NodeProgress(EventData, frozen=True):
    """How far a node is, by its own count."""

    type = "node_progress"
    code = 47

    completed: Annotated[float, Meta(description="How much is done.")]
    total: Annotated[float, Meta(description="How much there is to do.")] | UnsetType = UNSET
    message: Annotated[str, Meta(description="What is being done.")] | UnsetType = UNSET


class NodeLog(EventData, frozen=True):
    """A line of a node's log."""

    type = "node_log"
    code = 48

    level: Annotated[str, Meta(description="How severe it is.")]
    message: Annotated[str, Meta(description="The line.")]
    fields: Annotated[Raw, Meta(description="What the node added, by name.")]


class EventsDropped(EventData, frozen=True):
    """So many emissions of an attempt were dropped at a bound."""

    type = "events_dropped"
    code = 49

    count: Annotated[int, Meta(description="How many.")]


class NodeCancelled(EventData, frozen=True):
    """A started attempt was ended from outside."""

    type = "node_cancelled"
    code = 51

    attempt: Attempt
    duration_ms: DurationMs
    reason: Annotated[str, Meta(description="Why it was ended.")]


class JoinReleased(EventData, frozen=True):
    """A join goes on without the inputs named in ``missing`` (edge ids)."""

    type = "join_released"
    code = 52

    missing: Annotated[list[str], Meta(description="The ids of the edges that it goes on without.")]


Event: TypeAlias = (
    ExecutionStarted
    | NodeStarted
    | NodeCompleted
    | NodeFailed
    | ExecutionCompleted
    | ExecutionFailed
    | ExecutionCancelled
    | NodeEntered
    | NodeExited
    | ConditionEvaluated
    | StateMergeConflictDetected
    | NodeSkippedDueToErrorPolicy
    | CheckpointRestored
    | StreamEnd
    | DataFlow
    | ExecutionTimeout
    | StateChanged
    | NodeMessage
    | Diagnostic
    | LlmChunk
    | NodeProgress
    | NodeLog
    | EventsDropped
    | NodeCancelled
    | JoinReleased
    | CommandAccepted
    | CircuitBreakerStateChanged
    | CircuitBreakerOperationAttempted
    | CircuitBreakerOperationBlocked
    | ResourceBudgetExhausted
    | RetryScheduled
    | RetryAttempted
    | ExecutionPaused
    | ExecutionResumed
    | BreakpointHit
    | StepCompleted
    | NodeQuarantined
    | NodeQuarantineCleared
    | VariableChanged
    | ExecutionQueued
    | NodeSuspended
    | InputReceived
)

EVENTS_BY_TYPE: Mapping[str, type[Event]] = MappingProxyType({event.type: event for event in get_args(Event)})
"""Every event class under its name on the wire."""

TERMINAL_TYPES: frozenset[str] = frozenset({"execution_completed", "execution_failed", "execution_cancelled"})
"""The events of which an execution has exactly one, directly before the sentinel."""
