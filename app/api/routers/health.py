"""Whether the service is there, and whether it serves."""

from fastapi import APIRouter
from starlette.responses import Response

from app.api.dependencies import Executions
from app.api.schemas import answers

router = APIRouter(prefix="/health", tags=["health"])


@router.get("/live", responses=answers.describe(answers.Health))
async def is_live() -> Response:
    """Answer 200 as long as the process answers at all."""
    return answers.answer(answers.Health("live"))


@router.get("/ready", responses={**answers.describe(answers.Health), **answers.describe(answers.Health, 503)})
async def is_ready(executions: Executions) -> Response:
    """Answer 200 while new executions are taken, else 503 with the reason."""
    reason = executions.unavailable
    if reason is None:
        return answers.answer(answers.Health("ready"))
    return answers.answer(answers.Health("unavailable", reason), 503, {"Retry-After": "5"})
