"""What every ``ExecutionStore`` promises."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from app.storage.opening import open_database
from app.storage.store import SqlExecutionStore
from graphwire.engine.memory import MemoryStore
from graphwire.engine.ports import Batch, Deltas, ExecutionStore
from graphwire.events.hub import Published
from graphwire.types import ExecutionId
from tests.databases import DATABASES, postgresql_schema
from tests.storage.samples import (
    DAY,
    EXECUTION,
    RecordingOutbox,
    make_batch,
    make_claim,
    make_end,
    make_event,
    make_record,
    start_batch,
)

pytestmark = pytest.mark.capability("CKP-13")

FAR = 2**62


@pytest.fixture(params=["memory", "memory-deferred", *DATABASES])
async def store(request: pytest.FixtureRequest, database_file: Path) -> AsyncIterator[ExecutionStore]:
    async with AsyncExitStack() as stack:
        match request.param:
            case "memory":
                yield MemoryStore()
            case "memory-deferred":
                yield MemoryStore(defer=asyncio.get_running_loop().call_soon)
            case "sqlite":
                database = await stack.enter_async_context(open_database(f"sqlite:///{database_file}"))
                yield await stack.enter_async_context(SqlExecutionStore(database))
            case _:
                url = await stack.enter_async_context(postgresql_schema())
                database = await stack.enter_async_context(open_database(url))
                yield await stack.enter_async_context(SqlExecutionStore(database))


async def keep(store: ExecutionStore, *batches: Batch) -> RecordingOutbox:
    outbox = RecordingOutbox(*batches)
    store.submit(outbox)
    await outbox.wait_stored(len(batches))
    return outbox


async def all_deltas(store: ExecutionStore) -> list[bytes]:
    deltas: list[bytes] = []
    page = await store.read_deltas(EXECUTION)
    while page.items:
        deltas += page.items
        page = await store.read_deltas(EXECUTION, after=page.upto)
    return deltas


async def read(
    store: ExecutionStore, *, after: int = 0, upto: int = FAR, limit: int = 1_000, max_bytes: int = 1_000_000
) -> list[int]:
    events = await store.read_events(EXECUTION, after=after, upto=upto, limit=limit, max_bytes=max_bytes)
    return [event.seq for event in events]


async def test_events_are_read_as_they_were_written(store: ExecutionStore) -> None:
    await keep(store, start_batch(), make_batch([2, 3]))

    events = await store.read_events(EXECUTION, after=0, upto=FAR, limit=10, max_bytes=10_000)

    assert [(event.seq, event.type, event.node_id, event.line) for event in events] == [
        (seq, "node_started", "price", make_event(seq).line) for seq in (1, 2, 3)
    ]


async def test_a_page_holds_what_is_after_the_cursor_and_not_beyond_the_end(store: ExecutionStore) -> None:
    await keep(store, start_batch(), make_batch([2, 3, 4]), make_batch([5, 6]))

    assert await read(store, after=2, upto=5) == [3, 4, 5]
    assert await read(store, after=6) == []
    assert await read(store, after=3, upto=3) == []


async def test_a_page_stops_at_its_limit(store: ExecutionStore) -> None:
    await keep(store, start_batch(), make_batch([2, 3, 4]))

    assert await read(store, limit=2) == [1, 2]


async def test_a_page_stops_at_its_bytes_but_never_before_the_first_event(store: ExecutionStore) -> None:
    await keep(store, start_batch(), make_batch([2, 3], padding=500))

    assert await read(store, after=1, max_bytes=700) == [2]
    assert await read(store, after=1, max_bytes=1) == [2]


async def test_a_jump_in_the_numbers_is_read_across(store: ExecutionStore) -> None:
    await keep(store, start_batch(), make_batch([2]), make_batch([65_539, 65_540]))

    assert await read(store, after=1) == [2, 65_539, 65_540]
    assert await read(store, after=40_000) == [65_539, 65_540]


async def test_a_jump_within_a_batch_is_read_across(store: ExecutionStore) -> None:
    await keep(store, start_batch(), make_batch([2, 3, 70_000, 70_001]))

    assert await read(store, after=3) == [70_000, 70_001]
    assert await read(store, after=2, upto=70_000) == [3, 70_000]


async def test_one_event_is_read_whole(store: ExecutionStore) -> None:
    large = make_event(2, whole=b'{"seq":2,"all":"of it"}')
    await keep(store, start_batch(), Batch(EXECUTION, None, [large, make_event(3)], [], None, 100))

    assert await store.read_event(EXECUTION, 2) == b'{"seq":2,"all":"of it"}'
    assert await store.read_event(EXECUTION, 3) == make_event(3).line
    assert await store.read_event(EXECUTION, 4) is None


async def test_deltas_are_read_in_the_order_of_their_commits(store: ExecutionStore) -> None:
    await keep(store, start_batch(), make_batch([2], deltas=[b'{"n":1}', b'{"n":2}']), make_batch([3], deltas=[b"{}"]))

    assert await all_deltas(store) == [b'{"n":1}', b'{"n":2}', b"{}"]


async def test_more_deltas_than_are_read_at_once_are_read_from_place_to_place(store: ExecutionStore) -> None:
    deltas = [b'{"n":%d}' % number for number in range(100)]
    batches = [make_batch([number + 2], deltas=[delta]) for number, delta in enumerate(deltas)]
    await keep(store, start_batch(), *batches)

    assert await all_deltas(store) == deltas


async def test_deltas_that_are_stored_later_are_found_behind_the_last_place(store: ExecutionStore) -> None:
    await keep(store, start_batch(), make_batch([2], deltas=[b'{"n":1}']))
    first = await store.read_deltas(EXECUTION)

    assert (await store.read_deltas(EXECUTION, after=first.upto)) == Deltas([], first.upto)
    await keep(store, make_batch([3]), make_batch([4], deltas=[b'{"n":2}']))

    assert (await store.read_deltas(EXECUTION, after=first.upto)).items == [b'{"n":2}']


async def test_an_unknown_execution_has_no_history(store: ExecutionStore) -> None:
    unknown = ExecutionId("unknown")

    assert await store.read_events(unknown, after=0, upto=FAR, limit=10, max_bytes=100) == []
    assert await store.read_event(unknown, 1) is None
    assert (await store.read_deltas(unknown)).items == []


async def test_batches_are_stored_in_order_and_told_once_each(store: ExecutionStore) -> None:
    batches = [start_batch(), *(make_batch([seq]) for seq in range(2, 30))]

    outbox = await keep(store, *batches)

    assert outbox.stored_batches == batches
    assert outbox.refusals == []


async def test_an_outbox_is_served_again_after_it_was_drained(store: ExecutionStore) -> None:
    outbox = await keep(store, start_batch())

    outbox.add(make_batch([2]))
    store.submit(outbox)
    store.submit(outbox)
    await outbox.wait_stored(2)

    assert await read(store) == [1, 2]


async def test_many_executions_are_stored_side_by_side(store: ExecutionStore) -> None:
    ids = [f"execution-{number}" for number in range(50)]
    outboxes = [RecordingOutbox(start_batch(id), make_batch([2, 3], id=id)) for id in ids]

    for outbox in outboxes:
        store.submit(outbox)
    for outbox in outboxes:
        await outbox.wait_stored(2)

    for id in ids:
        page: list[Published] = await store.read_events(ExecutionId(id), after=0, upto=FAR, limit=10, max_bytes=10_000)
        assert [event.seq for event in page] == [1, 2, 3]


async def test_a_start_and_its_end_may_come_in_one_batch(store: ExecutionStore) -> None:
    await keep(store, make_batch([1, 2, 3], start=make_record(), end=make_end(3)))

    assert await read(store) == [1, 2, 3]
    assert store.unavailable is None


async def test_a_start_whose_key_is_taken_is_refused_and_nothing_of_it_is_kept(store: ExecutionStore) -> None:
    await keep(store, start_batch(claim=make_claim()))
    second, third = (RecordingOutbox(start_batch(id, claim=make_claim(later_s=1))) for id in ("second", "third"))
    other = RecordingOutbox(start_batch("other", claim=make_claim("key-2")))

    for outbox in (second, other, third):
        store.submit(outbox)
    await second.wait_refused()
    await third.wait_refused()
    await other.wait_stored(1)

    for id in ("second", "third"):
        assert await store.read_event(ExecutionId(id), 1) is None
    assert await store.read_event(ExecutionId("other"), 1) == make_event(1).line
    assert store.unavailable is None


async def test_one_of_the_starts_that_come_with_one_key_is_stored(store: ExecutionStore) -> None:
    ids = [f"execution-{number}" for number in range(10)]
    outboxes = [RecordingOutbox(start_batch(id, claim=make_claim())) for id in ids]

    for outbox in outboxes:
        store.submit(outbox)
    for outbox in outboxes:
        await outbox.wait_told()

    assert sum(len(outbox.stored_batches) for outbox in outboxes) == 1
    assert len([id for id in ids if await store.read_event(ExecutionId(id), 1) is not None]) == 1


async def test_a_key_is_free_again_when_its_claim_is_over(store: ExecutionStore) -> None:
    await keep(store, start_batch(claim=make_claim()))

    late = RecordingOutbox(start_batch("late", claim=make_claim(later_s=DAY.total_seconds())))
    store.submit(late)
    await late.wait_stored(1)
    again = RecordingOutbox(start_batch("again", claim=make_claim(later_s=DAY.total_seconds() + 1)))
    store.submit(again)
    await again.wait_refused()

    assert await store.read_event(ExecutionId("late"), 1) == make_event(1).line


async def test_a_batch_that_starts_nothing_is_stored_though_its_key_is_taken(store: ExecutionStore) -> None:
    await keep(store, start_batch(claim=make_claim()))

    outbox = RecordingOutbox(make_batch([2, 3], claims=[(2, make_claim(later_s=1)), (3, make_claim("key-2"))]))
    store.submit(outbox)
    await outbox.wait_stored(1)
    refused = RecordingOutbox(start_batch("second", claim=make_claim("key-2", later_s=1)))
    store.submit(refused)
    await refused.wait_refused()

    assert await read(store) == [1, 2, 3]
