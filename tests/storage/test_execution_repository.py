"""Executions as they are listed, recovered and measured."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from msgspec.structs import replace

from app.storage.database import Database
from app.storage.repositories.executions import (
    ExecutionQuery,
    ExecutionRepository,
    NodeDuration,
    Sort,
)
from app.storage.store import SqlExecutionStore
from graphwire.engine.ports import ExecutionRecord, Turn
from graphwire.errors import CommandNotAllowed, InvalidCursor
from graphwire.events.types import ForkedFrom
from graphwire.types import ExecutionId, GraphId
from tests.storage.samples import EXECUTION, NOW, make_batch, make_end, make_record
from tests.storage.single_batch import store_batch


@pytest.fixture
def executions(database: Database) -> ExecutionRepository:
    return ExecutionRepository(database)


async def start(store: SqlExecutionStore, record: ExecutionRecord) -> None:
    await store_batch(store, make_batch([1], id=record.id, start=record))


async def ids(executions: ExecutionRepository, query: ExecutionQuery) -> Sequence[str]:
    return [one.id for one in (await executions.list(query)).items]


async def seed_list(store: SqlExecutionStore) -> None:
    """Five executions, a second apart: e2 and e4 are of another graph, e1 and e2 have ended."""
    for number in range(1, 6):
        record = make_record(f"e{number}", graph_id="orders" if number % 2 else "returns")
        record = replace(record, started_at=NOW + timedelta(seconds=number), correlation_id=f"Order_{number}")
        await start(store, record)
    for number, duration_ms in ((1, 20.0), (2, 10.0)):
        end = replace(
            make_end(2, duration_ms=duration_ms),
            status="failed",
            outcome=None,
            error=b'{"message":"No 100% stock"}',
            ended_at=NOW + timedelta(minutes=number),
        )
        await store_batch(store, make_batch([2], id=f"e{number}", end=end))


async def test_an_execution_is_read_as_it_started(store: SqlExecutionStore, executions: ExecutionRepository) -> None:
    await start(store, make_record(seed=2**62))

    stored = await executions.get(EXECUTION)

    assert stored is not None
    assert (stored.summary.status, stored.summary.seed, stored.summary.started_at) == ("running", 2**62, NOW)
    assert (stored.options, stored.state, stored.errors) == (b'{"state":{}}', None, None)
    assert await executions.get(ExecutionId("unknown")) is None


async def test_a_fork_is_found_by_its_origin(store: SqlExecutionStore, executions: ExecutionRepository) -> None:
    await start(store, make_record())
    await start(store, replace(make_record("fork"), forked_from=ForkedFrom(EXECUTION, 7)))

    page = await executions.list(ExecutionQuery(origins=frozenset({EXECUTION, "unknown"})))

    assert [(one.id, one.forked_from) for one in page.items] == [("fork", ForkedFrom(EXECUTION, 7))]
    assert await ids(executions, ExecutionQuery(origins=frozenset({"fork"}))) == []


async def test_an_execution_is_read_as_it_ended(store: SqlExecutionStore, executions: ExecutionRepository) -> None:
    await store_batch(store, make_batch([1, 2], start=make_record(), end=make_end(2)))

    stored = await executions.get(EXECUTION)

    assert stored is not None
    summary = stored.summary
    assert (summary.status, summary.outcome, summary.ended_at, summary.last_seq) == ("completed", "success", NOW, 2)
    assert (summary.duration_ms, summary.steps, summary.error) == (12.5, 3, None)
    assert (stored.state, stored.errors) == (b'{"total":90}', b"[]")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (ExecutionQuery(), ["e5", "e4", "e3", "e2", "e1"]),
        (ExecutionQuery(sort="started_at"), ["e1", "e2", "e3", "e4", "e5"]),
        (ExecutionQuery(statuses=frozenset({"running"})), ["e5", "e4", "e3"]),
        (ExecutionQuery(statuses=frozenset({"running", "failed"}), limit=2), ["e5", "e4"]),
        (ExecutionQuery(graph_ids=frozenset({"returns"})), ["e4", "e2"]),
        (ExecutionQuery(graph_ids=frozenset({"returns"}), statuses=frozenset({"failed"})), ["e2"]),
        (ExecutionQuery(since=NOW + timedelta(seconds=2), until=NOW + timedelta(seconds=4)), ["e3", "e2"]),
        (ExecutionQuery(text="ORDER_3"), ["e3"]),
        (ExecutionQuery(text="100% STOCK"), ["e2", "e1"]),
        (ExecutionQuery(text="%"), ["e2", "e1"]),
        (ExecutionQuery(text="e_"), []),
        (ExecutionQuery(text="' OR 1=1 --"), []),
        (ExecutionQuery(sort="ended_at"), ["e3", "e4", "e5", "e1", "e2"]),
        (ExecutionQuery(sort="-duration_ms"), ["e1", "e2", "e5", "e4", "e3"]),
    ],
)
async def test_executions_are_filtered_and_ordered(
    store: SqlExecutionStore, executions: ExecutionRepository, query: ExecutionQuery, expected: list[str]
) -> None:
    await seed_list(store)

    assert await ids(executions, query) == expected


@pytest.mark.parametrize("sort", ["-started_at", "started_at", "ended_at", "-ended_at", "duration_ms", "-duration_ms"])
async def test_pages_hold_every_execution_once_in_the_order_of_the_whole(
    store: SqlExecutionStore, executions: ExecutionRepository, sort: Sort
) -> None:
    await seed_list(store)
    found: list[str] = []

    after: str | None = None
    while True:
        page = await executions.list(ExecutionQuery(sort=sort, limit=2, after=after))
        found += [one.id for one in page.items]
        if (after := page.next) is None:
            break

    assert found == await ids(executions, ExecutionQuery(sort=sort))


async def test_a_cursor_of_another_order_is_refused(store: SqlExecutionStore, executions: ExecutionRepository) -> None:
    await seed_list(store)
    page = await executions.list(ExecutionQuery(limit=1))

    with pytest.raises(InvalidCursor):
        await executions.list(ExecutionQuery(sort="ended_at", after=page.next))


async def test_unfinished_executions_are_found_with_their_last_event(
    store: SqlExecutionStore, executions: ExecutionRepository
) -> None:
    await seed_list(store)
    await store_batch(store, make_batch([2, 3], id="e3"))
    await store_batch(store, make_batch([65_600], id="e3"))

    unfinished = await executions.unfinished()

    assert [(one.summary.id, one.last_seq) for one in unfinished] == [("e3", 65_600), ("e4", 1), ("e5", 1)]
    assert unfinished[0].options == b'{"state":{}}'
    assert (unfinished[0].summary.graph_id, unfinished[0].summary.graph_version) == ("orders", 1)


async def test_durations_of_nodes_add_up_over_the_executions_of_a_version(
    store: SqlExecutionStore, executions: ExecutionRepository
) -> None:
    for id, version in (("a", 1), ("b", 1), ("c", 2)):
        end = make_end(1, durations_ms={"price": (2, 30.0), "ship": (1, 1.5)})
        await store_batch(store, make_batch([1], id=id, start=make_record(id, version=version), end=end))

    durations = await executions.node_durations(GraphId("orders"), 1)

    assert durations == {"price": NodeDuration(4, 60.0), "ship": NodeDuration(2, 3.0)}
    assert durations["price"].mean_ms == 15.0
    assert await executions.node_durations(GraphId("orders"), 3) == {}


async def test_durations_of_very_many_nodes_are_stored(
    store: SqlExecutionStore, executions: ExecutionRepository
) -> None:
    end = make_end(1, durations_ms={f"node-{number}": (1, 1.0) for number in range(10_000)})

    await store_batch(store, make_batch([1], start=make_record(), end=end))

    assert len(await executions.node_durations(GraphId("orders"), 1)) == 10_000


async def test_an_ended_execution_that_is_deleted_is_not_found_any_more(
    store: SqlExecutionStore, executions: ExecutionRepository
) -> None:
    await seed_list(store)

    assert await executions.delete(ExecutionId("e1"), now=NOW)

    assert await executions.get(ExecutionId("e1")) is None
    assert "e1" not in await ids(executions, ExecutionQuery())
    assert not await executions.delete(ExecutionId("e1"), now=NOW)
    with pytest.raises(CommandNotAllowed):
        await executions.delete(ExecutionId("e5"), now=NOW)


async def test_a_queued_execution_begins_and_both_are_told(database: Database, store: SqlExecutionStore) -> None:
    repository = ExecutionRepository(database)
    record = replace(make_record(), status="queued")
    await store_batch(store, make_batch([1], start=record))
    [queued] = await repository.queued()
    assert (queued.summary.status, queued.last_seq, await repository.unfinished()) == ("queued", 1, [])

    turns = [Turn("running", NOW, begins=1), Turn("paused", NOW)]
    await store_batch(store, replace(make_batch([2, 3]), turns=turns))

    [unfinished] = await repository.unfinished()
    assert (unfinished.summary.status, await repository.queued()) == ("paused", [])
    reader = database.reader()
    told = await reader.read_service_events(after=0, upto=9, limit=9, max_bytes=10_000)
    await reader.close()
    assert [event.type for event in told] == ["execution.queued", "execution.started"]


async def test_an_end_comes_from_any_status(database: Database, store: SqlExecutionStore) -> None:
    repository = ExecutionRepository(database)
    await store_batch(store, make_batch([1], start=replace(make_record(), status="queued")))
    await store_batch(store, make_batch([2], end=make_end(2)))

    stored = await repository.get(EXECUTION)

    assert stored is not None
    assert stored.summary.status == "completed"
