"""The bodies of the commands that an execution takes."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from graphwire.engine.breakpoints import Breakpoint
from graphwire.graphs.definition import Id
from graphwire.graphs.fields import FromList, Given

_STRICT = ConfigDict(strict=True, extra="forbid", frozen=True)

MAX_BREAKPOINTS = 1_000


class CancelRequest(BaseModel):
    """Why an execution is cancelled. The body may be empty."""

    model_config = _STRICT

    reason: Annotated[str | None, Field(max_length=1_000, description="Shown in `execution_cancelled`."), Given()] = (
        None
    )


class PauseRequest(BaseModel):
    """Nothing need be said. The body may be empty."""

    model_config = _STRICT


class ResumeRequest(BaseModel):
    """Nothing need be said. The body may be empty."""

    model_config = _STRICT


class StepRequest(BaseModel):
    """How far a step goes. The body may be empty."""

    model_config = _STRICT

    mode: Literal["over", "into", "out"] = Field(
        default="over",
        description="`over`: to the commit of the first ready activation. `into`: until it has opened its scopes, if "
        "it opens any. `out`: to the commit of the activation whose scope it is in.",
    )


class InputRequest(BaseModel):
    """The answer to an open interrupt."""

    model_config = _STRICT

    interrupt_id: str = Field(max_length=200, description="As `node_suspended`, and `interrupts`, name it.")
    value: Any = Field(description="The answer; any JSON value that fits the interrupt's schema.")


class BreakpointBody(BaseModel):
    """Where an execution pauses by itself."""

    model_config = _STRICT

    node: Id = Field(description="Its id; that of one inside a body too.")
    when: Literal["before", "after"] = Field(default="before", description="Before it runs, or after it was committed.")
    condition: Annotated[
        str | None, Field(max_length=4_096, description="An expression over the state; default: always."), Given()
    ] = None
    hits: Annotated[
        int | None,
        Field(ge=1, le=2**31 - 1, description="It pauses from so many hits on; default: 1."),
        Given(),
    ] = None

    def breakpoint(self) -> Breakpoint:
        """Return it in the engine's terms."""
        return Breakpoint(self.node, self.when, self.condition, self.hits)


BreakpointList = Annotated[tuple[BreakpointBody, ...], FromList(), Field(max_length=MAX_BREAKPOINTS)]


class BreakpointsRequest(BaseModel):
    """All breakpoints of an execution: they replace those that it had. Over HTTP the body is the list itself."""

    model_config = _STRICT

    breakpoints: BreakpointList = Field(description="All of them; hits are counted anew.")


BREAKPOINTS_SCHEMA: Mapping[str, Any] = {
    "type": "array",
    "maxItems": MAX_BREAKPOINTS,
    "items": {"$ref": "#/components/schemas/BreakpointBody"},
}
"""Of the list alone."""


class EditRequest(BaseModel):
    """A change of the state, as RFC 7396 has it: null removes a key. Over HTTP the body is the patch itself."""

    model_config = _STRICT

    patch: dict[str, Any] = Field(description="Merged into the state; each top-level key in it is set whole.")


BODIES: tuple[type[BaseModel], ...] = (
    CancelRequest,
    PauseRequest,
    ResumeRequest,
    StepRequest,
    InputRequest,
    BreakpointBody,
)
"""Those that are bodies over HTTP as they stand, or parts of one."""
