"""Runs graphs as the service does: with a store, a hub and an owner."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from graphwire import Graph, Guards, prepare
from graphwire.clock import SystemClock
from graphwire.engine.memory import MemoryStore
from graphwire.engine.options import Options
from graphwire.engine.runner import Runner, Start
from graphwire.engine.supervisor import Supervisor
from graphwire.events.encoding import decode_line
from graphwire.events.hub import Hub
from graphwire.ids import new_execution_id
from graphwire.types import Detail, Durability
from graphwire.values import freeze
from tests.engine.running import check_laws, turn
from tests.waiting import PATIENCE_S


class Host:
    """Executions with everything around them but HTTP."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor
        self.store = MemoryStore(defer=asyncio.get_running_loop().call_soon)

    def runner(
        self,
        graph: Graph,
        state: Mapping[str, Any] | None = None,
        *,
        options: Options | None = None,
        detail: Detail = "standard",
        durability: Durability = "async",
        timeout_s: float | None = None,
        grace_s: float = 5.0,
        guards: Guards | None = None,
    ) -> Runner:
        """Make the runner of one execution."""
        clock = SystemClock()
        start = Start(
            state={key: freeze(value) for key, value in (state or {}).items()},
            options=options or Options(seed=7),
            durability=durability,
            detail=detail,
            timeout_s=timeout_s,
        )
        return Runner(
            prepare(graph),
            start,
            id=new_execution_id(clock),
            store=self.store,
            clock=clock,
            spawn=self.supervisor.spawn,
            threads=self.supervisor.threads,
            hub=Hub(durability=durability),
            grace_s=grace_s,
            guards=guards,
        )

    async def start(self, runner: Runner) -> Runner:
        """Accept an execution and let it go."""
        await runner.accept()
        self.supervisor.submit(runner)
        return runner

    async def ended(self, runner: Runner) -> list[Any]:
        """Wait for its end and return its events."""
        async with asyncio.timeout(PATIENCE_S):
            await runner.wait_ended()
        stored = await self.store.read_events(runner.id, after=0, upto=1 << 60, limit=1 << 30, max_bytes=1 << 60)
        events = [decode_line(event.whole or event.line) for event in stored]
        check_laws(events)
        return events

    async def events(self, graph: Graph, state: Mapping[str, Any] | None = None, **options: Any) -> list[Any]:
        """Run a graph to its end and return its events."""
        return await self.ended(await self.start(self.runner(graph, state, **options)))


@asynccontextmanager
async def hosted() -> AsyncIterator[Host]:
    """Give a host, and let nothing outlive it."""
    async with Supervisor(drain_s=0) as supervisor:
        yield Host(supervisor)


@asynccontextmanager
async def over_but_not_stored(host: Host) -> AsyncIterator[Runner]:
    """Give an execution that is over while its store takes nothing; after the block its end is stored."""
    gate = asyncio.Event()

    async def node() -> None:
        await gate.wait()

    runner = await host.start(host.runner(Graph("g").node(node)))
    await heard(runner, "node_started")
    host.store.unavailable = "the disk is away"
    gate.set()
    while not runner.execution.is_over:
        await turn()
    yield runner
    host.store.unavailable = None
    await host.ended(runner)


async def heard(runner: Runner, type_: str) -> int:
    """Wait until an event of this type is published; return its number."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            for seq in range(1, runner.hub.published + 1):
                published = runner.hub.get(seq)
                if published is not None and published.type == type_:
                    return seq
            changed = asyncio.Event()
            runner.hub.when_visible(changed.set)
            await changed.wait()
