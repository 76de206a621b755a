"""The body with which an AG-UI client starts a run."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from app.api.schemas.start import StartRequest
from app.transports.dialects.ag_ui import RUN


class ForwardedProps(BaseModel):
    """What a client passes on: one member is read, and all others are left alone."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    graphwire: StartRequest = Field(
        default=StartRequest(), description="How the execution starts; its `state` is not used."
    )


class RunAgentInput(BaseModel):
    """How a run starts, in the words of AG-UI. Every member may be left out; what is not named here is left alone."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    threadId: str | None = Field(default=None, description="Comes back in `RUN_STARTED`; default: the execution's id.")
    runId: str | None = Field(default=None, description="Likewise.")
    state: dict[str, Any] | None = Field(default=None, description="Replaces the graph's initial values, key by key.")
    messages: list[Any] = Field(default=[], description="The key `messages` of the state, unless there are none.")
    tools: list[Any] = Field(default=[], description="The key `tools` of the state, unless there are none.")
    context: list[Any] = Field(default=[], description="The key `context` of the state, unless there is none.")
    forwardedProps: ForwardedProps | None = Field(
        default=None, description="`graphwire` says how the execution starts."
    )

    def start(self) -> StartRequest:
        """Return the same as a start of any other client."""
        lists = {"messages": self.messages, "tools": self.tools, "context": self.context}
        run = {name: value for name, value in (("threadId", self.threadId), ("runId", self.runId)) if value}
        options = (self.forwardedProps or ForwardedProps()).graphwire
        state = {**(self.state or {}), **{name: value for name, value in lists.items() if value}}
        metadata = {**options.metadata, RUN: run} if run else options.metadata
        return options.model_copy(update={"state": state, "metadata": metadata})
