"""What the writer does when its database does not. The database is real; the writer's connection is brought to fail."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from app.storage.sqlite import connect
from app.storage.writer import Writer
from app.storage.writer_thread import WriterThread
from tests.storage.samples import RecordingOutbox, make_batch, make_end, start_batch


@dataclass
class World:
    """A writer, its own connection within reach, and a second one that looks on."""

    path: Path
    connections: list[sqlite3.Connection] = field(default_factory=list)

    def open(self) -> sqlite3.Connection:
        self.connections.append(connect(self.path, busy_timeout_s=0.01))
        return self.connections[-1]

    @contextmanager
    def broken(self, fault: str) -> Iterator[None]:
        """Have a fault for as long as the block lasts."""
        mine = self.connections[0]
        match fault:
            case "locked":
                other = connect(self.path)
                other.execute("BEGIN IMMEDIATE")
                yield
                other.close()
            case "full":
                mine.execute("PRAGMA max_page_count=1")  # the smallest that SQLite takes is the present size
                yield
                mine.execute("PRAGMA max_page_count=1000000000")
            case _:
                mine.execute("PRAGMA query_only=ON")
                yield
                mine.execute("PRAGMA query_only=OFF")

    def stored(self, id: str = "execution-1") -> list[tuple[int, int]]:
        other = connect(self.path)
        try:
            query = "SELECT first_seq, last_seq FROM event_chunks WHERE execution_id = ? ORDER BY first_seq"
            return other.execute(query, (id,)).fetchall()
        finally:
            other.close()


FAULTS = [
    pytest.param("locked", "another program holds a lock", id="locked", marks=pytest.mark.bad_input(131)),
    pytest.param("full", "there is no room left", id="full", marks=pytest.mark.bad_input(132)),
    pytest.param("read-only", "it is read-only", id="read-only", marks=pytest.mark.bad_input(132)),
]
LARGE = 200_000  # bytes: more than the free space of the last page


@pytest.fixture
def world(database_file: Path) -> World:
    return World(database_file)


@pytest.fixture
async def writer(world: World) -> AsyncIterator[Writer]:
    writer = Writer(WriterThread(world.open))
    await writer.start()
    yield writer
    await writer.stop(timeout_s=5)


async def begin(writer: Writer, id: str = "execution-1") -> RecordingOutbox:
    outbox = RecordingOutbox(start_batch(id))
    writer.submit(outbox)
    await outbox.wait_stored(1)
    return outbox


async def refuse(writer: Writer, id: str) -> RecordingOutbox:
    outbox = RecordingOutbox(make_batch([1], id=id, start=start_batch(id).start, padding=LARGE))
    writer.submit(outbox)
    await outbox.wait_refused()
    return outbox


@pytest.mark.parametrize(("fault", "reason"), FAULTS)
async def test_a_start_is_refused_with_the_reason(world: World, writer: Writer, fault: str, reason: str) -> None:
    with world.broken(fault):
        outbox = await refuse(writer, "execution-1")

        assert reason in outbox.refusals[0]
        assert writer.unavailable == outbox.refusals[0]

    assert outbox.stored_batches == []
    assert world.stored() == []


@pytest.mark.parametrize(("fault", "reason"), FAULTS)
async def test_a_running_execution_waits_and_goes_on_by_itself(
    world: World, writer: Writer, fault: str, reason: str
) -> None:
    outbox = await begin(writer)
    with world.broken(fault):
        outbox.add(make_batch([2, 3], padding=LARGE), make_batch([4]))
        writer.submit(outbox)
        await refuse(writer, "execution-2")

        assert len(outbox.stored_batches) == 1

    await outbox.wait_stored(3)
    assert outbox.refusals == []
    assert world.stored() == [(1, 1), (2, 2), (3, 3), (4, 4)]
    assert writer.unavailable is None


@pytest.mark.parametrize(("fault", "reason"), FAULTS)
async def test_while_nothing_can_be_stored_starts_are_refused_without_a_new_attempt(
    world: World, writer: Writer, fault: str, reason: str
) -> None:
    with world.broken(fault):
        await refuse(writer, "execution-1")

        for number in range(2, 20):
            assert reason in (await refuse(writer, f"execution-{number}")).refusals[0]


@pytest.mark.parametrize(("fault", "reason"), FAULTS)
async def test_starts_are_taken_again_although_nothing_waited(
    world: World, writer: Writer, fault: str, reason: str
) -> None:
    with world.broken(fault):
        await refuse(writer, "execution-1")

    outbox = RecordingOutbox()
    while not outbox.stored_batches:
        outbox = RecordingOutbox(start_batch("execution-2"))
        writer.submit(outbox)
        await outbox.wait_told()

    assert writer.unavailable is None


async def test_a_batch_that_can_never_be_stored_holds_up_only_its_own_execution(world: World, writer: Writer) -> None:
    healthy = await begin(writer, "healthy")
    broken = RecordingOutbox(make_batch([2], id="never-started"))
    doubled = RecordingOutbox(start_batch("healthy"))
    healthy.add(make_batch([2], id="healthy"))

    for outbox in (broken, doubled, healthy):
        writer.submit(outbox)
    await healthy.wait_stored(2)
    await doubled.wait_refused()

    assert broken.stored_batches == []
    assert writer.unavailable is None
    assert world.stored("healthy") == [(1, 1), (2, 2)]
    # It is tried again: once what it lacks is there, it goes through.
    await begin(writer, "never-started")
    await broken.wait_stored(1)


async def test_an_execution_that_ended_cannot_end_again(world: World, writer: Writer) -> None:
    outbox = await begin(writer)
    outbox.add(make_batch([2], end=make_end(2)))
    writer.submit(outbox)
    await outbox.wait_stored(2)
    again = RecordingOutbox(make_batch([3], start=start_batch("x").start, end=make_end(3)))

    writer.submit(again)
    await again.wait_refused()

    assert world.stored() == [(1, 1), (2, 2)]


async def test_an_outbox_that_raises_does_not_end_the_writer(writer: Writer) -> None:
    class Broken(RecordingOutbox):
        def take(self, max_bytes: int) -> None:
            raise RuntimeError("broken")

    writer.submit(Broken())

    assert len((await begin(writer)).stored_batches) == 1


async def test_stopping_stores_what_is_left(world: World) -> None:
    writer = Writer(WriterThread(world.open))
    await writer.start()
    outbox = RecordingOutbox(start_batch(), *(make_batch([seq]) for seq in range(2, 20)))

    writer.submit(outbox)
    await writer.stop()

    assert len(outbox.stored_batches) == 19
    assert len(world.stored()) == 19


@pytest.mark.bad_input(131)
async def test_stopping_gives_up_on_a_database_that_stays_locked(world: World) -> None:
    writer = Writer(WriterThread(world.open))
    await writer.start()
    outbox = await begin(writer)

    with world.broken("locked"):
        outbox.add(make_batch([2]))
        writer.submit(outbox)
        await refuse(writer, "execution-2")
        await writer.stop(timeout_s=0.05)

    assert world.stored() == [(1, 1)]


async def test_what_gathers_while_a_group_is_written_is_stored_in_one_transaction(world: World) -> None:
    writer = Writer(WriterThread(world.open))
    await writer.start()
    outboxes = [RecordingOutbox(start_batch(f"execution-{number}")) for number in range(30)]
    statements: list[str] = []
    world.connections[0].set_trace_callback(statements.append)

    for outbox in outboxes:
        writer.submit(outbox)
    for outbox in outboxes:
        await outbox.wait_stored(1)
    await writer.stop()

    assert [statement.split(" (")[0] for statement in statements] == [
        "BEGIN IMMEDIATE",
        "INSERT INTO executions",
        "INSERT INTO event_chunks",
        "INSERT INTO service_events",
        "COMMIT",
    ]
