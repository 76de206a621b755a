"""Graphs and their versions."""

from datetime import timedelta

import pytest

from app.storage.database import Database
from app.storage.errors import RevisionConflict
from app.storage.repositories.graphs import GraphRepository, NewVersion, Put
from app.storage.store import SqlExecutionStore
from graphwire.errors import GraphInUse, InvalidCursor
from graphwire.types import GraphId
from tests.storage.samples import NOW, RecordingOutbox, make_batch, make_end, start_batch

ORDERS = GraphId("orders")


@pytest.fixture
def graphs(database: Database) -> GraphRepository:
    return GraphRepository(database)


def definition(digest: str = "a", *, id: str = ORDERS, code: str | None = None, source: str = "api") -> NewVersion:
    return NewVersion(GraphId(id), b'{"digest":"%s"}' % digest.encode(), digest, source, code, name=f"Graph {id}")


async def test_a_stored_graph_is_read_back(graphs: GraphRepository) -> None:
    put = await graphs.put(definition(), now=NOW)

    stored = await graphs.get(ORDERS)

    assert put == Put(1, is_new=True, is_changed=True)
    assert stored is not None
    assert (stored.definition, stored.info.version, stored.info.name) == (b'{"digest":"a"}', 1, "Graph orders")
    assert (stored.info.source, stored.info.created_at) == ("api", NOW)


async def test_the_same_definition_makes_no_version(graphs: GraphRepository) -> None:
    await graphs.put(definition(code="1"), now=NOW)

    assert await graphs.put(definition(code="1"), now=NOW) == Put(1, is_new=False, is_changed=False)


async def test_another_definition_or_other_code_makes_a_version_and_the_old_ones_stay(graphs: GraphRepository) -> None:
    await graphs.put(definition("a", code="1"), now=NOW)
    await graphs.put(definition("a", code="2"), now=NOW)
    await graphs.put(definition("b", code="2"), now=NOW + timedelta(seconds=1))

    page = await graphs.versions(ORDERS)
    assert [(one.version, one.digest, one.code_digest) for one in page.items] == [
        (3, "b", "2"),
        (2, "a", "2"),
        (1, "a", "1"),
    ]
    first = await graphs.get_version(ORDERS, 1)
    assert first is not None
    assert first.definition == b'{"digest":"a"}'
    assert await graphs.get_version(ORDERS, 4) is None


@pytest.mark.bad_input(35)
async def test_a_change_of_what_changed_meanwhile_is_refused(graphs: GraphRepository) -> None:
    await graphs.put(definition("a"), now=NOW, expected={0})
    await graphs.put(definition("b"), now=NOW, expected={1})

    with pytest.raises(RevisionConflict) as caught:
        await graphs.put(definition("c"), now=NOW, expected={1})
    with pytest.raises(RevisionConflict):
        await graphs.delete(ORDERS, now=NOW, expected={1})
    with pytest.raises(RevisionConflict):
        await graphs.put(definition("c"), now=NOW, expected={0})

    assert caught.value.facts == {"current": 2}
    stored = await graphs.get(ORDERS)
    assert stored is not None
    assert stored.info.digest == "b"


async def test_a_deleted_graph_is_gone_but_its_versions_stay_and_their_numbers_are_not_used_again(
    graphs: GraphRepository,
) -> None:
    await graphs.put(definition("a"), now=NOW)

    assert await graphs.delete(ORDERS, now=NOW)

    assert await graphs.get(ORDERS) is None
    assert (await graphs.list()).items == []
    assert (await graphs.versions(ORDERS)).items == []
    assert await graphs.get_version(ORDERS, 1) is not None
    assert not await graphs.delete(ORDERS, now=NOW)
    assert await graphs.put(definition("a"), now=NOW, expected={0}) == Put(2, is_new=True, is_changed=True)


async def test_a_graph_is_not_deleted_while_it_is_executed(graphs: GraphRepository, store: SqlExecutionStore) -> None:
    await graphs.put(definition(), now=NOW)
    outbox = RecordingOutbox(start_batch())
    store.submit(outbox)
    await outbox.wait_stored(1)

    with pytest.raises(GraphInUse):
        await graphs.delete(ORDERS, now=NOW)

    outbox.add(make_batch([2], end=make_end(2)))
    store.submit(outbox)
    await outbox.wait_stored(2)
    assert await graphs.delete(ORDERS, now=NOW)


async def test_graphs_are_listed_in_pages(graphs: GraphRepository) -> None:
    for id in ("c", "a", "b"):
        await graphs.put(definition("a", id=id), now=NOW)
        await graphs.put(definition("b", id=id), now=NOW)

    first = await graphs.list(limit=2)
    second = await graphs.list(limit=2, after=first.next)

    assert [(one.graph_id, one.version) for one in [*first.items, *second.items]] == [("a", 2), ("b", 2), ("c", 2)]
    assert second.next is None
    older = await graphs.versions(GraphId("a"), limit=1)
    assert [one.version for one in (await graphs.versions(GraphId("a"), limit=1, after=older.next)).items] == [1]


@pytest.mark.parametrize("after", ["", "x", "é", "WzFd", "W10=", "////"])
async def test_a_cursor_that_is_none_is_refused(graphs: GraphRepository, after: str) -> None:
    with pytest.raises(InvalidCursor):
        await graphs.list(after=after)
