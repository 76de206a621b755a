"""The body that starts an execution."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.api.schemas.commands import BreakpointList
from app.services.forks import Wanted
from app.services.starts import Wishes
from graphwire.graphs.definition import Id, Limits
from graphwire.graphs.fields import FromList, Given
from graphwire.types import Detail, Durability, Ordering, Priority


class StartRequest(BaseModel):
    """How an execution starts. Every field may be left out, and so may the body."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    state: dict[str, Any] = Field(default={}, description="Replaces the graph's initial values, key by key.")
    version: Annotated[
        int | None, Field(ge=1, le=2**31 - 1, description="Of the graph; default: the newest."), Given()
    ] = None
    entry: Annotated[
        Annotated[tuple[Id, ...], FromList(), Field(min_length=1)] | None,
        Field(description="Begin at these nodes instead."),
        Given(),
    ] = None
    seed: Annotated[
        int | None, Field(ge=0, le=2**63 - 1, description="Of all randomness; default: drawn."), Given()
    ] = None
    limits: Limits = Field(default=Limits(), description="Those that are given replace the graph's.")
    durability: Durability = Field(default="async", description="`sync`: events are shown when they are stored.")
    detail: Detail = Field(default="standard", description="`full` adds conditions, data flow and written keys.")
    ordering: Ordering = Field(default="as_finished", description="`deterministic`: results commit in dispatch order.")
    on_disconnect: Literal["continue", "cancel"] = Field(
        default="continue", description="`cancel`: the execution ends when its last reader has left."
    )
    priority: Priority = Field(
        default="normal", description="Who is first where executions wait for their turn: the higher priority."
    )
    breakpoints: BreakpointList = Field(default=(), description="Where the execution pauses by itself.")
    metadata: dict[str, Any] = Field(default={}, description="Kept with the execution; means nothing to the service.")

    def wishes(self) -> Wishes:
        """Return this body in the service's terms."""
        return Wishes(
            state=self.state,
            version=self.version,
            entry=self.entry,
            seed=self.seed,
            limits=self.limits.model_dump(include=self.limits.model_fields_set),
            durability=self.durability,
            detail=self.detail,
            ordering=self.ordering,
            on_disconnect=self.on_disconnect,
            breakpoints=[each.breakpoint() for each in self.breakpoints],
            metadata=self.metadata,
            priority=self.priority,
        )


class ForkRequest(BaseModel):
    """From where a fork goes on, and with what. Every field may be left out, and so may the body."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    at: Annotated[
        int | None,
        Field(ge=1, le=2**63 - 1, description="As of the last commit at or before this event; default: the last one."),
        Given(),
    ] = None
    state: dict[str, Any] = Field(default={}, description="Replaces values of the state there, key by key.")
    version: Annotated[
        int | None, Field(ge=1, le=2**31 - 1, description="Of the graph; default: that of the execution."), Given()
    ] = None
    entry: Annotated[
        Annotated[tuple[Id, ...], FromList(), Field(min_length=1)] | None,
        Field(description="Begin anew at these nodes, with the state there."),
        Given(),
    ] = None

    def wanted(self) -> Wanted:
        """Return this body in the service's terms."""
        return Wanted(self.at, self.state, self.version, self.entry)


class RetryRequest(BaseModel):
    """There is nothing to say. The body may be empty."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
