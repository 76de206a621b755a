"""Groups of batches and changes of graphs on one SQLite file: neither finds the other in its way."""

import asyncio
import sqlite3
from concurrent.futures import Future
from pathlib import Path

from app.storage import sqlite
from app.storage.repositories.graphs import GraphRepository, NewVersion
from app.storage.sqlite_database import SqliteDatabase
from app.storage.store import SqlExecutionStore
from app.storage.write_order import WriteOrder
from graphwire.types import GraphId
from tests.storage.samples import NOW, RecordingOutbox, start_batch
from tests.waiting import PATIENCE_S, at_first_wait


class ImpatientDatabase(SqliteDatabase):
    """Its groups do not wait for a lock at all, so that whoever is in their way is found."""

    def connect(self) -> sqlite3.Connection:
        return sqlite.connect(self.path, busy_timeout_s=0)


async def test_changes_of_graphs_refuse_no_start(database_file: Path) -> None:
    async with ImpatientDatabase(database_file) as database, SqlExecutionStore(database) as store:
        graphs = GraphRepository(database)
        outboxes: list[RecordingOutbox] = []

        async def change(graph: str) -> None:
            for number in range(40):
                await graphs.put(NewVersion(GraphId(graph), b"{}", f"{number}", "api"), now=NOW)

        async def start(name: str) -> None:
            for number in range(40):
                outboxes.append(RecordingOutbox(start_batch(f"{name}-{number}")))
                store.submit(outboxes[-1])
                await outboxes[-1].wait_told()

        await asyncio.gather(change("g"), change("h"), start("a"), start("b"))

    assert len(outboxes) == 80
    assert [outbox.refusals for outbox in outboxes if outbox.refusals] == []


def test_turns_are_given_in_the_order_in_which_they_were_asked_for() -> None:
    order = WriteOrder()
    asked = [order.ask() for _ in range(3)]
    given = [[turn.done() for turn in asked]]
    for _ in asked:
        order.release()
        given.append([turn.done() for turn in asked])

    assert given == [[True, False, False], [True, True, False], [True, True, True], [True, True, True]]
    assert order.ask().done()


def test_who_waits_no_longer_is_passed_over() -> None:
    order = WriteOrder()
    order.ask()
    left, next_one = order.ask(), order.ask()

    order.give_up(left)
    order.release()

    assert next_one.done()


def test_who_is_given_a_turn_while_it_gives_up_passes_it_on() -> None:
    order = WriteOrder()
    mine: Future[None] = order.ask()
    other = order.ask()

    order.give_up(mine)

    assert other.done()


async def test_a_change_that_is_cancelled_while_it_waits_holds_nothing_up() -> None:
    order = WriteOrder()

    async def change() -> None:
        async with order.turn():
            pass

    async with order.turn():
        waiting = await at_first_wait(change())
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    async with asyncio.timeout(PATIENCE_S), order.turn():
        pass


def test_a_thread_goes_on_without_a_turn_that_does_not_come() -> None:
    order = WriteOrder()
    order.ask()

    with order.turn_of_thread(wait_s=0):
        pass
    order.release()

    assert order.ask().done()
