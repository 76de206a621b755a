"""What nodes emit: counted, and held until its turn where the order is part of the promise."""

from collections import deque
from typing import Protocol

from graphwire.engine.attempt import RUNNING, Attempt
from graphwire.engine.report import Reporter
from graphwire.events import types
from graphwire.events.types import EventData

MAX_HELD_BYTES = 4 * 1024 * 1024


class Order(Protocol):
    """Says who may speak."""

    speaker: Attempt | None


class Emissions:
    """The emissions of one execution.

    Args:
        reporter: None where nobody listens: nothing is kept then.
        order: Says whose turn to speak it is, for ``ordering: deterministic``; None otherwise.
        limit: Emissions of an activation; what is over it is dropped and counted.
    """

    def __init__(self, reporter: Reporter | None, order: Order | None, limit: int) -> None:
        self._report = reporter
        self._order = order
        self._limit = limit

    def emit(self, attempt: Attempt, event: EventData, size: int) -> None:
        """Publish an emission, or hold it; at a bound it is dropped. After the attempt's end it is discarded."""
        if self._report is None or attempt.phase is not RUNNING or attempt.outcome is not None:
            return
        attempt.emitted += 1
        if attempt.emitted > self._limit:
            attempt.dropped += 1
        elif self._has_turn(attempt):
            self._report.node(attempt, event)
        elif attempt.held_bytes + size > MAX_HELD_BYTES:
            attempt.dropped += 1
        else:
            if attempt.held is None:
                attempt.held = deque()
            attempt.held.append(event)
            attempt.held_bytes += size

    def has_room(self, attempt: Attempt, size: int) -> bool:
        """Whether an emission of this size would not be dropped for what the attempt has held already.

        There always is room where it is the attempt's turn, and for what would not be held in any case: it is
        discarded, or dropped at another bound, and waiting would not change that.
        """
        if attempt.held_bytes + size <= MAX_HELD_BYTES or self._has_turn(attempt) or self._report is None:
            return True
        is_over = attempt.phase is not RUNNING or attempt.outcome is not None or attempt.scope.failure is not None
        return is_over or attempt.emitted >= self._limit

    def release(self, attempt: Attempt) -> None:
        """Publish what was held: it is the attempt's turn."""
        held = attempt.held
        if held and self._report is not None:
            attempt.held, attempt.held_bytes = None, 0  # first: what fails to be published is not tried again
            for event in held:
                self._report.node(attempt, event)

    def close(self, attempt: Attempt) -> None:
        """The attempt ended: publish what is held, and how many were dropped."""
        if attempt.held:
            self.release(attempt)
        if attempt.dropped and self._report is not None:
            self._report.node(attempt, types.EventsDropped(count=attempt.dropped))

    def _has_turn(self, attempt: Attempt) -> bool:
        return self._order is None or self._order.speaker is attempt
