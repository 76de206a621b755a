"""Executions of other engines: when they are given up, what survives the service, and what is kept of them."""

import asyncio
from typing import Any

import pytest

from app.services.foreign import Declaration, ForeignService
from app.services.graphs import GraphService
from app.services.producers import CANCEL_S, Producers
from app.services.remembered import Memory
from app.storage.database import Database
from app.storage.repositories.executions import ExecutionRepository
from app.storage.repositories.graphs import GraphRepository
from app.storage.repositories.retention import RetentionRepository
from app.storage.store import SqlExecutionStore
from graphwire.clock import FakeClock
from graphwire.engine.foreign import ForeignExecution
from graphwire.engine.reported import Report
from graphwire.engine.supervisor import Supervisor
from graphwire.errors import CommandNotAllowed, InvalidInput, NotFound, StorageUnavailable
from graphwire.events.room import Room
from graphwire.nodes import builtin_registry
from graphwire.sinks import Sinks
from graphwire.types import GraphId
from tests.storage.samples import NOW

IDLE_S = 600.0
NIGHTLY = Declaration(GraphId("nightly"))


class World:
    """The service on a database, with a clock that the test moves."""

    def __init__(self, database: Database, store: SqlExecutionStore, *, idle_s: float = IDLE_S) -> None:
        self.clock = FakeClock(int(NOW.timestamp() * 1e9))
        self.database = database
        self.store = store
        self.executions = ExecutionRepository(database)
        self.idle_s = idle_s
        self.service = self.started()

    def started(self) -> ForeignService:
        """Return the service of a new process."""
        supervisor = Supervisor()
        self.producers = Producers(self.clock, idle_s=self.idle_s)
        graphs = GraphService(
            GraphRepository(self.database),
            builtin_registry(),
            supervisor,
            self.clock,
            Memory(0),
            max_nodes=10,
            max_edges=10,
        )
        return ForeignService(
            graphs,
            self.executions,
            self.store,
            supervisor,
            self.producers,
            Sinks(),
            self.clock,
            Room(),
            ring_events=10,
            ring_bytes=100_000,
            max_executions=10,
        )

    async def give_up(self) -> int:
        """End what is lost; return how many there were."""
        lost = self.producers.lost()
        for each in lost:
            await self.service.end_lost(each)
        return len(lost)

    async def row(self, execution: ForeignExecution) -> Any:
        stored = await self.executions.get(execution.id)
        assert stored is not None
        return stored.summary


def begin(id: str = "1", node: str = "fetch") -> Report:
    return Report(id, "node_started", {}, "", node_id=node)


async def test_an_execution_whose_producer_is_silent_for_too_long_fails(
    database: Database, store: SqlExecutionStore
) -> None:
    world = World(database, store)
    execution = await world.service.declare(NIGHTLY, None)
    await world.service.append(execution.id, [begin()])
    world.clock.advance(IDLE_S - 1)
    assert await world.give_up() == 0
    await world.service.append(execution.id, [])  # a sign of life
    world.clock.advance(IDLE_S - 1)
    assert await world.give_up() == 0
    world.clock.advance(1)

    assert await world.give_up() == 1
    row = await world.row(execution)
    assert (row.status, row.last_seq, row.steps) == ("failed", 5, 1)
    assert b'"producer_lost"' in row.error
    assert await world.service.find(execution.id) is None
    assert await world.give_up() == 0
    world.service.drain()


async def test_a_cancelled_execution_is_ended_after_a_grace_also_where_silence_is_no_fault(
    database: Database, store: SqlExecutionStore
) -> None:
    world = World(database, store, idle_s=0)
    execution = await world.service.declare(NIGHTLY, None)
    world.clock.advance(1e6)
    assert await world.give_up() == 0
    await world.service.cancel(execution, "enough", None)
    world.clock.advance(CANCEL_S)

    assert await world.give_up() == 1
    row = await world.row(execution)
    assert (row.status, row.reason) == ("cancelled", "enough")
    with pytest.raises(CommandNotAllowed):
        await world.service.cancel(execution, None, None)
    world.service.drain()


