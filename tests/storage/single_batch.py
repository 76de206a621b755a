"""Storing one batch of an execution that nobody runs any more."""

import asyncio

from graphwire.engine.ports import Batch, ExecutionStore
from graphwire.errors import StorageUnavailable


async def store_batch(store: ExecutionStore, batch: Batch) -> None:
    """Store a batch by the normal path, with all that waits there; returns when it is on disk.

    A batch without a ``start`` waits as long as the store takes nothing. Cancelling does not take it back.

    Raises:
        StorageUnavailable: It has a ``start`` and was refused.
    """
    outbox = _SingleBatch(batch)
    store.submit(outbox)
    await outbox.done


class _SingleBatch:
    def __init__(self, batch: Batch) -> None:
        self._batch: Batch | None = batch
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def take(self, max_bytes: int) -> Batch | None:
        batch, self._batch = self._batch, None
        return batch

    def stored(self, batch: Batch) -> None:
        if not self.done.done():
            self.done.set_result(None)

    def refused(self, batch: Batch, reason: str) -> None:
        if not self.done.done():
            self.done.set_exception(StorageUnavailable(reason))
