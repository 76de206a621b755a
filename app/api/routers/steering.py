"""Executions are steered: paused, stepped, answered, changed, cancelled."""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from app.api import errors, refusals
from app.api.bodies import located, read_member
from app.api.commands import COMMANDS
from app.api.dependencies import Bounds, BoundsDep, Executions
from app.api.idempotency import PARAMETER as KEY, REPEATED, once, read_key
from app.api.negotiation import JSON, accepts
from app.api.parameters import AskingExecutionName, ExecutionName
from app.api.schemas import answers
from app.api.schemas.bodies import described
from app.api.schemas.commands import (
    BREAKPOINTS_SCHEMA,
    CancelRequest,
    InputRequest,
    PauseRequest,
    ResumeRequest,
    StepRequest,
)
from app.api.schemas.examples import BREAKPOINTS, CANCELS, EDITS, INPUTS, NOTHING, STEPS
from app.services.errors import CodeChanged
from app.services.executions import ExecutionService
from app.storage.repositories.idempotency import MadeEvent
from graphwire.errors import (
    CommandNotAllowed,
    InterruptClosed,
    InvalidInput,
    NotFound,
    NothingReady,
    StateInvalid,
    StorageUnavailable,
)
from graphwire.types import ExecutionId

router = APIRouter(tags=["executions"], dependencies=[Depends(accepts(JSON))])

MERGE_PATCH: Final = "application/merge-patch+json"
_REFUSALS: Final = (
    *refusals.BODY, *refusals.KEYED, NotFound, errors.NotAcceptable, CommandNotAllowed, CodeChanged, StorageUnavailable,
)  # fmt: skip
_APPLIED: Final = answers.describe(answers.Applied, 202, headers=("Idempotent-Replayed",))
_ANSWERS: Final[Mapping[int | str, Any]] = {**_APPLIED, **refusals.responses(*_REFUSALS)}
_NO_BODY: Final = "Nothing need be said: the body may be empty."


async def _carry_out(
    name: str, execution_id: str, request: Request, executions: ExecutionService, bounds: Bounds
) -> Response:
    command = COMMANDS[name]
    assert command.body is not None
    key = read_key(request)
    body, text = await read_member(
        request,
        command.body,
        command.member,
        max_bytes=bounds.max_body_bytes,
        max_depth=bounds.max_json_depth,
        media_types=(JSON, MERGE_PATCH) if name == "edit_state" else (JSON,),
    )
    async with once(request, key, body) as turn:
        if not turn.is_repeated:
            try:
                seq = await command.perform(executions, ExecutionId(execution_id), body, turn.claim)
            except InvalidInput as error:
                error.problems = await located(request, text, error.problems) if text.data else error.problems
                raise
            turn.made = MadeEvent(ExecutionId(execution_id), seq)
    return answers.answer(answers.Applied(turn.event.seq), 202, REPEATED if turn.is_repeated else None)


@router.post(
    "/executions/{execution_id}/cancel",
    status_code=202,
    summary="Cancel an execution",
    openapi_extra=described(
        CancelRequest, description="Why. The body may be empty.", examples=CANCELS, parameters=[KEY]
    ),
    responses={**_ANSWERS},
)
async def cancel_execution(
    execution_id: ExecutionName, request: Request, bounds: BoundsDep, executions: Executions
) -> Response:
    """Ask for cancellation. Safe to repeat; the end arrives as `execution_cancelled`.

    The answer is 202 as soon as the command is stored. One that has ended cannot be cancelled: 409.
    """
    return await _carry_out("cancel", execution_id, request, executions, bounds)


@router.post(
    "/executions/{execution_id}/pause",
    status_code=202,
    summary="Pause an execution",
    openapi_extra=described(PauseRequest, description=_NO_BODY, examples=NOTHING, parameters=[KEY]),
    responses={**_ANSWERS},
)
async def pause_execution(
    execution_id: ExecutionName, request: Request, bounds: BoundsDep, executions: Executions
) -> Response:
    """Begin nothing more. What runs goes on to its end; then the execution is `paused`, and `execution_paused` says so.

    Time limits do not count while it is paused.
    """
    return await _carry_out("pause", execution_id, request, executions, bounds)


@router.post(
    "/executions/{execution_id}/resume",
    status_code=202,
    summary="Resume a paused execution",
    openapi_extra=described(ResumeRequest, description=_NO_BODY, examples=NOTHING, parameters=[KEY]),
    responses={**_ANSWERS},
)
async def resume_execution(
    execution_id: ExecutionName, request: Request, bounds: BoundsDep, executions: Executions
) -> Response:
    """Go on after a pause, however it came about. One that only waits for input goes on with its answer instead."""
    return await _carry_out("resume", execution_id, request, executions, bounds)


@router.post(
    "/executions/{execution_id}/step",
    status_code=202,
    summary="Make a step of a paused execution",
    openapi_extra=described(
        StepRequest, description="How far. The body may be empty.", examples=STEPS, parameters=[KEY]
    ),
    responses={**_APPLIED, **refusals.responses(*_REFUSALS, NothingReady)},
)
async def step_execution(
    execution_id: ExecutionName, request: Request, bounds: BoundsDep, executions: Executions
) -> Response:
    """Let the first ready activation run, and pause again after its commit: `step_completed`."""
    return await _carry_out("step", execution_id, request, executions, bounds)


@router.post(
    "/executions/{execution_id}/input",
    status_code=202,
    summary="Answer a node that waits",
    openapi_extra=described(
        InputRequest, description="Which interrupt, and the answer.", examples=INPUTS, required=True, parameters=[KEY]
    ),
    responses={**_APPLIED, **refusals.responses(*_REFUSALS, InterruptClosed)},
)
async def answer_execution(
    execution_id: AskingExecutionName, request: Request, bounds: BoundsDep, executions: Executions
) -> Response:
    """Answer an interrupt; `interrupts` of the execution lists those that are open. Its node runs again with it.

    An answer that does not fit the interrupt's schema is 422, and the interrupt stays open; a second one is 409.
    """
    return await _carry_out("input", execution_id, request, executions, bounds)


@router.put(
    "/executions/{execution_id}/breakpoints",
    status_code=202,
    summary="Set breakpoints",
    openapi_extra=described(
        BREAKPOINTS_SCHEMA,
        description="All of them: they replace those that there are.",
        examples=BREAKPOINTS,
        required=True,
        parameters=[KEY],
    ),
    responses={**_ANSWERS},
)
async def set_breakpoints(
    execution_id: ExecutionName, request: Request, bounds: BoundsDep, executions: Executions
) -> Response:
    """Say where the execution pauses by itself.

    One before a node leaves it ready, and lets it pass when the execution is resumed.
    """
    return await _carry_out("set_breakpoints", execution_id, request, executions, bounds)


@router.patch(
    "/executions/{execution_id}/state",
    status_code=202,
    summary="Change the state of a paused execution",
    openapi_extra=described(
        {"type": "object", "description": "A merge patch: null removes a key."},
        description="What changes, as RFC 7396 has it.",
        examples=EDITS,
        required=True,
        media_types=(MERGE_PATCH, JSON),
        parameters=[KEY],
    ),
    responses={**_APPLIED, **refusals.responses(*_REFUSALS, StateInvalid)},
)
async def edit_state(
    execution_id: ExecutionName, request: Request, bounds: BoundsDep, executions: Executions
) -> Response:
    """Merge a patch into the state, as `GET …/state` shows it. What is set here is what every branch sees from then on.

    The state has to fit the graph's schema afterwards, if there is one.
    """
    return await _carry_out("edit_state", execution_id, request, executions, bounds)