async def test_another_process_finds_it_running_and_gives_its_producer_the_whole_time_again(
    database: Database, store: SqlExecutionStore
) -> None:
    world = World(database, store)
    execution = await world.service.declare(NIGHTLY, None)
    await world.service.append(execution.id, [begin(), begin("2", "other")])
    world.service.drain()
    world.clock.advance(IDLE_S)
    world.service = world.started()
    await world.service.open()

    assert await world.give_up() == 0
    found = await world.service.find(execution.id)
    assert found is not None
    assert (found.steps, found.status, found.hub.visible) == (2, "running", 3)
    assert found.hub.first == 4, "its events are read from the store"
    assert await world.executions.unfinished() == []
    again = await world.service.append(execution.id, [begin(), begin("3", "other")])
    assert [(each.seq, each.is_known) for each in again.events] == [(2, True), (4, False)]
    done = [Report(id, "node_completed", {}, "", node_id="other") for id in ("4", "5")]
    assert [each.seq for each in (await world.service.append(execution.id, done)).events] == [5, 6]
    with pytest.raises(InvalidInput):
        await world.service.append(execution.id, [Report("6", "node_completed", {}, "", node_id="other")])
    world.clock.advance(IDLE_S)
    assert await world.give_up() == 1
    world.service.drain()


async def test_one_that_is_asked_for_by_many_at_once_is_made_again_once(
    database: Database, store: SqlExecutionStore
) -> None:
    world = World(database, store)
    execution = await world.service.declare(NIGHTLY, None)
    world.service.drain()
    world.service = world.started()
    await world.service.open()

    found = await asyncio.gather(*(world.service.find(execution.id) for _ in range(20)))

    assert len({id(each) for each in found}) == 1
    assert found[0] is not None
    world.service.drain()


async def test_one_that_cannot_be_made_again_leaves_no_trace_and_is_still_made_again_once(
    database: Database, store: SqlExecutionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(database, store)
    execution = await world.service.declare(NIGHTLY, None)
    world.service.drain()
    world.service = world.started()
    await world.service.open()
    reads = 0
    read = store.read_events

    async def unavailable_twice(*args: Any, **options: Any) -> Any:
        nonlocal reads
        reads += 1
        if reads <= 2:
            raise StorageUnavailable("not now")
        return await read(*args, **options)

    monkeypatch.setattr(store, "read_events", unavailable_twice)

    async def refused() -> ForeignExecution | None:
        with pytest.raises(StorageUnavailable):
            await world.service.find(execution.id)
        return await world.service.find(execution.id)

    with pytest.raises(StorageUnavailable):
        await world.service.find(execution.id)
    assert not world.service._loading
    first, second = await asyncio.gather(refused(), world.service.find(execution.id))

    assert first is not None
    assert first is second
    assert reads == 3
    world.service.drain()


async def test_of_two_events_with_one_id_in_a_request_the_first_counts_at_its_place(
    database: Database, store: SqlExecutionStore
) -> None:
    world = World(database, store)
    execution = await world.service.declare(NIGHTLY, None)
    done = Report("done", "node_completed", {}, "", node_id="fetch")

    valid = await world.service.append(execution.id, [begin("s"), done, begin("s")])
    x, y, z = (Report(id, "diagnostic", {"code": id, "message": id}, "") for id in "xyz")
    several = await world.service.append(execution.id, [x, y, begin("s"), x, z, y])

    assert [(each.id, each.seq, each.is_known) for each in valid.events] == [
        ("s", 2, False),
        ("done", 3, False),
        ("s", 2, True),
    ]
    assert [(each.id, each.seq, each.is_known) for each in several.events] == [
        ("x", 4, False),
        ("y", 5, False),
        ("s", 2, True),
        ("x", 4, True),
        ("z", 6, False),
        ("y", 5, True),
    ]
    world.service.drain()


async def test_ids_of_events_go_with_their_execution(database: Database, store: SqlExecutionStore) -> None:
    world = World(database, store)
    execution = await world.service.declare(NIGHTLY, None)
    end = Report("end", "execution_completed", {}, "")
    await world.service.append(execution.id, [begin(f"\0{n}", "fetch") for n in range(300)] + [end])
    ids = [f"\0{n}" for n in range(400)]
    assert len(await world.executions.reported(execution.id, ids)) == 300

    await world.executions.delete(execution.id, now=NOW)
    old = RetentionRepository(database)
    while await old.purge(rows=100, max_bytes=1024 * 1024):
        continue

    assert await world.executions.reported(execution.id, ids) == {}
    assert not await world.executions.is_taken(execution.id)
    with pytest.raises(NotFound):
        await world.service.append(execution.id, [begin()])
    world.service.drain()
