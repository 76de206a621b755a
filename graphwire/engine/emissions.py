"""What nodes emit: counted, and held until its turn where the order is part of the promise."""

from collections import deque

from graphwire.engine.attempt import Attempt, Phase
from graphwire.engine.report import Reporter
from graphwire.events import types
from graphwire.events.types import EventData

MAX_HELD_BYTES = 4 * 1024 * 1024


class Emissions:
    """The emissions of one execution.

    Args:
        reporter: None where nobody listens: nothing is kept then.
        order: Attempts in dispatch order, for ``ordering: deterministic``: only the first may speak. None otherwise.
        limit: Emissions of an activation; what is over it is dropped and counted.
    """

    def __init__(self, reporter: Reporter | None, order: deque[Attempt] | None, limit: int) -> None:
        self._report = reporter
        self._order = order
        self._limit = limit

    def emit(self, attempt: Attempt, event: EventData, size: int) -> bool:
        """Publish an emission, or hold it; False if it was dropped. After the end of the attempt it is discarded."""
        if self._report is None or attempt.phase is not Phase.RUNNING or attempt.outcome is not None:
            return False
        attempt.emitted += 1
        if attempt.emitted > self._limit:
            attempt.dropped += 1
            return False
        if self._order is not None and self._order[0] is not attempt:
            return _hold(attempt, event, size)
        self._report.node(attempt, event)
        return True

    def release(self, attempt: Attempt) -> None:
        """Publish what was held: it is the attempt's turn."""
        if attempt.held and self._report is not None:
            for event in attempt.held:
                self._report.node(attempt, event)
            attempt.held, attempt.held_bytes = None, 0

    def close(self, attempt: Attempt) -> None:
        """The attempt ended: publish what is held, and how many were dropped."""
        if attempt.held:
            self.release(attempt)
        if attempt.dropped and self._report is not None:
            self._report.node(attempt, types.EventsDropped(count=attempt.dropped))


def _hold(attempt: Attempt, event: EventData, size: int) -> bool:
    if attempt.held is None:
        attempt.held = deque()
    if attempt.held_bytes + size > MAX_HELD_BYTES:
        attempt.dropped += 1
        return False
    attempt.held.append(event)
    attempt.held_bytes += size
    return True
