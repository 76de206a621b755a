"""Stored chunks: what goes in comes out, in pages of any size; what was damaged is said."""

from collections.abc import Sequence

import pytest
from hypothesis import example, given, strategies as st
from sqlalchemy import text

from app.storage.chunks import MAX_CHUNK_BYTES, encode_chunks
from app.storage.database import Database
from app.storage.repositories.executions import ExecutionQuery, ExecutionRepository
from app.storage.store import SqlExecutionStore
from graphwire.engine.ports import Batch
from graphwire.errors import HistoryDamaged
from graphwire.events.hub import Published
from graphwire.types import ExecutionId
from tests.storage.samples import EXECUTION, NOW, RecordingOutbox, make_batch, make_event, start_batch

FAR = 2**62


async def keep(store: SqlExecutionStore, *batches: Batch) -> None:
    outbox = RecordingOutbox(*batches)
    store.submit(outbox)
    await outbox.wait_stored(len(batches))


async def alter(database: Database, statement: str, **values: bytes) -> None:
    async with database.write() as connection:
        assert (await connection.execute(text(statement), values)).rowcount == 1


@given(sizes=st.lists(st.integers(0, MAX_CHUNK_BYTES), max_size=12))
@example(sizes=[MAX_CHUNK_BYTES] * 3)
def test_a_batch_is_cut_into_rows_of_bounded_size_without_losing_anything(sizes: list[int]) -> None:
    events = [make_event(seq, padding=size) for seq, size in enumerate(sizes, 1)]

    rows = encode_chunks(EXECUTION, events, [b"{}", b"1"] if events else [])

    assert b"\n".join(row[6] for row in rows).split(b"\n") == [event.line for event in events] or not events
    assert all(len(row[6]) <= MAX_CHUNK_BYTES or b"\n" not in row[6] for row in rows)
    assert [row[7] for row in rows] == [b"{}\n1", *[None] * (len(rows) - 1)][: len(rows)]


@pytest.mark.parametrize("lines", [[b"{\n}"], [b"{}", b"\n"]])
def test_a_document_with_a_line_break_is_refused(lines: Sequence[bytes]) -> None:
    events = [Published(seq, "node_log", None, line) for seq, line in enumerate(lines, 1)]

    with pytest.raises(ValueError, match="line break"):
        encode_chunks(EXECUTION, events, [])


async def test_a_long_history_is_read_page_by_page(store: SqlExecutionStore) -> None:
    await keep(store, start_batch(), make_batch(range(2, 900), padding=1_000), make_batch(range(900, 1_001)))
    seqs: list[int] = []

    while page := await store.read_events(
        EXECUTION, after=seqs[-1] if seqs else 0, upto=FAR, limit=100, max_bytes=65_536
    ):
        seqs += [event.seq for event in page]

    assert seqs == list(range(1, 1_001))


@pytest.mark.bad_input(141)
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("events = substr(events, 1, 20)", "checksum"),
        ("format = 2", "format 2"),
    ],
)
async def test_a_damaged_row_is_said_and_what_stands_before_it_is_read(
    database: Database, store: SqlExecutionStore, change: str, reason: str
) -> None:
    await keep(
        store, start_batch(), make_batch([2]), make_batch([3]), make_batch([1], id="x", start=start_batch("x").start)
    )
    await alter(database, f"UPDATE event_chunks SET {change} WHERE first_seq = 3")

    before = await store.read_events(EXECUTION, after=0, upto=FAR, limit=10, max_bytes=10_000)

    assert [event.seq for event in before] == [1, 2]
    with pytest.raises(HistoryDamaged, match=reason):
        await store.read_events(EXECUTION, after=2, upto=FAR, limit=10, max_bytes=10_000)
    assert await store.read_event(ExecutionId("x"), 1) is not None


@pytest.mark.bad_input(141)
async def test_what_is_no_event_though_its_checksum_fits_is_said(store: SqlExecutionStore) -> None:
    await keep(store, start_batch(), Batch(EXECUTION, None, [Published(2, "odd", None, b"{}")], [], None, 100))

    with pytest.raises(HistoryDamaged, match="no event"):
        await store.read_events(EXECUTION, after=1, upto=FAR, limit=10, max_bytes=10_000)


@pytest.mark.bad_input(141)
async def test_damaged_deltas_are_said_and_events_beside_them_are_read(
    database: Database, store: SqlExecutionStore
) -> None:
    await keep(store, start_batch(), make_batch([2], deltas=[b"{}"]))
    await alter(database, "UPDATE event_chunks SET deltas = :deltas WHERE first_seq = 2", deltas=b"\x00")

    with pytest.raises(HistoryDamaged):
        await store.read_deltas(EXECUTION)

    assert await store.read_event(EXECUTION, 2) is not None


@pytest.mark.bad_input(141)
async def test_an_event_of_an_unknown_type_is_read(store: SqlExecutionStore) -> None:
    unknown = make_event(2, type="of_a_newer_version")
    await keep(store, start_batch(), Batch(EXECUTION, None, [unknown], [], None, 100))

    page = await store.read_events(EXECUTION, after=1, upto=FAR, limit=10, max_bytes=10_000)

    assert [(event.type, event.line) for event in page] == [("of_a_newer_version", unknown.line)]


@pytest.mark.bad_input(141)
async def test_an_execution_that_ended_damaged_is_listed_with_the_others(
    database: Database, store: SqlExecutionStore
) -> None:
    await keep(store, start_batch())
    await keep(store, start_batch("execution-2"))
    repository = ExecutionRepository(database)

    await repository.end_damaged(EXECUTION, "The checksum is wrong.", last_seq=1, now=NOW)

    page = await repository.list(ExecutionQuery(sort="started_at"))
    assert [(one.id, one.status, one.last_seq, one.damage) for one in page.items] == [
        ("execution-1", "failed", 1, "The checksum is wrong."),
        ("execution-2", "running", None, None),
    ]
    assert [one.summary.id for one in await repository.unfinished()] == ["execution-2"]
