"""Parameters and results of the methods of a WebSocket."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from msgspec import UNSET, Struct, UnsetType
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from app.api.schemas.answers import Accepted
from app.api.schemas.commands import (
    BreakpointsRequest,
    CancelRequest,
    EditRequest,
    InputRequest,
    PauseRequest,
    ResumeRequest,
    StepRequest,
)
from app.api.schemas.examples import BREAKPOINTS, EDITS, EXECUTION_ID, INPUTS, MODELS
from app.api.schemas.forks import PARAMS as FORKED
from app.api.schemas.start import StartRequest
from app.transports.dialects.names import DialectName
from graphwire.graphs.fields import FromList, Given

_STRICT = ConfigDict(strict=True, extra="forbid", frozen=True)

_Key = Annotated[
    str | None,
    Field(description="Repeated with it, also after the connection was lost, the request is carried out once."),
    Given(),
]
_After = Annotated[
    Any,
    Field(description="Number of the last event that the client has; default: none, so from the start."),
    WithJsonSchema({"type": "integer", "minimum": 0}),
    Given(),
]
_Types = Annotated[
    Annotated[tuple[str, ...], FromList()] | None,
    Field(description="Only events of these types, and those that end a stream."),
    Given(),
]
_Nodes = Annotated[
    Annotated[tuple[str, ...], FromList()] | None,
    Field(description="Only events of these nodes, and those of no node."),
    Given(),
]
_Dialect = Annotated[
    DialectName, Field(description="The vocabulary of the events; filters name native types in all of them.")
]
_ExecutionName = Annotated[str, Field(description="The id of an execution.")]
_SubscriptionName = Annotated[str, Field(description="As the reply to its beginning names it.")]


class StartParams(StartRequest):
    """How an execution starts, as over HTTP, and whether it is followed."""

    graph_id: Annotated[
        str | None, Field(description="The id of a graph; at `/graphs/{graph_id}/ws` that of the address."), Given()
    ] = None
    idempotency_key: _Key = None
    subscribe: bool = Field(default=True, description="Whether its events are sent, from the first one on.")
    dialect: _Dialect = "native"

    def body(self) -> dict[str, Any]:
        """Return what would be the body of the request over HTTP, as it was given."""
        return self.model_dump(exclude_unset=True, exclude={"graph_id", "idempotency_key", "subscribe", "dialect"})


class SubscribeParams(BaseModel):
    """Which execution is followed, from where on, and what of it is sent."""

    model_config = _STRICT

    execution_id: _ExecutionName
    after: _After = None
    types: _Types = None
    nodes: _Nodes = None
    dialect: _Dialect = "native"
    credit: Annotated[
        int | None,
        Field(ge=0, le=2**53, description="So many events are sent, and more with `stream.credit`; default: any."),
        Given(),
    ] = None


class FilterParams(BaseModel):
    """What a subscription shows from now on; what is left out filters nothing."""

    model_config = _STRICT

    subscription: _SubscriptionName
    types: _Types = None
    nodes: _Nodes = None


class UnsubscribeParams(BaseModel):
    """Which subscription ends."""

    model_config = _STRICT

    subscription: _SubscriptionName


class CreditParams(BaseModel):
    """How many more events a subscription may send."""

    model_config = _STRICT

    subscription: _SubscriptionName
    events: int = Field(ge=1, le=2**53)


class _Named(BaseModel):
    """Which execution is meant."""

    execution_id: _ExecutionName
    idempotency_key: _Key = None


class CancelParams(CancelRequest, _Named):
    """Which execution is cancelled, and why."""


class PauseParams(PauseRequest, _Named):
    """Which execution is paused."""


class ResumeParams(ResumeRequest, _Named):
    """Which execution goes on."""


class StepParams(StepRequest, _Named):
    """Which execution makes a step, and how far."""


class InputParams(InputRequest, _Named):
    """Which interrupt of which execution is answered, and how."""


class BreakpointsParams(BreakpointsRequest, _Named):
    """Where which execution pauses by itself."""


class EditParams(EditRequest, _Named):
    """How the state of which execution changes."""


COMMAND_PARAMS: Final[Mapping[str, type[BaseModel]]] = {
    "cancel": CancelParams,
    "pause": PauseParams,
    "resume": ResumeParams,
    "step": StepParams,
    "input": InputParams,
    "set_breakpoints": BreakpointsParams,
    "edit_state": EditParams,
}
"""By the command's name."""


class ServiceSubscribeParams(BaseModel):
    """What of the whole service is followed."""

    model_config = _STRICT

    topics: Annotated[
        Annotated[tuple[str, ...], FromList()] | None,
        Field(description="Only these, where `*` stands for any characters, as `execution.*`; default: all."),
        Given(),
    ] = None
    after: _After = None


class Started(Struct, omit_defaults=True):
    """The execution that was started, and the subscription to it."""

    execution: Accepted
    subscription: str | UnsetType = UNSET


class Subscribed(Struct, omit_defaults=True):
    """The name of the subscription, which its events carry; with `ended`, the cursor is the last event's: none come."""

    subscription: str
    ended: bool = False


class Refiltered(Struct):
    """The number of the first event for which the new filter holds."""

    from_seq: int


class Done(Struct):
    """It was done; there is nothing more to say."""


EXAMPLES: Final[Mapping[str, Mapping[str, Any]]] = {
    "execution.start": {
        "params": {"graph_id": "ticker", "state": {"count": 8, "interval_ms": 250}},
        "result": {"execution": {**MODELS["Accepted"], "graph_id": "ticker"}, "subscription": "s1"},
    },
    "execution.subscribe": {
        "params": {"execution_id": EXECUTION_ID, "after": 2, "types": ["node_completed"], "credit": 100},
        "result": {"subscription": "s2"},
    },
    "execution.filter": {
        "params": {"subscription": "s1", "types": ["node_message"]},
        "result": {"from_seq": 12},
    },
    "execution.unsubscribe": {"params": {"subscription": "s1"}, "result": {}},
    "stream.credit": {"params": {"subscription": "s2", "events": 50}, "result": {}},
    "service.subscribe": {"params": {"topics": ["execution.*"]}, "result": {"subscription": "s3"}},
    "execution.cancel": {
        "params": {"execution_id": EXECUTION_ID, "reason": "no longer needed"},
        "result": {"applied_seq": 12},
    },
    "execution.pause": {"params": {"execution_id": EXECUTION_ID}, "result": {"applied_seq": 12}},
    "execution.resume": {"params": {"execution_id": EXECUTION_ID}, "result": {"applied_seq": 12}},
    "execution.step": {"params": {"execution_id": EXECUTION_ID, "mode": "over"}, "result": {"applied_seq": 12}},
    "execution.input": {
        "params": {"execution_id": EXECUTION_ID, **INPUTS["answer"]["value"]},
        "result": {"applied_seq": 12},
    },
    "execution.set_breakpoints": {
        "params": {"execution_id": EXECUTION_ID, "breakpoints": BREAKPOINTS["two"]["value"]},
        "result": {"applied_seq": 12},
    },
    "execution.edit_state": {
        "params": {"execution_id": EXECUTION_ID, "patch": EDITS["change"]["value"]},
        "result": {"applied_seq": 12},
    },
    **FORKED,
}
"""By method: parameters, and what they may result in."""
