"""Whether the service is there, and whether it serves."""

from fastapi import APIRouter
from starlette.responses import Response

from app.api import refusals
from app.api.dependencies import Ready
from app.api.schemas import answers
from graphwire.errors import ShuttingDown, StorageUnavailable

router = APIRouter(prefix="/health", tags=["service"])


@router.get("/live", summary="Is it there?", responses=answers.describe(answers.Live))
async def is_live() -> Response:
    """Answer 200 as long as the process answers at all."""
    return answers.answer(answers.Live())


@router.get(
    "/ready",
    summary="Does it serve?",
    responses={**answers.describe(answers.Ready), **refusals.responses(ShuttingDown, StorageUnavailable)},
)
async def is_ready(ready: Ready) -> Response:
    """Answer 200 while new executions are taken, else 503 with the reason: no storage, or the service stops.

    The database is asked, unless something was stored within the last five seconds.
    """
    troubles = await ready.check()
    sinks = [
        answers.SinkHealth(
            sink.name, sink.handled, sink.failed, sink.lost, sink.waiting, sink.is_on, sink.last_error_at
        )
        for sink in troubles.sinks
    ]
    return answers.answer(answers.Ready(troubles.files, sinks))
