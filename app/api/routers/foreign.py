"""Executions of engines that run elsewhere: declare one, report its events."""

from dataclasses import replace

from fastapi import APIRouter, Depends
from msgspec import Raw
from starlette.requests import Request
from starlette.responses import Response

from app.api import errors, refusals
from app.api.bodies import located, read_model
from app.api.dependencies import BoundsDep, Executions, Foreign
from app.api.idempotency import PARAMETER as KEY, once, read_key
from app.api.negotiation import JSON, accepts
from app.api.parameters import ExecutionName
from app.api.reports import MAX_EVENTS, NDJSON, read_reports
from app.api.routers.executions import started_headers
from app.api.schemas import answers
from app.api.schemas.bodies import described
from app.api.schemas.examples import DECLARATIONS, DECLARED, REPORTS
from app.api.schemas.foreign import DeclareRequest
from app.services.errors import ExecutionExists
from app.services.executions import view_foreign
from app.services.foreign import Appended
from app.storage.repositories.idempotency import MadeEvent
from graphwire.errors import (
    AtCapacity,
    CommandNotAllowed,
    HistoryDamaged,
    InvalidInput,
    NotFound,
    ShuttingDown,
    StorageUnavailable,
)
from graphwire.types import ExecutionId

router = APIRouter(tags=["foreign engines"], dependencies=[Depends(accepts(JSON))])

_EVENT = {"$ref": "#/components/schemas/ReportedEvent"}
_EVENTS = {"anyOf": [{"type": "array", "items": _EVENT, "maxItems": MAX_EVENTS}, _EVENT]}


@router.post(
    "/executions",
    status_code=201,
    summary="Declare an execution that runs elsewhere",
    openapi_extra=described(
        DeclareRequest, description="What runs.", examples=DECLARATIONS, required=True, parameters=[KEY]
    ),
    responses={
        **answers.describe(answers.Accepted, 201, headers=("Location", "Idempotent-Replayed"), example=DECLARED),
        **refusals.responses(
            *refusals.BODY,
            *refusals.KEYED,
            NotFound,
            errors.NotAcceptable,
            ExecutionExists,
            AtCapacity,
            HistoryDamaged,
            ShuttingDown,
            StorageUnavailable,
        ),
    },
)
async def declare_execution(request: Request, bounds: BoundsDep, executions: Executions, foreign: Foreign) -> Response:
    """Declare an execution that another engine carries out, and that is followed here like any other.

    Its events are reported to `/executions/{execution_id}/events`. `graph_id` is a name; only with `version` must it
    be that of a stored graph.
    """
    key = read_key(request)
    body = await read_model(request, DeclareRequest, max_bytes=bounds.max_body_bytes, max_depth=bounds.max_json_depth)
    async with once(request, key, body) as turn:
        if not turn.is_repeated:
            execution = await foreign.declare(body.declaration(), turn.claim)
            turn.made = MadeEvent(execution.id, 1)
            view = view_foreign(execution)
    if turn.is_repeated:
        view = replace(await executions.view(turn.event.execution_id), status="running")
    return answers.answer(answers.accepted(view), 201, started_headers(turn))


@router.post(
    "/executions/{execution_id}/events",
    summary="Report events",
    description=f"""Add events to an execution that was declared: one, a list, or one a line (NDJSON), at most \
{MAX_EVENTS:,}.

The answer comes when they are stored, and says the number of each. Of a request with a fault nothing is taken. An event
whose `id` is known is not taken again, however often and by whomever it is repeated: whoever lost an answer sends the
same request once more. An empty list says that the producer is there.

`commands` are what the producer has still to follow: after `cancel` it ends the execution.
""",
    openapi_extra=described(
        _EVENTS, description="The events, in order.", examples=REPORTS, required=True, media_types=(JSON, NDJSON)
    ),
    responses={
        **answers.describe(answers.Appended),
        **refusals.responses(
            *refusals.BODY,
            NotFound,
            errors.NotAcceptable,
            CommandNotAllowed,
            HistoryDamaged,
            ShuttingDown,
            StorageUnavailable,
        ),
    },
)
async def report_events(execution_id: ExecutionName, request: Request, bounds: BoundsDep, foreign: Foreign) -> Response:
    """Add events to an execution that was declared."""
    reports, document = await read_reports(request, max_bytes=bounds.max_body_bytes, max_depth=bounds.max_json_depth)
    try:
        appended = await foreign.append(ExecutionId(execution_id), reports)
    except InvalidInput as error:
        if document is not None:
            error.problems = await located(request, document, error.problems)
        raise
    return answers.answer(_shaped(appended))


def _shaped(appended: Appended) -> answers.Appended:
    return answers.Appended(
        [answers.Taken(each.id, each.seq, each.is_known) for each in appended.events],
        appended.last_seq,
        appended.status,
        [answers.Command(each.seq, each.name, Raw(each.arguments)) for each in appended.commands],
    )
