"""Ways to run a plan: as a script does, and as the service does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import graphwire
from graphwire.clock import Clock, SystemClock
from graphwire.engine.memory import MemoryStore
from graphwire.engine.plan import Plan
from graphwire.engine.ports import ExecutionStore
from graphwire.engine.runner import Runner, Start
from graphwire.engine.supervisor import Supervisor
from graphwire.events.hub import Hub
from graphwire.ids import new_execution_id
from graphwire.types import Durability
from tests.benchmarks.measuring import Sample, Stopwatch


@dataclass
class Engine:
    """What the service makes once and uses for every execution."""

    supervisor: Supervisor
    store: ExecutionStore
    durability: Durability = "async"
    clock: Clock = field(default_factory=SystemClock)

    def runner(self, plan: Plan) -> Runner:
        """Make an execution, with the hub that its readers would use."""
        return Runner(
            plan,
            Start(durability=self.durability),
            id=new_execution_id(self.clock),
            store=self.store,
            clock=self.clock,
            spawn=self.supervisor.spawn,
            threads=self.supervisor.threads,
            hub=Hub(durability=self.durability),
            is_restorable=not isinstance(self.store, MemoryStore),
        )

    async def run(self, plan: Plan) -> None:
        """Run an execution until its end is stored."""
        runner = self.runner(plan)
        await runner.accept()
        self.supervisor.submit(runner)
        await runner.wait_ended()
        if runner.status != "completed":
            raise RuntimeError(f"{plan.definition.id} ended as {runner.status}")
        if isinstance(self.store, MemoryStore):
            self.store.forget(runner.id)


@asynccontextmanager
async def in_memory() -> AsyncIterator[Engine]:
    """Run executions whose events are made, encoded and kept in memory."""
    async with Supervisor(drain_s=0) as supervisor:
        yield Engine(supervisor, MemoryStore(defer=asyncio.get_running_loop().call_soon))


NODES_OF_A_SAMPLE = 1_000
"""A sample runs a plan again until it has run so many nodes: what one run leaves to the next one's time is in it."""


def unobserved(plan: Plan) -> Sample:
    """Return a sample of runs without events: seconds per node."""
    rounds = _rounds(plan)

    async def sample() -> float:
        with Stopwatch() as watch:
            for _ in range(rounds):
                finished = await graphwire.run(plan)
        if finished.status != "completed":
            raise RuntimeError(f"{plan.definition.id} ended as {finished.status}")
        return watch.cpu_s / len(plan.nodes) / rounds

    return sample


def observed(plan: Plan, engine: Engine, *, at_once: int = 1) -> Sample:
    """Return a sample of runs with events, so many at once: seconds per node; with a database those that go by."""
    rounds = 1 if at_once > 1 or engine.durability == "sync" else _rounds(plan)

    async def sample() -> float:
        with Stopwatch() as watch:
            for _ in range(rounds):
                if at_once == 1:
                    await engine.run(plan)
                else:
                    await asyncio.gather(*(engine.run(plan) for _ in range(at_once)))
        spent = watch.cpu_s if isinstance(engine.store, MemoryStore) else watch.seconds
        return spent / len(plan.nodes) / at_once / rounds

    return sample


def _rounds(plan: Plan) -> int:
    return max(1, NODES_OF_A_SAMPLE // len(plan.nodes))


def marginal(longer: Sample, shorter: Sample, nodes: tuple[int, int]) -> Sample:
    """Return a sample of what a further node costs: what starting and ending cost cancels out."""

    async def sample() -> float:
        more, fewer = await longer(), await shorter()
        return (more * nodes[0] - fewer * nodes[1]) / (nodes[0] - nodes[1])

    return sample
