"""Bodies and answers of forks and of retries of executions."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from msgspec import Struct
from pydantic import Field

from app.api.schemas.answers import Accepted, ForkedFrom
from app.api.schemas.examples import EXECUTION_ID, MODELS
from app.api.schemas.many import Conditions
from app.api.schemas.start import ForkRequest, RetryRequest
from app.services.forks import Due
from app.services.views import ExecutionView
from graphwire.graphs.fields import Given

_ExecutionName = Annotated[str, Field(description="The id of an execution.")]
_Key = Annotated[
    str | None,
    Field(description="Repeated with it, also after the connection was lost, the request is carried out once."),
    Given(),
]


class ForkParams(ForkRequest):
    """Which execution is forked, and how."""

    execution_id: _ExecutionName
    idempotency_key: _Key = None


class RetryParams(RetryRequest):
    """Which execution is retried."""

    execution_id: _ExecutionName
    idempotency_key: _Key = None


class RetryManyRequest(Conditions):
    """Which of the executions that failed are retried."""


class Effect(Struct):
    """An activation that runs at once, and whose node has effects; it may have had them before."""

    node: str
    activation: str
    path: list[dict[str, Any]]


class Forked(Accepted):
    """An execution goes on from the past of another one, and will reach an end of its own."""

    forked_from: ForkedFrom
    effects: list[Effect]


EXAMPLE: Final = {
    **MODELS["Accepted"],
    "forked_from": {"execution_id": "01a1ff63-cc00-7abc-8123-0a1b2c3d4e5f", "seq": 3},
    "effects": [],
}
FORKS: Final[Mapping[str, Any]] = {
    "state": {"summary": "From the start on, with another count", "value": {"at": 1, "state": {"count": 3}}},
    "empty": {"summary": "From the last commit on", "value": {}},
    "anew": {"summary": "Anew at a node", "value": {"entry": ["tick"]}},
}
RETRIES: Final[Mapping[str, Any]] = {"empty": {"summary": "From before the failure", "value": {}}}
RETRIES_OF_MANY: Final[Mapping[str, Any]] = {
    "graph": {"summary": "All of a graph that failed", "value": {"graph": ["ticker"]}},
    "since": {"summary": "Since a time", "value": {"since": "2026-11-20T19:45:30Z", "limit": 10}},
}
RETRIED: Final = {"items": [{"id": EXECUTION_ID, "execution": MODELS["Accepted"]}], "more": False}
PARAMS: Final[Mapping[str, Mapping[str, Any]]] = {
    "execution.fork": {
        "params": {"execution_id": EXECUTION_ID, "at": 1, "state": {"count": 3}},
        "result": EXAMPLE,
    },
    "execution.retry": {"params": {"execution_id": EXECUTION_ID}, "result": EXAMPLE},
}


def forked(accepted: Accepted, view: ExecutionView, effects: tuple[Due, ...]) -> Forked:
    """Shape the answer to a fork."""
    origin = view.forked_from
    assert origin is not None
    return Forked(
        accepted.id,
        accepted.graph_id,
        accepted.graph_version,
        accepted.status,
        accepted.links,
        forked_from=ForkedFrom(origin.execution_id, origin.seq),
        effects=[Effect(due.node, due.activation, [dict(step) for step in due.path]) for due in effects],
    )
