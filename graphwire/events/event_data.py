"""What the classes of events share."""

from typing import Annotated, ClassVar, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

from graphwire.types import ExecutionId

Attempt: TypeAlias = Annotated[int, Meta(description="Which try of the activation, from 1.")]
DurationMs: TypeAlias = Annotated[float, Meta(description="How long it took, in milliseconds.")]
Steps: TypeAlias = Annotated[int, Meta(description="The activations that were begun.")]
Fired: TypeAlias = Annotated[list[str], Meta(description="The ids of the edges that fired, in definition order.")]
Path: TypeAlias = Annotated[
    list[dict[str, str | int]], Meta(description="Where inside the scopes of an opener it happened, outermost first.")
]


class ForkedFrom(Struct, frozen=True):
    """The place of an execution from which another one goes on: as of its last commit at or before ``seq``."""

    execution_id: Annotated[ExecutionId, Meta(description="Its id.")]
    seq: Annotated[int, Meta(description="The number of the last event that it is as of.")]


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

    code: Annotated[str, Meta(description="What went wrong, in snake case.")]
    type: Annotated[str, Meta(description="The class of the exception.")]
    message: Annotated[str, Meta(description="What it said.")]
    node: Annotated[str, Meta(description="The node's id.")] | UnsetType = UNSET
    activation: Annotated[str, Meta(description="The node's activation.")] | UnsetType = UNSET
    attempt: Attempt | UnsetType = UNSET
    path: Path | UnsetType = UNSET
    traceback: Annotated[str, Meta(description="Where in the code; only where a setting says so.")] | UnsetType = UNSET
    is_transient: Annotated[bool, Meta(description="Whether it may well be over the next time.")] | UnsetType = UNSET
