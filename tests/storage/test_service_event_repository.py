"""What happened to the service is stored with what it tells, on every database."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import text

from app.storage.database import Database
from app.storage.errors import RevisionConflict
from app.storage.repositories.executions import ExecutionRepository
from app.storage.repositories.graphs import GraphRepository, NewVersion
from app.storage.repositories.retention import RetentionRepository
from app.storage.repositories.service_events import ServiceEventRepository, Told
from app.storage.store import SqlExecutionStore
from graphwire.errors import HistoryDamaged, StorageUnavailable
from graphwire.events.service_types import ServiceEventData, SystemShutdown, SystemStartup
from graphwire.types import ExecutionId, GraphId
from tests.storage.samples import DAY, EXECUTION, NOW, make_batch, make_claim, make_end, make_record
from tests.storage.single_batch import store_batch


async def read(database: Database, *, after: int = 0, upto: int = 2**62) -> list[dict[str, Any]]:
    reader = database.reader()
    try:
        page = await reader.read_service_events(after=after, upto=upto, limit=1_000, max_bytes=1_000_000)
        return [json.loads(event.line) for event in page]
    finally:
        await reader.close()


def shown(events: list[dict[str, Any]]) -> list[tuple[int, str, str | None]]:
    return [(event["seq"], event["topic"], event.get("execution_id") or event.get("graph_id")) for event in events]


def make_told(number: int = 0, data: ServiceEventData | None = None) -> Told:
    return Told(data or SystemShutdown(), NOW + timedelta(seconds=number))


def make_version(id: str = "orders", definition: bytes = b"{}", source: str = "api") -> NewVersion:
    return NewVersion(GraphId(id), definition, f"digest of {definition!r}", source)


async def test_starts_and_ends_are_told_in_the_order_in_which_they_are_stored(
    database: Database, store: SqlExecutionStore
) -> None:
    async with asyncio.TaskGroup() as group:
        for number in range(5):
            group.create_task(store_batch(store, make_batch([1], id=f"e{number}", start=make_record(f"e{number}"))))
    await store_batch(store, make_batch([2], id="e3", end=make_end(2)))

    events = await read(database)

    assert shown(events)[:5] == [(seq, "execution.started", f"e{seq - 1}") for seq in range(1, 6)]
    assert events[5] == {
        "seq": 6,
        "type": "execution.completed",
        "code": 64,
        "topic": "execution.completed",
        "execution_id": "e3",
        "graph_id": "orders",
        "ts": "2026-11-20T19:45:30.123456Z",
        "data": {"outcome": "success", "duration_ms": 12.5, "steps": 3, "last_seq": 2},
    }


async def test_what_is_told_of_an_execution_has_its_correlation_id(
    database: Database, store: SqlExecutionStore
) -> None:
    record = replace(make_record(), correlation_id="order-4711")
    await store_batch(store, make_batch([1, 2], start=record, end=make_end(2)))
    await ExecutionRepository(database).delete(EXECUTION, now=NOW)

    events = await read(database)

    assert [event["correlation_id"] for event in events] == ["order-4711"] * 3


async def test_a_start_and_its_end_in_one_batch_are_two_events(database: Database, store: SqlExecutionStore) -> None:
    await store_batch(store, make_batch([1, 2], start=make_record(), end=make_end(2)))

    assert shown(await read(database)) == [(1, "execution.started", EXECUTION), (2, "execution.completed", EXECUTION)]


async def test_how_it_ended_is_told_without_what_is_large(database: Database, store: SqlExecutionStore) -> None:
    error = b'{"code":"exception","type":"ValueError","message":"%b","node":"price","path":[{"node":"x"}]}' % (
        b"m" * 9_000
    )
    ends = [
        replace(make_end(2), status="failed", outcome=None, error=error),
        replace(make_end(2), status="cancelled", outcome=None, reason="r" * 5_000),
        replace(make_end(2), status="failed", outcome=None, error=b"[]"),
    ]
    for number, end in enumerate(ends):
        id = f"e{number}"
        await store_batch(store, make_batch([1, 2], id=id, start=make_record(id), end=end))

    failed, cancelled, odd = [event["data"] for event in await read(database) if event["topic"] != "execution.started"]

    assert failed["error"] == {
        "code": "exception", "type": "ValueError", "message": "m" * 999 + "…", "node": "price"
    }  # fmt: skip
    assert cancelled["reason"] == "r" * 999 + "…"
    assert odd["error"] == {"code": "exception", "type": "", "message": ""}


async def test_what_is_refused_is_not_told(database: Database, store: SqlExecutionStore) -> None:
    first = make_batch([1], id="e1", start=make_record("e1"), claims=[(1, make_claim())])
    second = make_batch([1], id="e2", start=make_record("e2"), claims=[(1, make_claim())])
    await store_batch(store, first)
    with pytest.raises(StorageUnavailable):
        await store_batch(store, second)
    await store_batch(store, make_batch([1], id="e3", start=make_record("e3")))

    assert shown(await read(database)) == [(1, "execution.started", "e1"), (2, "execution.started", "e3")]


async def test_changes_of_graphs_are_told_and_what_changes_nothing_is_not(database: Database) -> None:
    graphs = GraphRepository(database)
    await graphs.put(make_version(), now=NOW)
    await graphs.put(make_version(), now=NOW)
    await graphs.put(make_version(definition=b"[]", source="/folder/orders.yaml"), now=NOW)
    with pytest.raises(RevisionConflict):
        await graphs.put(make_version(definition=b"1"), now=NOW, expected={1})
    await graphs.delete(GraphId("orders"), now=NOW)
    await graphs.delete(GraphId("orders"), now=NOW)
    await graphs.put(make_version(), now=NOW)

    events = await read(database)

    assert [(event["seq"], event["topic"], event["graph_id"], event["data"]) for event in events] == [
        (1, "graph.created", "orders", {"version": 1, "source": "api"}),
        (2, "graph.updated", "orders", {"version": 2, "source": "folder"}),
        (3, "graph.deleted", "orders", {"version": 2}),
        (4, "graph.created", "orders", {"version": 3, "source": "api"}),
    ]


async def test_a_deletion_is_told_once_with_its_reason(database: Database, store: SqlExecutionStore) -> None:
    for id in ("e1", "e2", "e3"):
        await store_batch(store, make_batch([1, 2], id=id, start=make_record(id), end=make_end(2)))
    executions = ExecutionRepository(database)

    assert await executions.delete(ExecutionId("e2"), now=NOW)
    assert not await executions.delete(ExecutionId("e2"), now=NOW)
    await RetentionRepository(database).mark([ExecutionId(id) for id in ("e3", "e2", "e1")], now=NOW)

    events = [event for event in await read(database) if event["topic"] == "execution.deleted"]
    assert [(event["execution_id"], event["graph_id"], event["data"]["reason"]) for event in events] == [
        ("e2", "orders", "requested"),
        ("e3", "orders", "retention"),
        ("e1", "orders", "retention"),
    ]


async def test_an_execution_whose_history_is_damaged_is_told_to_have_failed_once(
    database: Database, store: SqlExecutionStore
) -> None:
    await store_batch(store, make_batch([1], start=make_record()))
    executions = ExecutionRepository(database)

    for _ in range(2):
        await executions.end_damaged(EXECUTION, "torn", last_seq=1, now=NOW)

    assert shown(await read(database)) == [(1, "execution.started", EXECUTION), (2, "execution.failed", EXECUTION)]


async def test_all_that_writes_shares_one_row_of_numbers(database: Database, store: SqlExecutionStore) -> None:
    graphs, events = GraphRepository(database), ServiceEventRepository(database)

    async with asyncio.TaskGroup() as group:
        for number in range(10):
            group.create_task(graphs.put(make_version(f"g{number}"), now=NOW))
            group.create_task(events.append([make_told(number), make_told(number)]))
            group.create_task(store_batch(store, make_batch([1], id=f"e{number}", start=make_record(f"e{number}"))))

    assert [event["seq"] for event in await read(database)] == list(range(1, 41))


async def test_any_text_is_read_as_it_was_written(database: Database, store: SqlExecutionStore) -> None:
    id = "\0e\uffff"
    await store_batch(store, make_batch([1], id=id, start=make_record(id, graph_id="g\0")))

    (event,) = await read(database)

    assert (event["execution_id"], event["graph_id"]) == (id, "g\0")


@pytest.mark.bad_input(141)
@pytest.mark.parametrize("change", ["at_us = 9000000000000000000", "data = :data"], ids=["no time", "no JSON"])
async def test_a_damaged_event_ends_the_page_before_it_and_is_told_where_it_comes_first(
    database: Database, change: str
) -> None:
    await ServiceEventRepository(database).append([make_told(number) for number in range(4)])
    async with database.write() as connection:
        values = {"data": b"not JSON"} if ":data" in change else {}
        await connection.execute(text(f"UPDATE service_events SET {change} WHERE seq = 3"), values)

    assert [event["seq"] for event in await read(database)] == [1, 2]
    with pytest.raises(HistoryDamaged) as refused:
        await read(database, after=2)
    assert refused.value.facts == {"seq": 3}
    assert [event["seq"] for event in await read(database, after=3)] == [4]


async def test_a_page_is_bounded_and_never_empty_while_there_is_more(database: Database) -> None:
    await ServiceEventRepository(database).append([make_told(number) for number in range(5)])
    reader = database.reader()

    assert await reader.last_service_event() == 5
    for limit, max_bytes, seqs in ((2, 10_000, [2, 3]), (10, 1, [2]), (10, 10_000, [2, 3, 4])):
        page = await reader.read_service_events(after=1, upto=4, limit=limit, max_bytes=max_bytes)
        assert [event.seq for event in page] == seqs
    assert await reader.read_service_events(after=2**63 - 1, upto=2**63 - 1, limit=1, max_bytes=1) == []
    await reader.close()


async def test_an_announcement_that_was_stored_is_not_stored_again(database: Database) -> None:
    events = ServiceEventRepository(database)
    await events.append([make_told()])
    told = [make_told(1), make_told(2)]

    await events.append(told, again_from=1)
    await events.append(told, again_from=1)

    assert [event["seq"] for event in await read(database)] == [1, 2, 3]


async def test_old_events_go_a_few_at_a_time_and_the_newest_one_stays(database: Database) -> None:
    events = ServiceEventRepository(database)
    assert await events.newest() == (0, None)
    assert await events.forget(before=NOW, keep=1, rows=10) == 0
    await events.append([Told(SystemStartup(version="1", previous="none"), NOW + day * DAY) for day in range(6)])

    assert await events.forget(before=NOW + 2 * DAY, keep=None, rows=10) == 2
    assert await events.forget(before=None, keep=None, rows=10) == 0
    assert await events.forget(before=None, keep=3, rows=10) == 1
    assert await events.forget(before=None, keep=3, rows=10) == 0
    assert await events.forget(before=NOW + 99 * DAY, keep=None, rows=1) == 1
    assert await events.forget(before=NOW + 99 * DAY, keep=1, rows=10) == 1

    assert await events.newest() == (6, "system.startup")
    await events.append([make_told()])
    assert [event["seq"] for event in await read(database)] == [6, 7]
