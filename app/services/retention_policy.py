"""What is to be deleted next, and how much of the time that may take. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.storage.repositories.retention import EndedExecution
from graphwire.types import ExecutionId

SHARE = 0.1
"""Of the time; the rest is for whoever else uses the database."""
LEAST_PAUSE_S = 0.005
MOST_PAUSE_S = 5.0


@dataclass(frozen=True, slots=True)
class Limits:
    """How much history is kept.

    Attributes:
        age: How long after their end executions are kept; None for ever.
        executions: How many that have ended are kept; None for all.
        service_age, service_events: The same of the service's own events.
    """

    age: timedelta | None
    executions: int | None
    service_age: timedelta | None = None
    service_events: int | None = None

    @classmethod
    def of(cls, *, days: float, executions: int, service_days: float = 0, service_events: int = 0) -> "Limits":
        """Return limits from settings, where 0 is no limit."""
        age, service_age = (timedelta(days=each) if each else None for each in (days, service_days))
        return cls(age, executions or None, service_age, service_events or None)

    def ended_before(self, now: datetime) -> datetime | None:
        """Return when executions that are too old now have ended at the latest; None where none is."""
        return None if self.age is None else now - self.age

    def excess(self, ended: int) -> int:
        """Return how many of so many executions are too many."""
        return 0 if self.executions is None else max(0, ended - self.executions)


def first_of(found: Sequence[EndedExecution], max_bytes: int) -> list[ExecutionId]:
    """Return those that one step may delete: the first, and as many more as fit."""
    taken: list[ExecutionId] = []
    room = max_bytes
    for execution in found:
        room -= execution.size
        if taken and room < 0:
            break
        taken.append(execution.id)
    return taken


def pause_s(took_s: float) -> float:
    """Return how long to let the others go on after a step."""
    return min(MOST_PAUSE_S, max(LEAST_PAUSE_S, took_s * (1 / SHARE - 1)))
