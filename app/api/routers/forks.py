"""Forks of executions, and retries of those that failed: one, and many."""

from dataclasses import replace

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from app.api import errors, refusals
from app.api.bodies import read_model
from app.api.dependencies import BoundsDep, Executions, Forks
from app.api.forking import answer_of, performing
from app.api.idempotency import PARAMETER as KEY, once, read_key
from app.api.many import carry_out
from app.api.negotiation import JSON, accepts
from app.api.parameters import ExecutionName
from app.api.routers.executions import started_headers
from app.api.schemas import answers, forks, many
from app.api.schemas.bodies import described
from app.api.schemas.start import ForkRequest, RetryRequest
from app.services.errors import CheckpointCorrupt, CodeChanged
from app.services.idempotency import Turn
from app.storage.repositories.idempotency import MadeEvent
from graphwire.errors import (
    CommandNotAllowed,
    HistoryDamaged,
    NotFound,
    ShuttingDown,
    StateInvalid,
    StorageUnavailable,
)
from graphwire.types import ExecutionId

router = APIRouter(tags=["executions"], dependencies=[Depends(accepts(JSON))])

_MANY = (*refusals.BODY, *refusals.KEYED, errors.NotAcceptable, StorageUnavailable)
_ONE = (
    *_MANY, NotFound, CommandNotAllowed, CheckpointCorrupt, CodeChanged, StateInvalid, ShuttingDown, HistoryDamaged,
)  # fmt: skip
_ANSWERS = answers.describe(forks.Forked, 201, headers=("Location", "Idempotent-Replayed"), example=forks.EXAMPLE)


@router.post(
    "/executions/{execution_id}/fork",
    status_code=201,
    summary="Fork an execution",
    openapi_extra=described(
        ForkRequest,
        description="From where, and with what; every field may be left out, and so may the body.",
        examples=forks.FORKS,
        parameters=[KEY],
    ),
    responses={**_ANSWERS, **refusals.responses(*_ONE)},
)
async def fork_execution(
    execution_id: ExecutionName, request: Request, bounds: BoundsDep, executions: Executions, service: Forks
) -> Response:
    """Start an execution that goes on from the past of this one, which is not touched, and may still run.

    The fork has an id and events of its own. What was in flight there runs again, under new keys; `effects` names
    what of that touches the world. What waited for an answer waits on, and what slept wakes at once.
    """
    key = read_key(request)
    body = await read_model(request, ForkRequest, max_bytes=bounds.max_body_bytes, max_depth=bounds.max_json_depth)
    name = ExecutionId(execution_id)
    async with once(request, key, body) as turn:
        if not turn.is_repeated:
            made = await performing("fork", service.fork(name, body.wanted(), turn.claim))
            turn.made = MadeEvent(made.id, 1)
    return answers.answer(await answer_of(executions, service, turn), 201, started_headers(turn))


@router.post(
    "/executions/{execution_id}/retry",
    status_code=201,
    summary="Retry an execution",
    openapi_extra=described(RetryRequest, description="It may be empty.", examples=forks.RETRIES, parameters=[KEY]),
    responses={**_ANSWERS, **refusals.responses(*_ONE)},
)
async def retry_execution(
    execution_id: ExecutionName, request: Request, bounds: BoundsDep, executions: Executions, service: Forks
) -> Response:
    """Fork an execution that failed from the last point before the failure: what was done before is not done again."""
    key = read_key(request)
    body = await read_model(request, RetryRequest, max_bytes=bounds.max_body_bytes, max_depth=bounds.max_json_depth)
    async with once(request, key, body) as turn:
        if not turn.is_repeated:
            made = await performing("retry", service.retry(ExecutionId(execution_id), turn.claim))
            turn.made = MadeEvent(made.id, 1)
    return answers.answer(await answer_of(executions, service, turn), 201, started_headers(turn))


@router.post(
    "/executions/retry",
    summary="Retry many executions",
    openapi_extra=described(
        forks.RetryManyRequest,
        description="Which of those that failed. At least one condition is needed.",
        examples=forks.RETRIES_OF_MANY,
        required=True,
        parameters=[KEY],
    ),
    responses={**answers.describe(many.Many, example=forks.RETRIED), **refusals.responses(*_MANY)},
)
async def retry_executions(request: Request, bounds: BoundsDep, executions: Executions, service: Forks) -> Response:
    """Retry every execution that failed and for which the conditions hold, at most `limit` of them.

    The answer says of each which execution goes on in its place, or why none does. Repeated with the same
    `Idempotency-Key` it says so again, and goes on with the rest.
    """
    key = read_key(request)
    asked = await read_model(
        request, forks.RetryManyRequest, max_bytes=bounds.max_body_bytes, max_depth=bounds.max_json_depth
    )

    async def retry(execution_id: ExecutionId, turn: Turn) -> None:
        made = await performing("retry", service.retry(execution_id, turn.claim))
        turn.made = MadeEvent(made.id, 1)

    async def told(execution_id: ExecutionId, made: MadeEvent) -> many.ManyItem:
        view = replace(await executions.view(made.execution_id), status="running")
        return many.ManyItem(execution_id, execution=answers.accepted(view))

    query = asked.query(frozenset({"failed"}))
    return answers.answer(await carry_out(request, executions, key, asked, query, retry, told))
