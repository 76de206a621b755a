"""The bodies by which an engine elsewhere declares an execution and reports its events."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from app.services.foreign import Declaration
from graphwire.engine.reported import REPORTED, Report
from graphwire.events.timestamps import parse_timestamp
from graphwire.graphs.definition import Id
from graphwire.graphs.fields import Given
from graphwire.types import ExecutionId, GraphId

_UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"


def _instant(text: str) -> str:
    try:
        parse_timestamp(text)
    except (ValueError, OverflowError):
        raise ValueError("a time is written as in 2026-11-20T19:45:30.123456Z, with its offset") from None
    return text


Name = Annotated[str, Field(min_length=1, max_length=255)]
Instant = Annotated[str, Field(max_length=40, json_schema_extra={"format": "date-time"}), AfterValidator(_instant)]


class DeclareRequest(BaseModel):
    """An execution that an engine elsewhere carries out."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    graph_id: Id = Field(description="The name of what runs; no graph of this name need be stored.")
    version: Annotated[
        int | None,
        Field(ge=1, le=2**31 - 1, description="Of the graph `graph_id`, which is stored here then."),
        Given(),
    ] = None
    id: Annotated[
        str | None, Field(pattern=_UUID, description="The execution's id, a UUID; default: a new one."), Given()
    ] = None
    correlation_id: Annotated[Name | None, Field(description="Stands in every event."), Given()] = None
    metadata: dict[str, Any] = Field(default={}, description="Kept with the execution; means nothing to the service.")

    def declaration(self) -> Declaration:
        """Return this body in the service's terms."""
        return Declaration(
            graph_id=GraphId(self.graph_id),
            version=self.version,
            id=None if self.id is None else ExecutionId(self.id),
            correlation_id=self.correlation_id,
            metadata=self.metadata,
        )


class Scope(BaseModel):
    """An enclosing scope."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    node: Name
    activation: Name
    index: Annotated[int | None, Field(ge=0, le=2**31 - 1), Given()] = None


class ReportedEvent(BaseModel):
    """An event that an engine elsewhere reports; what is left out is filled in."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    id: Name = Field(description="The producer's own name for it: an event whose id is known is not taken again.")
    type: Literal[REPORTED] = Field(description="An event of a node, what it emits, or a terminal one.")  # type: ignore[valid-type]  # made from the table of events
    node_id: Annotated[Name | None, Field(description="Of an event of a node."), Given()] = None
    activation: Annotated[
        Name | None, Field(description="The run of the node; default: a new one, or the newest that is open."), Given()
    ] = None
    pass_: Annotated[
        int | None,
        Field(alias="pass", ge=1, le=2**31 - 1, description="Which activation of the node it is; default: counted."),
        Given(),
    ] = None
    path: Annotated[
        list[Scope] | None, Field(max_length=100, description="The enclosing scopes, outermost first."), Given()
    ] = None
    ts: Annotated[
        Instant | None,
        Field(description="When it happened; kept between the event before it and now. Default: now."),
        Given(),
    ] = None
    data: dict[str, Any] = Field(default={}, description="As the type's events have it.")

    def report(self, at: str) -> Report:
        """Return this event in the engine's terms; ``at`` is where it stood."""
        path = None
        if self.path is not None:
            path = [scope.model_dump(exclude_none=True) for scope in self.path]
        return Report(
            id=self.id,
            type=self.type,
            data=self.data,
            at=at,
            node_id=self.node_id,
            activation=self.activation,
            pass_number=self.pass_,
            path=path,
            at_ns=None if self.ts is None else parse_timestamp(self.ts),
        )
