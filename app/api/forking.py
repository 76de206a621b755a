"""What is answered to a fork, whatever the transport."""

from collections.abc import Awaitable
from dataclasses import replace

from app.api.commands import allowed_in
from app.api.schemas import answers, forks
from app.services.executions import ExecutionService
from app.services.forks import ForkService
from app.services.idempotency import Turn
from graphwire.engine.runner import Runner
from graphwire.errors import CommandNotAllowed


async def performing(command: str, made: Awaitable[Runner]) -> Runner:
    """Wait for a fork; a refusal names the commands that fit instead.

    Raises:
        CommandNotAllowed: It does not fit the execution's status.
    """
    try:
        return await made
    except CommandNotAllowed as error:
        allowed = error.facts["allowed"]
        if allowed is None:
            allowed = [name for name in allowed_in(str(error.facts["status"])) if name != command]
        raise CommandNotAllowed(error.detail, **{**error.facts, "allowed": allowed}) from None


async def answer_of(executions: ExecutionService, service: ForkService, turn: Turn) -> forks.Forked:
    """Return the answer to a fork that was made, now or by an earlier request with the same key."""
    fork_id = turn.event.execution_id
    # The first answer again: the status was that of what has just begun.
    view = replace(await executions.view(fork_id), status="running")
    return forks.forked(answers.accepted(view), view, await service.effects(fork_id))
