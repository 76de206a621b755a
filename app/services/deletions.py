"""Deleting a graph while it is in use: starts, changes and a deletion keep out of each other's way."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from graphwire.engine.runner import Runner
from graphwire.engine.supervisor import Supervisor
from graphwire.errors import CommandNotAllowed, GraphInUse, StorageUnavailable
from graphwire.types import GraphId

REASON = "its graph is deleted"
END_S = 15.0
"""How long a forced deletion waits: a node that ignores its cancellation is given up a few seconds after it."""


class Deletions:
    """Knows which graphs are being deleted, and which executions stand in the way.

    Args:
        end_s: How long executions get to end that a deletion cancels.
    """

    def __init__(self, supervisor: Supervisor, *, end_s: float = END_S) -> None:
        self._supervisor = supervisor
        self._end_s = end_s
        self._starting: Counter[GraphId] = Counter()
        self._started: dict[GraphId, asyncio.Event] = {}
        self._deleting: dict[GraphId, asyncio.Event] = {}
        self._changing: Counter[GraphId] = Counter()
        self._changed: dict[GraphId, asyncio.Event] = {}

    @asynccontextmanager
    async def starting(self, graph_id: GraphId) -> AsyncIterator[None]:
        """Keep a graph from being deleted while an execution of it starts; waits for a deletion that has begun."""
        await self.done(graph_id)
        self._starting[graph_id] += 1
        try:
            yield
        finally:
            self._starting[graph_id] -= 1
            if not self._starting[graph_id]:
                del self._starting[graph_id]
                if (started := self._started.pop(graph_id, None)) is not None:
                    started.set()

    @asynccontextmanager
    async def changing(self, graph_id: GraphId) -> AsyncIterator[None]:
        """Keep a graph from being deleted while a version of it is stored; waits for a deletion that has begun."""
        await self.done(graph_id)
        self._changing[graph_id] += 1
        try:
            yield
        finally:
            self._changing[graph_id] -= 1
            if not self._changing[graph_id]:
                del self._changing[graph_id]
                if (changed := self._changed.pop(graph_id, None)) is not None:
                    changed.set()

    @asynccontextmanager
    async def deleting(self, graph_id: GraphId) -> AsyncIterator[None]:
        """Let nothing start or change, and no other deletion begin, while a graph is deleted; waits for changes.

        So its newest version stays what it is until the block is left.
        """
        await self.done(graph_id)
        deleted = self._deleting[graph_id] = asyncio.Event()
        try:
            while graph_id in self._changing:
                await self._changed.setdefault(graph_id, asyncio.Event()).wait()
            yield
        finally:
            del self._deleting[graph_id]
            deleted.set()

    async def done(self, graph_id: GraphId) -> None:
        """Wait for a deletion that has begun."""
        while (deleted := self._deleting.get(graph_id)) is not None:
            await deleted.wait()

    def require_unused(self, graph_id: GraphId) -> None:
        """Refuse a deletion while an execution is alive or starts.

        Raises:
            GraphInUse: With the count.
        """
        if count := len(self._runners(graph_id)) + self._starting[graph_id]:
            detail = f"{_counted(count)} not ended; DELETE with ?force=true cancels what runs first"
            raise GraphInUse(detail, executions=count)

    async def end_executions(self, graph_id: GraphId) -> None:
        """Cancel the executions of a graph, those that start now included, and wait until their ends are stored.

        Raises:
            StorageUnavailable: Not now; some may be cancelled.
            GraphInUse: They are cancelled, but some have not ended in time.
        """
        try:
            async with asyncio.timeout(self._end_s):
                while self._starting[graph_id]:
                    await self._started.setdefault(graph_id, asyncio.Event()).wait()
                await self._cancel(self._runners(graph_id))
        except TimeoutError:
            count = len(self._runners(graph_id)) + self._starting[graph_id]
            detail = f"{_counted(count)} not ended in time after they were cancelled; try again"
            raise GraphInUse(detail, executions=count) from None

    async def _cancel(self, runners: list[Runner]) -> None:
        failures: list[StorageUnavailable] = []

        async def end(runner: Runner) -> None:
            try:
                await runner.cancel(REASON)
                await runner.wait_ended()
            except CommandNotAllowed:
                return  # it ended meanwhile
            except StorageUnavailable as error:
                failures.append(error)

        async with asyncio.TaskGroup() as group:
            for runner in runners:
                group.create_task(end(runner), name=f"delete:{runner.id}")
        if failures:
            raise failures[0]

    def _runners(self, graph_id: GraphId) -> list[Runner]:
        return [runner for runner in self._supervisor if runner.graph_id == graph_id]


def _counted(count: int) -> str:
    return "1 execution of this graph has" if count == 1 else f"{count:,} executions of this graph have"
