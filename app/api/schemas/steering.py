"""What is shown of an execution that is steered: what waits for an answer, and where it pauses."""

from datetime import datetime
from typing import Final, Literal

from msgspec import Raw, Struct

from app.services.views import InterruptView
from graphwire.engine.breakpoints import Breakpoint

_NULL: Final = Raw(b"null")


class InterruptAnswer(Struct):
    """What a node waits for; `POST …/input` answers it. `schema` is null where any JSON value will do."""

    interrupt_id: str
    node: str
    activation: str
    payload: Raw
    schema: Raw
    expires_at: datetime | None


class BreakpointAnswer(Struct):
    """Where the execution pauses by itself, and how often it was hit."""

    node: str
    when: Literal["before", "after"]
    condition: str | None
    hits: int | None
    counted: int


def interrupt(view: InterruptView) -> InterruptAnswer:
    """Shape what waits for an answer."""
    return InterruptAnswer(
        interrupt_id=view.id,
        node=view.node,
        activation=view.activation,
        payload=Raw(view.payload),
        schema=_NULL if view.schema is None else Raw(view.schema),
        expires_at=view.expires_at,
    )


def breakpoint_of(given: Breakpoint) -> BreakpointAnswer:
    """Shape a breakpoint."""
    return BreakpointAnswer(given.node, given.when, given.condition, given.hits, given.counted)
