"""What the writer needs of a database: groups of batches, written one group at a time."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TypeAlias

from graphwire.engine.ports import Batch

Group: TypeAlias = Sequence[Batch]


class GroupRejected(Exception):
    """A batch contradicts what is stored, so that no repetition helps."""


class Failure(NamedTuple):
    """Why a batch is not stored.

    Attributes:
        reason: As a sentence that names no secret.
        cause: What was raised, where the batch itself is at fault; None where the database is.
    """

    reason: str
    cause: Exception | None = None


class Attempt(NamedTuple):
    """What became of a group.

    Attributes:
        unavailable: Why the database takes nothing at the moment.
        failures: Per batch, None when it is stored.
    """

    unavailable: str | None
    failures: Sequence[Failure | None]


class Groups(Protocol):
    """Writes one group at a time, all or nothing of each batch. Lives on one event loop."""

    async def start(self, finished: Callable[[Attempt], None]) -> None:
        """Open what it needs. ``finished`` is called on the loop, once for each ``put``.

        Raises:
            StorageUnavailable: It cannot be opened.
        """
        ...

    def put(self, group: Group) -> None:
        """Write a group. An empty one finds out whether the database takes writes."""
        ...

    async def stop(self) -> None:
        """Finish the group at hand and close. Idempotent."""
        ...
