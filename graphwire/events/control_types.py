"""The events of commands, of pauses and of waiting, for a turn or for a person. ``types`` has all events."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Raw, UnsetType

from graphwire.events.event_data import Attempt, DurationMs, EventData


class ExecutionPaused(EventData, frozen=True):
    """Nothing runs, and nothing begins until it is resumed."""

    type = "execution_paused"
    code = 25
    is_barrier = True

    reason: Annotated[
        Literal["command", "breakpoint", "step", "waiting_for_input", "budget", "code_changed"],
        Meta(description="Why it is paused."),
    ]
    by: Annotated[str, Meta(description="Who asked for it.")] | UnsetType = UNSET


class ExecutionResumed(EventData, frozen=True):
    """It goes on."""

    type = "execution_resumed"
    code = 26

    paused_ms: Annotated[float, Meta(description="How long it was paused, in milliseconds.")]


class BreakpointHit(EventData, frozen=True):
    """A breakpoint pauses the execution."""

    type = "breakpoint_hit"
    code = 32

    when: Annotated[Literal["before", "after"], Meta(description="On which side of the node.")]
    hits: Annotated[int, Meta(description="How often its condition has held.")]
    condition: Annotated[str, Meta(description="Its condition.")] | UnsetType = UNSET


class StepCompleted(EventData, frozen=True):
    """A step was made; the execution is paused again."""

    type = "step_completed"
    code = 33

    mode: Annotated[Literal["over", "into", "out"], Meta(description="How far it went.")]


class VariableChanged(EventData, frozen=True):
    """Somebody edited the state while the execution was paused."""

    type = "variable_changed"
    code = 45

    keys: Annotated[list[str], Meta(description="The top-level keys that were set or removed.")]
    by: Annotated[str, Meta(description="Who did.")] | UnsetType = UNSET


class ExecutionQueued(EventData, frozen=True):
    """The execution was accepted and waits for its turn. Again whenever its place has changed."""

    type = "execution_queued"
    code = 46
    is_barrier = True

    position: Annotated[int, Meta(description="Its place in the queue, from 1.")]
    priority: Annotated[Literal["low", "normal", "high", "critical"], Meta(description="What it waits with.")]
    reason: Annotated[str, Meta(description="What it waits for.")]


class CommandAccepted(EventData, frozen=True):
    """A command was accepted; its effect follows as its own event."""

    type = "command_accepted"
    code = 53
    is_barrier = True

    command: Annotated[str, Meta(description="Its name.")]
    arguments: Annotated[Raw, Meta(description="What it was given.")]
    by: Annotated[str, Meta(description="Who gave it.")] | UnsetType = UNSET


class NodeSuspended(EventData, frozen=True):
    """The activation waits for an answer from outside; its attempt is over."""

    type = "node_suspended"
    code = 54

    attempt: Attempt
    duration_ms: DurationMs
    interrupt_id: Annotated[str, Meta(description="What an answer names.")]
    payload: Annotated[Raw, Meta(description="What is asked; any JSON value.")]
    schema: Annotated[Raw, Meta(description="JSON Schema of the answer.")] | UnsetType = UNSET
    expires_at: Annotated[str, Meta(description="When the wait ends by itself.")] | UnsetType = UNSET


class InputReceived(EventData, frozen=True):
    """An interrupt was answered; its activation runs again."""

    type = "input_received"
    code = 55

    interrupt_id: Annotated[str, Meta(description="Which.")]
    value: Annotated[Raw, Meta(description="The answer; any JSON value.")]
    by: Annotated[str, Meta(description="Who answered.")] | UnsetType = UNSET
