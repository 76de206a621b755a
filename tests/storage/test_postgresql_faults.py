"""What the store does when the way to PostgreSQL, or PostgreSQL itself, fails. Only the way is not the real one."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import asyncpg
import pytest

from app.storage import postgresql_database
from app.storage.opening import open_database
from app.storage.postgresql_database import PostgresqlDatabase
from app.storage.repositories.executions import ExecutionRepository
from app.storage.repositories.graphs import GraphRepository, NewVersion
from app.storage.store import SqlExecutionStore
from graphwire.errors import StorageUnavailable
from graphwire.types import ExecutionId, GraphId
from tests.proxy import Proxy, proxied
from tests.storage.samples import EXECUTION, NOW, RecordingOutbox, make_batch, make_end, start_batch
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.needs("postgresql")

FAR = 2**62


@dataclass
class World:
    """A store on a database at the other end of a proxy, and a direct way to look on."""

    direct_url: str
    proxy: Proxy
    database: PostgresqlDatabase
    store: SqlExecutionStore

    async def begin(self, id: str = EXECUTION) -> RecordingOutbox:
        outbox = self.submit(start_batch(id))
        await outbox.wait_stored(1)
        return outbox

    def submit(self, *batches: object) -> RecordingOutbox:
        outbox = RecordingOutbox(*batches)  # type: ignore[arg-type]
        self.store.submit(outbox)
        return outbox

    async def go_on(self, outbox: RecordingOutbox, *seqs: int) -> None:
        outbox.add(*(make_batch([seq]) for seq in seqs))
        self.store.submit(outbox)

    async def stored(self, id: str = EXECUTION) -> list[int]:
        """Return where the stored chunks of an execution begin, seen from beside the service."""
        connection = await asyncpg.connect(self.direct_url)
        try:
            query = "SELECT first_seq FROM event_chunks WHERE execution_id = $1 ORDER BY first_seq"
            return [row[0] for row in await connection.fetch(query, id)]
        finally:
            await connection.close()

    async def holder(self) -> int | None:
        """Return the process of PostgreSQL that holds the lock of this schema."""
        connection = await asyncpg.connect(self.direct_url)
        query = (
            "SELECT l.pid FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid"
            " WHERE locktype = 'advisory' AND granted AND application_name = $1"
        )
        try:
            pid: int | None = await connection.fetchval(query, self.database.name)
            return pid
        finally:
            await connection.close()

    async def until_waits(self, connection: asyncpg.Connection) -> None:
        """Wait until the service waits for a lock. PostgreSQL tells nobody when it does."""
        query = "SELECT 1 FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'"
        while await connection.fetchval(query, self.database.name) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)  # between two looks

    async def wait_until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not is_so():  # noqa: ASYNC110  # nobody is told
                await asyncio.sleep(0.01)  # between two looks

    async def read(self) -> list[int]:
        page = await self.store.read_events(EXECUTION, after=0, upto=FAR, limit=100, max_bytes=10_000)
        return [event.seq for event in page]


@pytest.fixture
async def world(schema: str) -> AsyncIterator[World]:
    async with proxied(schema) as proxy:
        async with PostgresqlDatabase(proxy.url) as database, SqlExecutionStore(database, stop_s=5) as store:
            yield World(schema, proxy, database, store)


@pytest.mark.bad_input(133)
async def test_connections_that_are_cut_are_replaced_and_nobody_hears_of_it(world: World) -> None:
    outbox = await world.begin()
    executions, graphs = ExecutionRepository(world.database), GraphRepository(world.database)

    for number in range(2, 6):
        await executions.get(EXECUTION)
        assert await world.read() == list(range(1, number))
        world.proxy.cut()
        await world.go_on(outbox, number)
        await outbox.wait_stored(number)
        await world.begin(f"execution-{number}")
        world.proxy.cut()
        await asyncio.sleep(0.01)  # a connection is closed only when its end was read
        await graphs.put(NewVersion(GraphId("g"), b"{}", f"{number}", "api"), now=NOW)

    assert world.store.unavailable is None
    assert outbox.refusals == []
    assert await world.stored() == [1, 2, 3, 4, 5]


@pytest.mark.bad_input(133)
@pytest.mark.parametrize("lingers", [False, True], ids=["cut", "swallowed"])
@pytest.mark.parametrize("loss", ["request", "answer"])
async def test_a_start_whose_commit_has_no_answer_is_stored_once_and_not_refused(
    world: World, loss: str, lingers: bool
) -> None:
    world.proxy.lingers = lingers
    setattr(world.proxy, f"loses_{loss}", lambda data: b"COMMIT" in data)

    outbox = world.submit(start_batch(), make_batch([2]))
    await outbox.wait_stored(2)

    assert world.proxy.lost == 1
    assert outbox.refusals == []
    assert await world.stored() == [1, 2]


@pytest.mark.bad_input(133)
@pytest.mark.parametrize("loss", ["request", "answer"])
async def test_a_group_of_one_statement_that_has_no_answer_is_stored_once(world: World, loss: str) -> None:
    outbox = await world.begin()
    await world.go_on(outbox, 2)
    await outbox.wait_stored(2)
    setattr(world.proxy, f"loses_{loss}", lambda data: b"node_started" in data)

    await world.go_on(outbox, 3, 4)
    await outbox.wait_stored(4)

    assert world.proxy.lost == 1
    assert await world.stored() == [1, 2, 3, 4]


@pytest.mark.bad_input(133)
async def test_while_the_database_is_away_starts_are_refused_and_the_rest_waits_and_goes_on(world: World) -> None:
    outbox = await world.begin()
    world.proxy.refuses = True
    world.proxy.cut()
    await world.wait_until(lambda: world.store.unavailable is not None)  # though nothing was to be stored

    await world.go_on(outbox, 2, 3)
    refused = world.submit(start_batch("execution-2"))
    await refused.wait_refused()
    with pytest.raises(StorageUnavailable):
        await world.read()
    with pytest.raises(StorageUnavailable):
        await GraphRepository(world.database).put(NewVersion(GraphId("g"), b"{}", "d", "api"), now=NOW)

    assert "does not answer" in refused.refusals[0]
    assert len(outbox.stored_batches) == 1
    world.proxy.refuses = False
    await outbox.wait_stored(3)
    assert world.store.unavailable is None
    assert await world.stored() == [1, 2, 3]
    assert await world.stored("execution-2") == []
    await world.begin("execution-2")


@pytest.mark.bad_input(133)
@pytest.mark.parametrize("loss", ["request", "answer"])
async def test_a_start_that_may_be_stored_is_answered_when_that_is_known(world: World, loss: str) -> None:
    def lose(data: bytes) -> bool:
        world.proxy.refuses = b"COMMIT" in data
        return world.proxy.refuses

    setattr(world.proxy, f"loses_{loss}", lose)
    outbox = world.submit(start_batch())
    await world.wait_until(lambda: world.store.unavailable is not None)
    refused = world.submit(start_batch("execution-2"))
    await refused.wait_refused()

    assert outbox.stored_batches == []
    assert outbox.refusals == []
    world.proxy.refuses = False
    await outbox.wait_stored(1)
    assert await world.stored() == [1]
    assert await world.stored("execution-2") == []
    assert world.store.unavailable is None


@pytest.mark.bad_input(133)
@pytest.mark.parametrize("delay_s", [0.2, pytest.param(2.0, marks=pytest.mark.long)])
async def test_a_slow_database_refuses_nothing(world: World, delay_s: float) -> None:
    world.proxy.delay_s = delay_s

    outbox = world.submit(start_batch(), make_batch([2]), make_batch([3], end=make_end(3)))
    others = [world.submit(start_batch(f"execution-{number}")) for number in range(2, 10)]
    await asyncio.gather(outbox.wait_stored(3), *(one.wait_stored(1) for one in others))

    assert not any(one.refusals for one in (outbox, *others))
    assert world.store.unavailable is None
    assert await world.stored() == [1, 2, 3]


@pytest.mark.bad_input(131)
async def test_a_database_that_holds_a_group_up_for_long_is_said_and_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.storage.postgresql_groups.SLOW_S", 0.1)
    outbox = await world.begin()
    other = await asyncpg.connect(world.direct_url)
    transaction = other.transaction()
    await transaction.start()
    await other.execute("LOCK TABLE event_chunks")

    await world.go_on(outbox, 2, 3)
    await world.wait_until(lambda: world.store.unavailable is not None)
    refused = world.submit(start_batch("execution-2"))
    await refused.wait_refused()

    assert "too long" in refused.refusals[0]
    await transaction.rollback()
    await other.close()
    await outbox.wait_stored(3)
    assert world.store.unavailable is None
    assert await world.stored() == [1, 2, 3]


@pytest.mark.bad_input(131)
async def test_a_change_that_waits_for_a_locked_table_is_refused_before_it_holds_starts_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql_database, "LOCK_WAIT_MS", 50)
    other = await asyncpg.connect(world.direct_url)
    async with asyncio.timeout(PATIENCE_S), other.transaction():
        await other.execute("LOCK TABLE graphs IN SHARE MODE")  # as CREATE INDEX does
        change = asyncio.create_task(
            GraphRepository(world.database).put(NewVersion(GraphId("g"), b"{}", "d", "api"), now=NOW)
        )
        await world.until_waits(other)
        outbox = await world.begin()
        with pytest.raises(StorageUnavailable, match=r"another program holds a lock on it \(55P03\)"):
            await change
    await other.close()

    await GraphRepository(world.database).put(NewVersion(GraphId("g"), b"{}", "d", "api"), now=NOW)
    assert outbox.refusals == []
    assert world.store.unavailable is None


@pytest.mark.bad_input(132)
async def test_a_database_that_is_read_only_is_said_and_goes_on_when_it_is_not(world: World) -> None:
    outbox = await world.begin()
    async with world.database.writing() as connection:
        await connection.execute("SET default_transaction_read_only = on")

    await world.go_on(outbox, 2)
    refused = world.submit(start_batch("execution-2"))
    await refused.wait_refused()

    assert "it is read-only (25006)" in refused.refusals[0]
    async with world.database.writing() as connection:
        await connection.execute("SET default_transaction_read_only = off")
    await outbox.wait_stored(2)
    assert world.store.unavailable is None


async def test_a_batch_that_can_never_be_stored_holds_up_only_its_own_execution(world: World) -> None:
    healthy = await world.begin("healthy")
    broken = await world.begin("broken")
    async with world.database.writing() as connection:
        await connection.execute(
            "INSERT INTO event_chunks SELECT execution_id, 2, 2, format, events_checksum,"
            " deltas_checksum, events, deltas FROM event_chunks WHERE execution_id = 'broken'"
        )
    broken.add(make_batch([2], id="broken"))
    world.store.submit(broken)
    doubled = world.submit(start_batch("healthy"))
    healthy.add(make_batch([2], id="healthy"))
    world.store.submit(healthy)
    await healthy.wait_stored(2)
    await doubled.wait_refused()

    assert len(broken.stored_batches) == 1
    assert world.store.unavailable is None
    assert await world.stored("healthy") == [1, 2]
    # It is tried again: once nothing is in its way, it goes through.
    async with world.database.writing() as connection:
        await connection.execute("DELETE FROM event_chunks WHERE execution_id = 'broken' AND first_seq = 2")
    await broken.wait_stored(2)


@pytest.mark.bad_input(133)
async def test_the_lock_is_held_again_after_a_cut_though_nothing_is_written(world: World) -> None:
    first = await world.holder()
    world.proxy.cut()
    async with asyncio.timeout(PATIENCE_S):
        while await world.holder() in (None, first):  # noqa: ASYNC110  # PostgreSQL tells nobody
            await asyncio.sleep(0.01)  # between two looks

    with pytest.raises(StorageUnavailable, match="in use by process"):
        async with open_database(world.direct_url):
            pass


@pytest.mark.bad_input(133)
async def test_what_another_server_took_is_left_to_it_and_said(world: World) -> None:
    outbox = await world.begin()
    kept = await world.begin("kept")
    world.proxy.refuses = True
    world.proxy.cut()
    await world.wait_until(lambda: world.store.unavailable is not None)

    async with PostgresqlDatabase(world.direct_url) as other:
        await ExecutionRepository(other).end_damaged(EXECUTION, "interrupted", last_seq=1, now=NOW)
        world.proxy.refuses = False
        await world.wait_until(lambda: "which took it" in (world.store.unavailable or ""))
        await world.go_on(outbox, 2)
        kept.add(make_batch([2], id="kept"))
        world.store.submit(kept)
        with pytest.raises(StorageUnavailable, match="which took it"):
            await GraphRepository(world.database).put(NewVersion(GraphId("g"), b"{}", "d", "api"), now=NOW)
        assert await world.read() == [1]

    await kept.wait_stored(2)
    await outbox.wait_refused()
    assert world.store.unavailable is None
    assert await world.stored() == [1]  # it had ended
    assert "another server" in outbox.refusals[0]
    kept.add(make_batch([3], id="kept"))
    world.store.submit(kept)
    await kept.wait_stored(3)
    assert len(outbox.refusals) == 1  # it is not tried again
    assert await ExecutionRepository(world.database).last_seq(ExecutionId("kept")) == 3


@pytest.mark.bad_input(133)
@pytest.mark.parametrize("lingers", [False, True], ids=["refused", "swallowed"])
async def test_stopping_gives_up_on_a_database_that_stays_away(schema: str, lingers: bool) -> None:
    async with proxied(schema) as proxy:
        async with PostgresqlDatabase(proxy.url) as database:
            store = SqlExecutionStore(database, stop_s=0.05)
            async with store:
                outbox = RecordingOutbox(start_batch())
                store.submit(outbox)
                await outbox.wait_stored(1)
                proxy.lingers, proxy.refuses = lingers, True
                proxy.loses_request = lambda data: b"node_started" in data
                outbox.add(make_batch([2]))
                store.submit(outbox)
                await World(schema, proxy, database, store).wait_until(lambda: proxy.lost == 1)
                began = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began < 20

    async with PostgresqlDatabase(schema):
        pass  # nobody holds the lock any more
