"""Many executions that an earlier process left: all end before the service serves, and side by side."""

import asyncio
from pathlib import Path

import pytest

from app.services import interrupted
from app.services.graphs import GraphService
from app.services.interrupted import end_interrupted
from app.services.remembered import Memory
from app.storage.opening import open_database
from app.storage.repositories.executions import ExecutionRepository
from app.storage.repositories.graphs import GraphRepository
from app.storage.store import SqlExecutionStore
from graphwire.clock import SystemClock
from graphwire.engine.supervisor import Supervisor
from graphwire.nodes import builtin_registry
from tests.databases import on_each_database
from tests.live.control import gates
from tests.live.serving import serving

COUNT = 100


@on_each_database
@pytest.mark.bad_input(128)
async def test_what_was_interrupted_is_ended_side_by_side(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path, database_url=database_url, drain_s=0.2) as service:
        await asyncio.gather(*(service.start("gated", state={"gate": f"{number}"}) for number in range(COUNT)))
        for number in range(COUNT):
            await gates[f"{number}"].reached.wait()
    at_once = most = 0
    original = interrupted._until_stored

    async def counting(*arguments: object) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await original(*arguments)  # type: ignore[arg-type]
        at_once -= 1

    monkeypatch.setattr(interrupted, "_until_stored", counting)
    clock = SystemClock()
    async with open_database(database_url) as database, SqlExecutionStore(database) as store:
        executions = ExecutionRepository(database)
        async with Supervisor() as supervisor:
            graphs = GraphService(
                GraphRepository(database), builtin_registry(), supervisor, clock, Memory(0), max_nodes=10, max_edges=10
            )
            assert len(await executions.unfinished()) == COUNT
            await end_interrupted(executions, store, graphs, clock)

        assert await executions.unfinished() == []
    assert 2 <= most <= interrupted.AT_ONCE
