"""What an execution asks before its nodes begin, where the service is governed."""

from collections.abc import Generator
from typing import Protocol

from graphwire.engine.policies.governor import Lease
from graphwire.types import Priority


class Wait(Protocol):
    """Awaited, the lease that one has waited for; None where it took too long."""

    def __await__(self) -> Generator[object, None, Lease | None]: ...

    def cancel(self) -> bool:
        """Wait no longer. Idempotent."""
        ...

    def cancelled(self) -> bool:
        """Whether that was done."""
        ...


class Permits(Protocol):
    """Gives leave to begin nodes. Whoever gets a lease releases it."""

    def take(self, cost: float, priority: Priority) -> Lease | None:
        """Return a lease at once; None where one has to wait."""
        ...

    def wait(self, cost: float, priority: Priority) -> Wait:
        """Wait for a lease."""
        ...
