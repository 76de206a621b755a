"""What is too old or too many goes in the background, and its readers are told."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
import pytest_asyncio
from msgspec.structs import replace
from sqlalchemy import func, select

from app.services.presence import Presence
from app.services.readers import EventReader
from app.services.retention import Retention
from app.services.retention_policy import Limits
from app.services.streams import StreamService
from app.storage.database import Database
from app.storage.repositories.executions import ExecutionQuery, ExecutionRepository
from app.storage.repositories.idempotency import IdempotencyRepository
from app.storage.repositories.retention import RetentionRepository
from app.storage.store import SqlExecutionStore
from app.storage.tables import executions
from graphwire.clock import FakeClock
from graphwire.engine.supervisor import Supervisor
from graphwire.errors import NotFound, StorageUnavailable
from graphwire.events.hub import End, Hub, NoticeItem, Page
from graphwire.events.notices import Notice, StreamClosed, StreamLagged
from graphwire.types import ExecutionId
from tests.storage.samples import DAY, NOW, make_batch, make_claim, make_end, make_record
from tests.storage.single_batch import store_batch
from tests.waiting import PATIENCE_S

OLD = ExecutionId("old")


class World:
    """Retention on a database, at ``NOW``."""

    def __init__(self, database: Database, store: SqlExecutionStore, limits: Limits) -> None:
        self.clock = FakeClock(int(NOW.timestamp() * 1e9))
        self.store = store
        self.database = database
        self.executions = ExecutionRepository(database)
        self.streams = StreamService(store, Presence(grace_s=1), self.clock)
        self.retention = Retention(
            database,
            store,
            Supervisor(),
            self.streams,
            self.clock,
            limits=limits,
            keys_stand=timedelta(days=1),
        )

    async def run(self, id: str, *, ended_at: datetime, events: int = 3) -> None:
        record = replace(make_record(id), started_at=ended_at)
        await store_batch(self.store, make_batch([1], id=id, start=record))
        for seq in range(2, events):
            await store_batch(self.store, make_batch([seq], id=id))
        end = replace(make_end(events), ended_at=ended_at)
        await store_batch(self.store, make_batch([events], id=id, end=end))

    async def ids(self) -> set[str]:
        return {one.id for one in (await self.executions.list(ExecutionQuery())).items}

    def read(self, id: ExecutionId, last_seq: int) -> EventReader:
        return self.streams.open(id, Hub.ended(last_seq), after=None, filter=None)


@pytest_asyncio.fixture
async def world(database: Database, store: SqlExecutionStore) -> AsyncIterator[World]:
    yield World(database, store, Limits.of(days=30, executions=3))


async def rest(reader: EventReader) -> list[int | Notice]:
    """Read to the end: numbers of events, and notices."""
    seen: list[int | Notice] = []
    async with asyncio.timeout(PATIENCE_S):
        while True:
            match await reader.read(10):
                case Page(items=items):
                    seen += [item.seq for item in items]
                case NoticeItem(notice=notice):
                    seen.append(notice)
                case End():
                    reader.close()
                    return seen


async def test_what_ended_too_long_ago_goes_and_so_do_the_oldest_of_too_many(world: World) -> None:
    for number in range(5):
        await world.run(f"e{number}", ended_at=NOW - (5 - number) * DAY)
    await world.run("old", ended_at=NOW - 31 * DAY)

    await world.retention.sweep()

    assert await world.ids() == {"e2", "e3", "e4"}
    assert not await RetentionRepository(world.database).purge(rows=1, max_bytes=1)


async def test_without_limits_everything_stays(database: Database, store: SqlExecutionStore) -> None:
    world = World(database, store, Limits.of(days=0, executions=0))
    await world.run("old", ended_at=NOW - 10_000 * DAY)

    await world.retention.sweep()

    assert await world.ids() == {"old"}


async def test_keys_that_are_over_go(world: World) -> None:
    keys = IdempotencyRepository(world.database)
    for key, later_s in (("over", -2 * DAY.total_seconds()), ("stands", 0.0)):
        claim = make_claim(key, later_s=later_s)
        await store_batch(world.store, make_batch([1], id=key, start=make_record(key), claims=[(1, claim)]))

    await world.retention.sweep()

    assert await keys.get("over", now=NOW - 1.5 * DAY) is None
    assert await keys.get("stands", now=NOW) is not None


async def test_nothing_is_deleted_while_the_store_is_unavailable(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.run("old", ended_at=NOW - 31 * DAY)
    monkeypatch.setattr(SqlExecutionStore, "unavailable", "no room")

    with pytest.raises(StorageUnavailable, match="no room"):
        await world.retention.sweep()

    assert await world.ids() == {"old"}


@pytest.mark.bad_input(66, 142)
async def test_a_reader_behind_what_was_taken_away_is_told_and_gets_the_rest(world: World) -> None:
    await world.run(OLD, ended_at=NOW, events=10)
    reader = world.read(OLD, 10)
    await world.executions.delete(OLD, now=NOW)
    await RetentionRepository(world.database).purge(rows=4, max_bytes=2**20)

    assert await rest(reader) == [StreamLagged(from_seq=1, to_seq=4, dropped=4), 5, 6, 7, 8, 9, 10]


@pytest.mark.bad_input(76, 142)
async def test_a_reader_of_what_is_gone_altogether_is_told_that_it_was_deleted(world: World) -> None:
    await world.run(OLD, ended_at=NOW - 31 * DAY, events=10)
    reader = world.read(OLD, 10)
    world.streams.end_deleted([ExecutionId("another")])
    await world.executions.delete(OLD, now=NOW)
    await world.retention.sweep()

    seen = await rest(reader)

    assert seen[0] == StreamLagged(from_seq=1, to_seq=10, dropped=10)
    assert [type(each) for each in seen] == [StreamLagged, StreamClosed]
    assert isinstance(seen[1], StreamClosed)
    assert seen[1].reason == "deleted"


@pytest.mark.bad_input(76)
async def test_a_stream_that_is_opened_just_after_the_deletion_is_told_so(world: World) -> None:
    await world.run(OLD, ended_at=NOW, events=10)
    hub = Hub.ended(10)  # found before the deletion
    await world.retention.delete(OLD)

    seen = await rest(world.streams.open(OLD, hub, after=None, filter=None))

    assert [each.reason for each in seen if isinstance(each, StreamClosed)] == ["deleted"]
    assert len(seen) == 1
    with pytest.raises(NotFound):
        await world.streams.page(OLD, hub, after=0, filter=None, limit=10, wait_s=0)


@pytest.mark.bad_input(142)
async def test_executions_are_stored_while_what_is_too_old_goes(world: World) -> None:
    for number in range(20):
        await world.run(f"old-{number}", ended_at=NOW - 31 * DAY)

    sweep = asyncio.create_task(world.retention.sweep())
    for number in range(3):
        await world.run(f"new-{number}", ended_at=NOW)
    await sweep

    assert await world.ids() == {"new-0", "new-1", "new-2"}


@pytest.mark.bad_input(76, 142)
async def test_open_streams_of_what_becomes_too_old_end_with_the_reason(world: World) -> None:
    await world.run(OLD, ended_at=NOW - 31 * DAY, events=10)
    await world.run("kept", ended_at=NOW, events=10)
    reader, other = world.read(OLD, 10), world.read(ExecutionId("kept"), 10)

    await world.retention.sweep()

    seen = await rest(reader)
    assert [each.reason for each in seen if isinstance(each, StreamClosed)] == ["deleted"]
    assert not any(isinstance(each, int) for each in seen)
    assert await rest(other) == list(range(1, 11))


async def test_it_works_in_the_background_and_stops_between_two_steps(world: World) -> None:
    await world.run(OLD, ended_at=NOW, events=10)
    async with world.retention, asyncio.timeout(PATIENCE_S):
        await world.retention.delete(OLD)
        while await rows(world.database):
            continue

    assert await world.ids() == set()


async def rows(database: Database) -> int:
    async with database.read() as connection:
        return int((await connection.execute(select(func.count()).select_from(executions))).scalar_one())
