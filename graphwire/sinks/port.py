"""What a sink is, and what is told about one."""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol, TypeAlias

from graphwire.events.hub import Published

TroubleKind: TypeAlias = Literal["failed", "stuck", "switched_off", "lost"]


class OnlySomeTakenError(Exception):
    """Raised by a sink ``from`` the reason: it took the first ``taken`` events, and is not given those again."""

    def __init__(self, taken: int) -> None:
        super().__init__(f"only the first {taken} events were taken")
        self.taken = taken


class Sink(Protocol):
    """Takes events that may be told. One call at a time; what it does not take in time waits, at no cost to others.

    A plain ``handle`` or ``close`` is called on a thread of the sink's own; a coroutine function on the event loop,
    which it must not hold.
    """

    @property
    def name(self) -> str:
        """What it is called where its health is told. Made unique by a number when two have the same."""
        ...

    def handle(self, events: Sequence[Published]) -> Awaitable[None] | None:
        """Take these events. In order within each execution, whose id is in every ``line``.

        Raises:
            OnlySomeTakenError: The first ones were taken; the call is repeated with the others.
            Exception: None was taken; the call is repeated as often as the sink was added for.
        """
        ...

    def close(self) -> Awaitable[None] | None:
        """Let go of what is held. Called once; nothing comes afterwards."""
        ...


@dataclass(frozen=True, slots=True)
class SinkReport:
    """How a sink fares.

    Attributes:
        handled: Events that it took.
        failed: Events that it did not take at the last attempt either.
        lost: Events that it was too far behind for.
        waiting: Events that it has still to be given.
        last_error: The last failure, in words: perhaps with paths or addresses in it.
        last_error_at: Aware, UTC.
        is_on: False once it failed so often in a row that it is given nothing any more.
    """

    name: str
    handled: int
    failed: int
    lost: int
    waiting: int
    last_error: str | None
    last_error_at: datetime | None
    is_on: bool

    @property
    def is_well(self) -> bool:
        """Whether it is on and has missed nothing."""
        return self.is_on and not self.failed and not self.lost


@dataclass(frozen=True, slots=True)
class SinkTrouble:
    """Something that an operator should know of a sink. Told at most every ten seconds for each kind.

    Attributes:
        count: Events concerned since it was told last.
    """

    name: str
    kind: TroubleKind
    count: int
    detail: str
