"""The states that an execution had, made again from its stored commits."""

from collections import deque
from typing import Any

import msgspec

from graphwire.engine.plan import Plan
from graphwire.engine.ports import ExecutionStore
from graphwire.engine.records import decode_record
from graphwire.engine.replay import Replay
from graphwire.errors import HistoryDamaged
from graphwire.types import ExecutionId
from graphwire.values import freeze


class _Options(msgspec.Struct):
    state: dict[str, Any] = {}
    entry: list[str] | None = None


def replay(plan: Plan, options: bytes) -> Replay:
    """Return an execution at its start.

    Args:
        options: What is stored of the start.
    """
    chosen = msgspec.json.decode(options, type=_Options)
    return Replay(plan, {key: freeze(value) for key, value in chosen.state.items()}, chosen.entry)


class States:
    """Goes through the states of one execution, commit by commit. Holds one of them and a few deltas."""

    def __init__(self, execution_id: ExecutionId, store: ExecutionStore, replay: Replay) -> None:
        self.replay = replay
        self._execution_id = execution_id
        self._store = store
        self._place = 0
        self._deltas: deque[bytes] = deque()

    async def to_commit_of(self, activation: str) -> None:
        """Go to the commit of an activation of the graph itself. It must be stored, and come next.

        Raises:
            HistoryDamaged: It does not come next, or cannot be read.
            StorageUnavailable: It cannot be read now.
        """
        committed: str | None = None
        while committed is None and await self._has_next():
            try:
                committed = self.replay.commit(self._deltas.popleft())
            except (ValueError, LookupError, msgspec.DecodeError) as error:
                raise HistoryDamaged(f"what is stored of the commits does not fit the graph: {error}") from error
        if committed != activation:
            raise HistoryDamaged(f"the commit of {activation} is not stored where it belongs")

    async def to_last(self) -> None:
        """Go to the last stored commit.

        Raises:
            ValueError, LookupError: A commit does not fit the graph.
            HistoryDamaged, StorageUnavailable: The commits cannot be read, or not now.
        """
        while await self._has_next():
            self.replay.commit(self._deltas.popleft())

    async def to_seq(self, seq: int) -> None:
        """Go to the last stored record at or before an event. Raises as ``to_last``."""
        while await self._has_next() and decode_record(self._deltas[0]).seq <= seq:
            self.replay.commit(self._deltas.popleft())

    async def _has_next(self) -> bool:
        if not self._deltas:
            page = await self._store.read_deltas(self._execution_id, after=self._place)
            self._deltas.extend(page.items)
            self._place = page.upto
        return bool(self._deltas)
