"""What an execution asks of those who carry it out."""

from collections.abc import Callable
from typing import Protocol

from graphwire.engine.attempt import Attempt


class Performer(Protocol):
    """What the execution asks of its runner. Nothing here may call back into the execution at once."""

    def interrupt(self, attempt: Attempt) -> None:
        """End a running attempt; report with ``closed`` when it is over or has been given up."""

    def sleep(self, attempt: Attempt, seconds: float, used_s: float = 0.0) -> None:
        """Of its time limit so much is used. Call ``finish`` for a sleeping attempt after so many seconds."""

    def wait(self, attempt: Attempt, seconds: float) -> None:
        """Call ``retrying.wake`` for an attempt that waits after so many seconds."""

    def arm(self, attempt: Attempt, used_s: float = 0.0) -> None:
        """An open attempt has a time limit from now on, of which so much is used."""

    def forget(self, attempt: Attempt) -> None:
        """A sleeping, waiting or open attempt is over: drop its timers."""

    def stop_clock(self, attempt: Attempt) -> None:
        """The time limit of a sleeping or open attempt, if it has one, does not count from now on."""

    def run_clock(self, attempt: Attempt) -> None:
        """It counts again; what is left of it is left."""

    def expire_at(self, interrupt_id: str, wall_us: int) -> None:
        """Call ``Suspending.expire`` at a wall time, in microseconds since the Unix epoch."""

    def forget_interrupt(self, interrupt_id: str) -> None:
        """Nobody need call it any more."""

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Call when others have had their turn, then see to what is ready."""


class Gate(Protocol):
    """Says when more may be dispatched."""

    def is_open(self) -> bool:
        """Whether there is room; if not, ``Execution.go_on`` is called when there is again."""

    def published(self) -> int:
        """Number of the newest event."""
