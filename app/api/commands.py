"""The commands that an execution takes, whatever the transport."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from pydantic import BaseModel

from app.api.errors import NotAvailable
from app.api.schemas.commands import (
    BreakpointsRequest,
    CancelRequest,
    EditRequest,
    InputRequest,
    PauseRequest,
    ResumeRequest,
    StepRequest,
)
from app.api.schemas.start import ForkRequest, RetryRequest
from app.services.executions import ExecutionService
from graphwire.engine import commands as engine
from graphwire.engine.ports import Claim
from graphwire.errors import CommandNotAllowed
from graphwire.types import ExecutionId, Status

Effect: TypeAlias = Callable[[ExecutionService, ExecutionId, Any, Claim | None], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Command:
    """Something that can be asked of an execution.

    Attributes:
        name: Imperative; the last part of its method on a socket.
        summary: What it does, in a sentence.
        body: What says how; None for what the service does not do yet.
        allowed_in: The statuses of executions that it fits.
        effect: Has it done, and returns the number of its ``command_accepted`` event.
        method: Of HTTP.
        path: The last part of its address.
        member: The member of ``body`` that is the whole body over HTTP; None where the body is as it is.
    """

    name: str
    summary: str
    body: type[BaseModel] | None = None
    allowed_in: frozenset[Status] = frozenset()
    effect: Effect | None = None
    method: str = "POST"
    path: str = field(default="")
    member: str | None = None

    def target(self, execution_id: str) -> str:
        """Return the method and the path of its request over HTTP."""
        return f"{self.method} /executions/{execution_id}/{self.path or self.name}"

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
            GraphwireError: It does not fit for a reason of its own.
            StorageUnavailable: Not now.
        """
        if self.effect is None:
            raise NotAvailable(f"the command {self.name} is not there yet")
        try:
            return await self.effect(executions, execution_id, body, claim)
        except CommandNotAllowed as error:
            if "engine" in error.facts:
                raise
            status = str(error.facts["status"])
            allowed = [name for name in allowed_in(status) if name != self.name]
            raise CommandNotAllowed(error.detail, **{**error.facts, "allowed": allowed}) from None


def _steering(
    name: str,
    summary: str,
    body: type[BaseModel],
    asked: Callable[[Any], engine.Command],
    *,
    method: str = "POST",
    path: str = "",
    member: str | None = None,
) -> Command:
    async def effect(
        executions: ExecutionService, execution_id: ExecutionId, body: BaseModel, claim: Claim | None
    ) -> int:
        return await executions.command(execution_id, asked(body), claim=claim)

    return Command(name, summary, body, engine.ALLOWED_IN[name], effect, method, path, member)


COMMANDS: Final[Mapping[str, Command]] = {
    command.name: command
    for command in (
        _steering(
            "cancel",
            "Ask for cancellation. Safe to repeat; the end arrives as `execution_cancelled`.",
            CancelRequest,
            lambda body: engine.Cancel(body.reason),
        ),
        _steering("pause", "Begin nothing more until `resume`.", PauseRequest, lambda body: engine.Pause()),
        _steering("resume", "Go on after a pause.", ResumeRequest, lambda body: engine.Resume()),
        _steering(
            "step",
            "Let the first ready activation of a paused execution run, and pause again.",
            StepRequest,
            lambda body: engine.Step(body.mode),
        ),
        _steering(
            "input",
            "Give a suspended node what it waits for.",
            InputRequest,
            lambda body: engine.Input(body.interrupt_id, body.value),
        ),
        _steering(
            "set_breakpoints",
            "Say where the execution pauses by itself.",
            BreakpointsRequest,
            lambda body: engine.SetBreakpoints([each.breakpoint() for each in body.breakpoints]),
            method="PUT",
            path="breakpoints",
            member="breakpoints",
        ),
        _steering(
            "edit_state",
            "Change the state of a paused execution.",
            EditRequest,
            lambda body: engine.EditState(body.patch),
            method="PATCH",
            path="state",
            member="patch",
        ),
        Command(
            "fork",
            "Start an execution that goes on from the past of this one, which is not touched.",
            ForkRequest,
            frozenset({"running", "pausing", "paused", "stopping", "completed", "failed", "cancelled"}),
        ),
        Command("retry", "Fork one that failed from before its failure.", RetryRequest, frozenset({"failed"})),
    )
}


def allowed_in(status: str) -> list[str]:
    """Return the commands that an execution with this status takes."""
    return [command.name for command in COMMANDS.values() if status in command.allowed_in]
