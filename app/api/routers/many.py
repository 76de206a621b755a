"""What can be asked of many executions at once."""

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from app.api import errors, refusals
from app.api.bodies import read_model
from app.api.commands import COMMANDS
from app.api.dependencies import BoundsDep, Executions
from app.api.idempotency import PARAMETER as KEY, read_key
from app.api.many import carry_out
from app.api.negotiation import JSON, accepts
from app.api.schemas import answers, many
from app.api.schemas.bodies import described
from app.api.schemas.commands import CancelRequest
from app.services.idempotency import Turn
from app.storage.repositories.idempotency import MadeEvent
from graphwire.errors import StorageUnavailable
from graphwire.types import ExecutionId

router = APIRouter(tags=["executions"], dependencies=[Depends(accepts(JSON))])

_REFUSALS = (*refusals.BODY, *refusals.KEYED, errors.NotAcceptable, StorageUnavailable)
_UNFINISHED = frozenset({"queued", "running", "pausing", "paused", "stopping"})


@router.post(
    "/executions/cancel",
    summary="Cancel many executions",
    openapi_extra=described(
        many.CancelManyRequest,
        description="Which, and why. At least one condition is needed.",
        examples=many.CANCELS,
        required=True,
        parameters=[KEY],
    ),
    responses={**answers.describe(many.Many, example=many.EXAMPLE), **refusals.responses(*_REFUSALS)},
)
async def cancel_executions(request: Request, bounds: BoundsDep, executions: Executions) -> Response:
    """Ask for the cancellation of every execution for which the conditions hold, at most `limit` of them.

    The answer says of each what the request for it alone would have been answered. Repeated with the same
    `Idempotency-Key` it says so again of those that were told to end, and goes on with the rest.
    """
    key = read_key(request)
    asked = await read_model(
        request, many.CancelManyRequest, max_bytes=bounds.max_body_bytes, max_depth=bounds.max_json_depth
    )
    query = asked.query(frozenset(asked.status) if asked.status else _UNFINISHED)
    reason = CancelRequest() if asked.reason is None else CancelRequest(reason=asked.reason)

    async def cancel(execution_id: ExecutionId, turn: Turn) -> None:
        seq = await COMMANDS["cancel"].perform(executions, execution_id, reason, turn.claim)
        turn.made = MadeEvent(execution_id, seq)

    async def told(execution_id: ExecutionId, made: MadeEvent) -> many.ManyItem:
        return many.ManyItem(execution_id, applied_seq=made.seq)

    return answers.answer(await carry_out(request, executions, key, asked, query, cancel, told))
