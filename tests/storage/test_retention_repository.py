"""What is too old is found, and taken away a little at a time."""

from datetime import timedelta
from itertools import pairwise

import pytest
from msgspec.structs import replace
from sqlalchemy import func, insert, select

from app.storage.database import Database
from app.storage.repositories.executions import ExecutionRepository
from app.storage.repositories.graphs import GraphRepository, NewVersion
from app.storage.repositories.retention import RetentionRepository
from app.storage.sqlite_database import SqliteDatabase
from app.storage.store import SqlExecutionStore
from app.storage.tables import event_chunks, executions, graph_versions, graphs, large_events, node_durations
from graphwire.types import ExecutionId, GraphId
from tests.storage.samples import DAY, EXECUTION, NOW, make_batch, make_end, make_event, make_record
from tests.storage.single_batch import store_batch

TABLES = (event_chunks, large_events, executions)


@pytest.fixture
def old(database: Database) -> RetentionRepository:
    return RetentionRepository(database)


async def run(store: SqlExecutionStore, id: str, *, started_days: int, ended_days: int | None) -> None:
    """Store an execution that started, and perhaps ended, so many days ago."""
    record = replace(make_record(id), started_at=NOW - started_days * DAY)
    end = None if ended_days is None else replace(make_end(1), ended_at=NOW - ended_days * DAY)
    await store_batch(store, make_batch([1], id=id, start=record, end=end))


async def counts(database: Database) -> list[int]:
    """Count the rows of chunks, large events and executions."""
    async with database.read() as connection:
        return [(await connection.execute(select(func.count()).select_from(table))).scalar_one() for table in TABLES]


async def test_the_oldest_ones_are_found_by_their_start_and_what_runs_is_not_among_them(
    store: SqlExecutionStore, old: RetentionRepository
) -> None:
    await run(store, "runs", started_days=90, ended_days=None)
    await run(store, "long", started_days=80, ended_days=10)
    await run(store, "old", started_days=70, ended_days=69)
    await run(store, "new", started_days=5, ended_days=4)

    assert await old.count_ended() == 3
    assert [one.id for one in await old.oldest_ended(2)] == ["long", "old"]
    assert [one.id for one in await old.oldest_ended(10, before=NOW - 30 * DAY)] == ["old"]
    assert [one.id for one in await old.oldest_ended(10, before=NOW - 69 * DAY)] == []


async def test_the_size_of_what_a_mark_lets_go_of_is_known(store: SqlExecutionStore, old: RetentionRepository) -> None:
    end = replace(make_end(1), state=b"s" * 1_000, errors=b"e" * 100)
    await store_batch(store, make_batch([1], start=make_record(), end=end))

    (found,) = await old.oldest_ended(1)

    assert found.size == 1_000 + 100 + len(make_record().options)


async def test_only_what_has_ended_is_marked(
    store: SqlExecutionStore, old: RetentionRepository, database: Database
) -> None:
    await run(store, "runs", started_days=2, ended_days=None)
    await run(store, "ended", started_days=1, ended_days=1)

    await old.mark([ExecutionId("runs"), ExecutionId("ended")], now=NOW)

    repository = ExecutionRepository(database)
    assert await repository.get(ExecutionId("ended")) is None
    assert await repository.get(ExecutionId("runs")) is not None
    assert await old.count_ended() == 0


@pytest.mark.bad_input(142)
async def test_a_long_history_goes_in_small_steps_first_events_first_and_the_row_last(
    store: SqlExecutionStore, old: RetentionRepository, database: Database
) -> None:
    await store_batch(store, make_batch([1], start=make_record()))
    for seq in range(2, 52):
        batch = make_batch([seq], padding=1_000)
        event = replace(make_event(seq), whole=b"w" * 5_000)
        await store_batch(store, replace(batch, events=[event] if seq > 45 else batch.events))
    await store_batch(store, make_batch([52], end=make_end(52)))
    await run(store, "kept", started_days=1, ended_days=1)
    before = await counts(database)
    await ExecutionRepository(database).delete(EXECUTION, now=NOW)

    seen = [before]
    while await old.purge(rows=20, max_bytes=8_000):
        seen.append(await counts(database))
        if seen[-1][0] > 1:
            kept = await store.read_events(EXECUTION, after=0, upto=52, limit=100, max_bytes=2**20)
            assert [event.seq for event in kept] == list(range(kept[0].seq, 53))

    assert seen[-1] == [1, 0, 1]
    for earlier, later in pairwise(seen):
        gone = [a - b for a, b in zip(earlier, later, strict=True)]
        assert sum(count > 0 for count in gone) == 1  # one table a step
        assert gone[0] <= 20
        assert gone[1] <= 1  # two would be more than 8,000 bytes
    assert not await old.purge(rows=20, max_bytes=8_000)


