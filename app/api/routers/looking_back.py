"""Looking back: the checkpoints of an execution, and its state at any of them."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from app.api import errors, pagination, refusals
from app.api.dependencies import Checkpoints, Executions
from app.api.negotiation import JSON, accepts
from app.api.parameters import ExecutionName
from app.api.schemas import answers
from app.services.errors import CheckpointCorrupt
from graphwire.errors import HistoryDamaged, InvalidCursor, InvalidInput, NotFound, StorageUnavailable
from graphwire.types import ExecutionId

router = APIRouter(tags=["executions"], dependencies=[Depends(accepts(JSON))])

_LOOK = (NotFound, errors.NotAcceptable, InvalidInput, HistoryDamaged, StorageUnavailable)


@router.get(
    "/executions/{execution_id}/state",
    summary="Look at its state",
    responses={**answers.describe(answers.State), **refusals.responses(*_LOOK, CheckpointCorrupt)},
)
async def get_state(
    execution_id: ExecutionName,
    executions: Executions,
    checkpoints: Checkpoints,
    at: Annotated[
        int | None, Query(ge=1, le=2**63 - 1, description="As of this event; default: as of now.", examples=[3])
    ] = None,
) -> Response:
    """Return the merged state of an execution, running or ended, and the keys on which its branches differ.

    With `at` it is the state as of the last commit at or before that event, whose number is `seq` of the answer.
    """
    name = ExecutionId(execution_id)
    view = await executions.state(name) if at is None else await checkpoints.state(name, at)
    return answers.answer(answers.state(view))


@router.get(
    "/executions/{execution_id}/checkpoints",
    summary="List its checkpoints",
    responses={
        **answers.describe(answers.Checkpoints, headers=("Link",)),
        **refusals.responses(*_LOOK, InvalidCursor),
    },
)
async def list_checkpoints(
    execution_id: ExecutionName,
    request: Request,
    checkpoints: Checkpoints,
    limit: pagination.Limit = 100,
    after: pagination.After = None,
) -> Response:
    """List the places in the past of an execution at which its state changed and is stored, newest first.

    Each is a commit of a node, those inside child scopes included, or an edit; `at` of a state or of a fork takes its
    `seq`, as it takes every other number.
    """
    items, following = await checkpoints.list(ExecutionId(execution_id), limit=limit, after=after)
    page = answers.Checkpoints([answers.checkpoint(view) for view in items], following)
    return answers.answer(page, headers=pagination.link_header(request, following))
