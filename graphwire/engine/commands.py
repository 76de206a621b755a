"""What can be asked of an execution while it goes on: each command says whether it fits, and has its effect."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

import msgspec

from graphwire.engine import editing
from graphwire.engine.breakpoints import Breakpoint, require_valid
from graphwire.engine.control import Mode
from graphwire.engine.ending import End
from graphwire.errors import CommandNotAllowed
from graphwire.types import Status
from graphwire.values import freeze

if TYPE_CHECKING:
    from graphwire.engine.execution import Execution

_ALIVE: Final[frozenset[Status]] = frozenset({"running", "pausing", "paused"})
ALLOWED_IN: Final[Mapping[str, frozenset[Status]]] = {
    "cancel": _ALIVE | {"queued", "stopping"},
    "pause": frozenset({"running"}),
    "resume": frozenset({"pausing", "paused"}),
    "step": frozenset({"paused"}),
    "input": _ALIVE,
    "set_breakpoints": _ALIVE,
    "edit_state": frozenset({"paused"}),
}
"""The statuses that each command fits."""


def allowed_in(status: str) -> list[str]:
    """Return the commands that an execution with this status takes."""
    return [name for name, statuses in ALLOWED_IN.items() if status in statuses]


class Command(Protocol):
    """Something that is asked. ``check`` and ``apply`` follow each other without anything between."""

    @property
    def name(self) -> str:
        """Its name, imperative."""
        ...

    def arguments(self) -> bytes:
        """Return what it was given, as JSON."""
        ...

    def check(self, execution: "Execution") -> None:
        """See whether it fits beyond its status. Changes nothing.

        Raises:
            GraphwireError: It does not.
        """
        ...

    def apply(self, execution: "Execution", by: str | None) -> None:
        """Have its effect. Never fails on what ``check`` let pass."""
        ...


def require_allowed(command: str, status: Status) -> None:
    """Check that a command fits the status of an execution.

    Raises:
        CommandNotAllowed: It does not; ``allowed`` names those that do.
    """
    if status not in ALLOWED_IN[command]:
        raise CommandNotAllowed(
            f"cannot {command}: the execution is {status}", status=status, allowed=allowed_in(status)
        )


@dataclass(frozen=True, slots=True)
class Cancel:
    """End it."""

    name: ClassVar[str] = "cancel"
    reason: str | None = None

    def arguments(self) -> bytes:
        return msgspec.json.encode({"reason": self.reason})

    def check(self, execution: "Execution") -> None:
        """It fits whatever has not ended."""

    def apply(self, execution: "Execution", by: str | None) -> None:
        execution.stop(End("cancelled", reason=self.reason))


@dataclass(frozen=True, slots=True)
class Pause:
    """Begin nothing more."""

    name: ClassVar[str] = "pause"

    def arguments(self) -> bytes:
        return b"{}"

    def check(self, execution: "Execution") -> None:
        """It fits whatever runs."""

    def apply(self, execution: "Execution", by: str | None) -> None:
        execution.control.pause("command", by)


@dataclass(frozen=True, slots=True)
class Resume:
    """Go on after a pause."""

    name: ClassVar[str] = "resume"

    def arguments(self) -> bytes:
        return b"{}"

    def check(self, execution: "Execution") -> None:
        if execution.control.reason == "waiting_for_input":
            raise CommandNotAllowed(
                "cannot resume: all that is active waits for input",
                status=execution.status,
                allowed=[name for name in allowed_in(execution.status) if name != self.name],
            )

    def apply(self, execution: "Execution", by: str | None) -> None:
        execution.control.resume()


@dataclass(frozen=True, slots=True)
class Step:
    """Let the first ready activation run, and pause again."""

    name: ClassVar[str] = "step"
    mode: Mode = "over"

    def arguments(self) -> bytes:
        return msgspec.json.encode({"mode": self.mode})

    def check(self, execution: "Execution") -> None:
        execution.control.require_ready()

    def apply(self, execution: "Execution", by: str | None) -> None:
        execution.control.step(self.mode)


@dataclass(frozen=True, slots=True)
class Input:
    """Answer an open interrupt. ``value`` is any JSON value that fits its schema."""

    name: ClassVar[str] = "input"
    interrupt_id: str
    value: Any

    def arguments(self) -> bytes:
        return freeze({"interrupt_id": self.interrupt_id, "value": self.value})

    def check(self, execution: "Execution") -> None:
        execution.suspending.require(self.interrupt_id).require_fit(self.value)

    def apply(self, execution: "Execution", by: str | None) -> None:
        execution.suspending.answer(self.interrupt_id, freeze(self.value), by)


@dataclass(frozen=True, slots=True)
class SetBreakpoints:
    """Replace all breakpoints."""

    name: ClassVar[str] = "set_breakpoints"
    breakpoints: Sequence[Breakpoint]

    def arguments(self) -> bytes:
        return msgspec.json.encode({"breakpoints": self.breakpoints})

    def check(self, execution: "Execution") -> None:
        require_valid(self.breakpoints, execution.plan)

    def apply(self, execution: "Execution", by: str | None) -> None:
        execution.control.set_breakpoints(list(self.breakpoints))


@dataclass(frozen=True, slots=True)
class EditState:
    """Change the state of a paused execution by a merge patch (RFC 7396)."""

    name: ClassVar[str] = "edit_state"
    patch: Mapping[str, Any]

    def arguments(self) -> bytes:
        return freeze({"patch": self.patch})

    def check(self, execution: "Execution") -> None:
        editing.patched(execution, self.patch)

    def apply(self, execution: "Execution", by: str | None) -> None:
        execution.edit(editing.patched(execution, self.patch), by)
