from datetime import timedelta

from app.storage.database import Database
from app.storage.repositories.graphs import GraphRepository, NewVersion
from app.storage.repositories.idempotency import IdempotencyRepository, KeptClaim, MadeEvent, MadeVersion
from app.storage.store import SqlExecutionStore
from graphwire.types import GraphId
from tests.storage.samples import DAY, EXECUTION, NOW, make_batch, make_claim, start_batch
from tests.storage.single_batch import store_batch

ORDERS = GraphId("orders")


def version(digest: str = "d1") -> NewVersion:
    return NewVersion(ORDERS, b"{}", digest, "api")


async def test_a_key_tells_which_event_it_led_to(database: Database, store: SqlExecutionStore) -> None:
    keys = IdempotencyRepository(database)
    await store_batch(store, start_batch(claim=make_claim("start")))
    await store_batch(store, make_batch([2, 3], claims=[(3, make_claim("cancel", fingerprint=b"\x00other"))]))

    assert await keys.get("start", now=NOW) == KeptClaim(b"asked", MadeEvent(EXECUTION, 1))
    assert await keys.get("cancel", now=NOW) == KeptClaim(b"\x00other", MadeEvent(EXECUTION, 3))
    assert await keys.get("unknown", now=NOW) is None


async def test_a_key_tells_which_version_of_a_graph_it_made(database: Database) -> None:
    keys, graphs = IdempotencyRepository(database), GraphRepository(database)

    await graphs.put(version(), now=NOW, claim=make_claim())

    assert await keys.get("key-1", now=NOW) == KeptClaim(b"asked", MadeVersion(ORDERS, 1))


async def test_a_key_that_is_over_means_nothing_and_may_be_taken_by_anything(
    database: Database, store: SqlExecutionStore
) -> None:
    keys, graphs = IdempotencyRepository(database), GraphRepository(database)
    day = DAY.total_seconds()

    await graphs.put(version(), now=NOW, claim=make_claim())
    assert await keys.get("key-1", now=NOW + DAY) is None
    await store_batch(store, start_batch(claim=make_claim(later_s=day)))
    assert await keys.get("key-1", now=NOW + DAY) == KeptClaim(b"asked", MadeEvent(EXECUTION, 1))
    await graphs.put(version("d2"), now=NOW, claim=make_claim(later_s=2 * day))

    assert await keys.get("key-1", now=NOW + 2 * DAY) == KeptClaim(b"asked", MadeVersion(ORDERS, 2))


async def test_keys_that_are_over_are_forgotten_oldest_first_a_few_at_a_time(database: Database) -> None:
    keys, graphs = IdempotencyRepository(database), GraphRepository(database)
    for number in range(5):
        await graphs.put(version(f"d{number}"), now=NOW, claim=make_claim(f"key-{number}", later_s=number))
    before = NOW + DAY + timedelta(seconds=3)

    counts = [await keys.forget(before, 2), await keys.forget(before, 2), await keys.forget(before, 2)]

    assert counts == [2, 1, 0]
    assert [number for number in range(5) if await keys.get(f"key-{number}", now=NOW) is not None] == [3, 4]
