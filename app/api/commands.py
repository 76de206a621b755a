"""The commands that an execution takes, whatever the transport."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from pydantic import BaseModel

from app.api.errors import NotAvailable
from app.api.schemas.start import CancelRequest
from app.services.executions import ExecutionService
from graphwire.engine.ports import Claim
from graphwire.errors import CommandNotAllowed
from graphwire.types import ExecutionId, Status

Effect: TypeAlias = Callable[[ExecutionService, ExecutionId, Any, Claim | None], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Command:
    """Something that can be asked of an execution.

    Attributes:
        name: Imperative; the last part of its path, and of its method on a socket.
        summary: What it does, in a sentence.
        body: What says how; None for what the service does not do yet.
        allowed_in: The statuses of executions that it fits.
        effect: Has it done, and returns the number of its ``command_accepted`` event.
    """

    name: str
    summary: str
    body: type[BaseModel] | None = None
    allowed_in: frozenset[Status] = frozenset()
    effect: Effect | None = None

    async def perform(
        self, executions: ExecutionService, execution_id: ExecutionId, body: BaseModel, claim: Claim | None = None
    ) -> int:
        """Have it done; return the number of the stored ``command_accepted`` event.

        Args:
            body: An instance of the command's ``body``.
            claim: Stored with that event.

        Raises:
            NotAvailable: The service does not do this yet.
            NotFound: There is no such execution.
            CommandNotAllowed: It does not fit the execution's status; ``allowed`` names the commands that do.
            StorageUnavailable: Not now.
        """
        if self.effect is None:
            raise NotAvailable(f"the command {self.name} is not there yet")
        try:
            return await self.effect(executions, execution_id, body, claim)
        except CommandNotAllowed as error:
            facts = {**error.facts, "allowed": allowed_in(str(error.facts["status"]))}
            raise CommandNotAllowed(error.detail, **facts) from None


async def _cancel(
    executions: ExecutionService, execution_id: ExecutionId, body: CancelRequest, claim: Claim | None
) -> int:
    return await executions.cancel(execution_id, reason=body.reason, claim=claim)


CANCEL: Final = Command(
    "cancel",
    "Ask for cancellation. Safe to repeat; the end arrives as `execution_cancelled`.",
    CancelRequest,
    frozenset({"queued", "running", "pausing", "paused", "stopping"}),
    _cancel,
)
COMMANDS: Final[Mapping[str, Command]] = {
    command.name: command
    for command in (
        CANCEL,
        Command("pause", "Dispatch nothing more until `resume`."),
        Command("resume", "Go on after a pause."),
        Command("step", "Run the next step of a paused execution."),
        Command("input", "Give a suspended node what it waits for."),
        Command("set_breakpoints", "Say where the execution pauses by itself."),
        Command("edit_state", "Change the state of a paused execution."),
        Command("fork", "Start a new execution from a place in this one."),
        Command("retry", "Run again what failed."),
    )
}


def allowed_in(status: str) -> list[str]:
    """Return the commands that an execution with this status takes."""
    return [command.name for command in COMMANDS.values() if status in command.allowed_in]
