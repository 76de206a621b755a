"""Whether the service is there, and whether it serves."""

from fastapi import APIRouter
from starlette.responses import Response

from app.api.dependencies import Executions
from app.api.schemas import answers

router = APIRouter(prefix="/health", tags=["service"])

_LIVE = {"status": "live", "reason": None}
_UNAVAILABLE = {"status": "unavailable", "reason": "shutting_down"}


@router.get("/live", summary="Is it there?", responses=answers.describe(answers.Health, example=_LIVE))
async def is_live() -> Response:
    """Answer 200 as long as the process answers at all."""
    return answers.answer(answers.Health("live"))


@router.get(
    "/ready",
    summary="Does it serve?",
    responses={
        **answers.describe(answers.Health),
        **answers.describe(answers.Health, 503, headers=("Retry-After",), example=_UNAVAILABLE),
    },
)
async def is_ready(executions: Executions) -> Response:
    """Answer 200 while new executions are taken, else 503 with the reason."""
    reason = executions.unavailable
    if reason is None:
        return answers.answer(answers.Health("ready"))
    return answers.answer(answers.Health("unavailable", reason), 503, {"Retry-After": "5"})
