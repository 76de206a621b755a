"""The events of an execution: one frozen class per type, holding the event's ``data``.

The envelope around them (``seq``, ``type``, ids, times) is in ``encoding``. Codes are informative; consumers key
on the type. A released name or code never changes its meaning.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Literal, TypeAlias, get_args

from msgspec import UNSET, Raw, Struct, UnsetType, field

from graphwire.types import TerminalStatus


class EventData(Struct, frozen=True, kw_only=True, gc=False):
    """What all event classes share.

    Attributes:
        type: The event's name on the wire.
        code: Its stable number.
        is_barrier: Neither the event nor anything after it is visible before it is stored.
    """

    type: ClassVar[str]
    code: ClassVar[int]
    is_barrier: ClassVar[bool] = False


class Failure(Struct, frozen=True, kw_only=True):
    """An error as it is shown everywhere: in events, in ``errors``, to expressions."""

    code: str
    type: str
    message: str
    node: str | UnsetType = UNSET
    activation: str | UnsetType = UNSET
    attempt: int | UnsetType = UNSET
    path: list[dict[str, str | int]] | UnsetType = UNSET
    """Where inside the scopes of an opener it happened, outermost first."""


class ExecutionStarted(EventData, frozen=True):
    """The execution was accepted and begins. Always ``seq`` 1 of an execution that need not wait."""

    type = "execution_started"
    code = 0
    is_barrier = True

    entry: list[str]
    seed: int
    options: Raw


class NodeStarted(EventData, frozen=True):
    """An attempt of a node begins."""

    type = "node_started"
    code = 1

    node_type: str
    attempt: int


class NodeCompleted(EventData, frozen=True):
    """An attempt succeeded and was committed. ``edges`` fired, in definition order."""

    type = "node_completed"
    code = 2

    attempt: int
    duration_ms: float
    edges: list[str]
    result: Raw


class NodeFailed(EventData, frozen=True):
    """An attempt ended with an error. Always follows its ``node_started``."""

    type = "node_failed"
    code = 3

    attempt: int
    duration_ms: float
    error: Failure
    will_retry: bool
    edges: list[str]


class ExecutionCompleted(EventData, frozen=True):
    """Nothing is active or waiting any more. ``state`` is the final state."""

    type = "execution_completed"
    code = 4
    is_barrier = True

    outcome: Literal["success", "partial"]
    duration_ms: float
    steps: int
    state: Raw


class ExecutionFailed(EventData, frozen=True):
    """The execution ended with an error."""

    type = "execution_failed"
    code = 5
    is_barrier = True

    error: Failure
    duration_ms: float
    steps: int


class ExecutionCancelled(EventData, frozen=True):
    """The execution was cancelled by a command."""

    type = "execution_cancelled"
    code = 6
    is_barrier = True

    reason: str | None
    duration_ms: float
    steps: int


class NodeEntered(EventData, frozen=True):
    """``detail: full``: an activation was taken up."""

    type = "node_entered"
    code = 7


class NodeExited(EventData, frozen=True):
    """``detail: full``: an activation's tokens were placed; ``next`` names their targets."""

    type = "node_exited"
    code = 8

    next: list[str]


class ConditionEvaluated(EventData, frozen=True):
    """``detail: full``: an edge's expression was evaluated."""

    type = "condition_evaluated"
    code = 9

    edge: str
    expression: str
    value: bool


class StateMergeConflictDetected(EventData, frozen=True):
    """States that met hold different values under ``key``; ``value`` is what stands. Absent values are null."""

    type = "state_merge_conflict_detected"
    code = 10

    key: str
    nodes: list[str]
    values: list[Raw]
    policy: str
    value: Raw


class NodeSkippedDueToErrorPolicy(EventData, frozen=True):
    """A failed node's success edges do not fire (``on_error: skip``)."""

    type = "node_skipped_due_to_error_policy"
    code = 16

    reason: str


class CheckpointRestored(EventData, frozen=True):
    """A process died: what was folded from events above ``valid_to`` is void; ``next`` is this event's ``seq``."""

    type = "checkpoint_restored"
    code = 17

    valid_to: int
    next: int


class StreamEnd(EventData, frozen=True):
    """The sentinel: the last event of every execution."""

    type = "stream_end"
    code = 21
    is_barrier = True

    status: TerminalStatus
    total_events: int
    duration_ms: float


class DataFlow(EventData, frozen=True):
    """``detail: full``: an edge fired with an update of so many bytes."""

    type = "data_flow"
    code = 24

    edge: str
    bytes: int


class ExecutionTimeout(EventData, frozen=True):
    """A time limit ended the execution; ``execution_failed`` follows."""

    type = "execution_timeout"
    code = 27

    limit: str
    limit_s: float


class StateChanged(EventData, frozen=True):
    """``detail: full``: a commit wrote these keys."""

    type = "state_changed"
    code = 28

    keys: list[str]


class NodeMessage(EventData, frozen=True):
    """A node said something. ``message`` is any JSON value."""

    type = "node_message"
    code = 34

    scope: str
    message: Raw
    metadata: Raw


class Diagnostic(EventData, frozen=True):
    """The engine noticed something that its user should know."""

    type = "diagnostic"
    code = 35

    problem: str = field(name="code")
    """What was noticed, in snake case."""
    severity: Literal["info", "warning", "error"]
    message: str
    facts: Raw


class LlmChunk(EventData, frozen=True):
    """A piece of streamed text."""

    type = "llm_chunk"
    code = 36

    stream_id: str
    text: str
    is_final: bool


class NodeProgress(EventData, frozen=True):
    """How far a node is, by its own count."""

    type = "node_progress"
    code = 47

    completed: float
    total: float | UnsetType = UNSET
    message: str | UnsetType = UNSET


class NodeLog(EventData, frozen=True):
    """A line of a node's log."""

    type = "node_log"
    code = 48

    level: str
    message: str
    fields: Raw


class EventsDropped(EventData, frozen=True):
    """So many emissions of an attempt were dropped at a bound."""

    type = "events_dropped"
    code = 49

    count: int


class NodeCancelled(EventData, frozen=True):
    """A started attempt was ended from outside."""

    type = "node_cancelled"
    code = 51

    attempt: int
    duration_ms: float
    reason: str


class JoinReleased(EventData, frozen=True):
    """A join goes on without the inputs named in ``missing`` (edge ids)."""

    type = "join_released"
    code = 52

    missing: list[str]


class CommandAccepted(EventData, frozen=True):
    """A command was accepted; its effect follows as its own event."""

    type = "command_accepted"
    code = 53
    is_barrier = True

    command: str
    arguments: Raw
    by: str | UnsetType = UNSET


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
)

EVENTS_BY_TYPE: Mapping[str, type[Event]] = MappingProxyType({event.type: event for event in get_args(Event)})
"""Every event class under its name on the wire."""

TERMINAL_TYPES: frozenset[str] = frozenset({"execution_completed", "execution_failed", "execution_cancelled"})
"""The events of which an execution has exactly one, directly before the sentinel."""
