"""Whether the service would do now what it is there for."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.services.executions import ExecutionService
from app.services.folders import Folders
from app.storage.store import SqlExecutionStore
from graphwire.errors import ShuttingDown, StorageUnavailable
from graphwire.sinks import SinkReport, Sinks

PROOF_S = 5.0
"""What was stored in the last seconds proves that the next start would be, so that asking often costs no disk."""
ANSWER_S = 2.0


@dataclass(frozen=True, slots=True)
class Troubles:
    """What an operator should look at.

    Attributes:
        files: How many files of the graph folders have problems.
        sinks: How each sink fares.
    """

    files: int
    sinks: Sequence[SinkReport]


class Readiness:
    """Answers whether new work is taken. It asks the database instead of remembering how the last write went."""

    def __init__(self, executions: ExecutionService, store: SqlExecutionStore, folders: Folders, sinks: Sinks) -> None:
        self._executions = executions
        self._store = store
        self._folders = folders
        self._sinks = sinks

    async def check(self) -> Troubles:
        """Return what is not as it should be, but keeps nobody from being served.

        Raises:
            ShuttingDown: The service stops.
            StorageUnavailable: Nothing can be stored; ``detail`` says why.
        """
        if self._executions.is_draining:
            raise ShuttingDown("the service stops; try again")
        reason = await self._store.check(within_s=PROOF_S, timeout_s=ANSWER_S)
        if reason is not None:
            raise StorageUnavailable(reason)
        return Troubles(self._folders.count_troubled(), self._sinks.reports())
