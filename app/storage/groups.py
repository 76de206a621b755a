"""What the writer needs of a database: groups of batches, written one group at a time."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TypeAlias

from graphwire.engine.ports import Batch

Group: TypeAlias = Sequence[Batch]

UNKNOWN = "an execution that is unknown or has ended cannot end"
TAKEN = "the key of a start is taken"
ENDED = "The database says that this execution has ended: another server took it for interrupted."


class GroupRejected(Exception):
    """A batch contradicts what is stored, so that no repetition helps."""


class Failure(NamedTuple):
    """Why a batch is not stored.

    Attributes:
        reason: As a sentence that names no secret.
        cause: What was raised, where the batch itself is at fault; None where the database is.
        is_final: Whether no repetition helps, because the execution is not running any more in the database.
    """

    reason: str
    cause: Exception | None = None
    is_final: bool = False


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

    async def start(self, finished: Callable[[Attempt], None], troubled: Callable[[str], None]) -> None:
        """Open what it needs. Both functions are called on the loop.

        Args:
            finished: Called once for each ``put``.
            troubled: Called with the reason when nothing can be stored at the moment, before a group is finished or
                while there is none.

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