async def test_many_short_histories_go_together(
    store: SqlExecutionStore, old: RetentionRepository, database: Database
) -> None:
    for number in range(30):
        await run(store, f"e{number}", started_days=1, ended_days=1)
    await old.mark([one.id for one in await old.oldest_ended(30)], now=NOW)

    steps = 0
    while await old.purge(rows=100, max_bytes=100_000):
        steps += 1

    assert (steps, await counts(database)) == (2, [0, 0, 0])


def version(name: str = "orders", text: str = "") -> NewVersion:
    return NewVersion(GraphId(name), b"{}", f"digest{text}", "api", None, name, "sells")


async def test_versions_of_a_deleted_graph_go_when_no_execution_names_them_and_their_numbers_stay_used(
    store: SqlExecutionStore, old: RetentionRepository, database: Database
) -> None:
    repository = GraphRepository(database)
    for number in range(3):
        await repository.put(version(text=str(number)), now=NOW)
    await repository.put(version("returns"), now=NOW)
    end = make_end(1, durations_ms={f"n{number}": (1, 1.0) for number in range(5)})
    for number, id in ((1, "e1"), (2, "e2")):
        await store_batch(store, make_batch([1], id=id, start=make_record(id, version=number), end=end))
    await ExecutionRepository(database).delete(ExecutionId("e2"), now=NOW)
    while await old.purge(rows=100, max_bytes=100_000):
        continue

    assert not await old.forget_version(NOW + DAY, rows=2)  # nothing is deleted
    await repository.delete(GraphId("orders"), now=NOW)
    assert not await old.forget_version(NOW, rows=2)  # not long ago enough
    steps = 0
    while await old.forget_version(NOW + timedelta(seconds=1), rows=2):
        steps += 1

    assert steps == 3 + 1  # version 2 with its durations, version 3
    async with database.read() as connection:
        left = (await connection.execute(select(graph_versions.c.graph_id, graph_versions.c.version))).all()
        durations = (await connection.execute(select(node_durations.c.graph_version).distinct())).scalars().all()
    assert {tuple(row) for row in left} == {("orders", 1), ("returns", 1)}
    assert durations == [1]
    made = await repository.put(version(text="2"), now=NOW)
    assert (made.version, made.is_new, made.is_changed) == (4, True, True)
    stored = await repository.get(GraphId("orders"))
    assert stored is not None
    assert stored.info.version == 4


async def test_versions_that_ran_inside_of_an_execution_stay_with_it(
    store: SqlExecutionStore, old: RetentionRepository, database: Database
) -> None:
    repository = GraphRepository(database)
    for number in range(12):
        await repository.put(version("prices", str(number)), now=NOW)
    await repository.put(version("price"), now=NOW)
    record = replace(make_record("e1"), runs=[("orders", 7), ("prices", 1), ("prices", 11)])
    await store_batch(store, make_batch([1], id="e1", start=record, end=make_end(1)))
    for name in ("prices", "price"):
        await repository.delete(GraphId(name), now=NOW)

    while await old.forget_version(NOW + timedelta(seconds=1), rows=2):
        continue

    async with database.read() as connection:
        left = (await connection.execute(select(graph_versions.c.graph_id, graph_versions.c.version))).all()
    assert {tuple(row) for row in left} == {("prices", 1), ("prices", 11)}


async def test_room_that_deletions_freed_is_given_back_in_steps(
    sqlite_database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.storage.sqlite_room.KEPT_BYTES", 64 * 1024)
    async with sqlite_database.write() as connection:
        rows = [{"id": number, "body": bytes(100_000)} for number in range(40)]
        await connection.exec_driver_sql("CREATE TABLE filler (id INTEGER, body BLOB)")
        await connection.exec_driver_sql("INSERT INTO filler VALUES (:id, :body)", rows)
        await connection.execute(insert(graphs).values(id="g", source="api", latest_version=1, created_at_us=0,
            updated_at_us=0, search_text=""))  # fmt: skip
        await connection.exec_driver_sql("DELETE FROM filler")

    steps = 0
    while await sqlite_database.reclaim(512 * 1024):
        steps += 1

    plain = sqlite_database.connect()
    assert 6 <= steps <= 8
    assert plain.execute("PRAGMA page_count").fetchone()[0] * 4_096 < 500_000
    assert plain.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert plain.execute("SELECT id FROM graphs").fetchall() == [("g",)]
    plain.close()
