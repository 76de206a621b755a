"""A process that writes is killed at any moment: what was told to be stored is there, and the file is sound."""

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from app.storage.opening import open_database
from app.storage.repositories.executions import ExecutionRepository
from app.storage.store import SqlExecutionStore
from graphwire.types import ExecutionId
from tests.databases import DATABASES, postgresql_schema
from tests.storage.samples import make_batch, make_end
from tests.storage.single_batch import store_batch
from tests.waiting import PATIENCE_S

PROJECT = Path(__file__).resolve().parents[2]
KILLS = 4
EVENTS_A_BATCH = 20

CHILD = """
import asyncio, sys
from app.storage.opening import open_database
from app.storage.store import SqlExecutionStore
from tests.storage.samples import make_batch, make_record

class Endless:
    def __init__(self, id):
        self.id, self.seq = id, 0

    def take(self, max_bytes):
        first, self.seq = self.seq + 1, self.seq + 20
        start = make_record(self.id) if first == 1 else None
        return make_batch(range(first, first + 20), id=self.id, start=start, deltas=[b"%d" % first], padding=300)

    def stored(self, batch):
        print(self.id, batch.events[-1].seq, flush=True)

    def refused(self, batch, reason):
        raise SystemExit(reason)

async def main():
    async with open_database(sys.argv[1]) as database, SqlExecutionStore(database) as store:
        for number in range(3):
            store.submit(Endless(f"{sys.argv[2]}-{number}"))
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture(params=DATABASES)
async def url(request: pytest.FixtureRequest, database_file: Path) -> AsyncIterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{database_file}"
    else:
        async with postgresql_schema() as url:
            yield url


async def write_until_killed(url: str, name: str, told: int) -> dict[str, int]:
    """Return per execution the last event that the child said was stored."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, url, name, stdout=asyncio.subprocess.PIPE, cwd=PROJECT
    )
    assert child.stdout is not None
    async with asyncio.timeout(PATIENCE_S):
        lines = [await child.stdout.readline() for _ in range(told)]
        child.kill()
        lines += (await child.stdout.read()).splitlines(keepends=True)
        await child.wait()
    whole = [line.decode().split() for line in lines if line.endswith(b"\n")]
    return {id: int(seq) for id, seq in whole}


@pytest.mark.bad_input(128)
async def test_what_was_told_to_be_stored_survives_a_kill_and_executions_can_be_ended(url: str) -> None:
    told: dict[str, int] = {}

    for kill in range(KILLS):
        told |= await write_until_killed(url, f"run-{kill}", told=1 + 37 * kill)

    if url.startswith("sqlite"):
        assert_sound(make_url(url).database or "")
    async with open_database(url) as database, SqlExecutionStore(database) as store:
        unfinished = await ExecutionRepository(database).unfinished()
        assert {one.summary.id for one in unfinished} >= set(told)
        for one in unfinished:
            assert one.last_seq >= told.get(one.summary.id, 0)
            assert one.last_seq % EVENTS_A_BATCH == 0  # a batch is stored whole or not at all
            await assert_consecutive(store, one.summary.id, one.last_seq)
            jump = one.last_seq + 65_537
            await store_batch(store, make_batch([jump], id=one.summary.id, end=make_end(jump)))
        assert await ExecutionRepository(database).unfinished() == []


def assert_sound(file: str) -> None:
    with sqlite3.connect(file) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()


async def assert_consecutive(store: SqlExecutionStore, id: ExecutionId, last_seq: int) -> None:
    seqs: list[int] = []
    while page := await store.read_events(id, after=seqs[-1] if seqs else 0, upto=last_seq, limit=500, max_bytes=2**20):
        seqs += [event.seq for event in page]
    assert seqs == list(range(1, last_seq + 1))
    deltas, place = 0, 0
    while (found := await store.read_deltas(id, after=place)).items:
        deltas, place = deltas + len(found.items), found.upto
    assert deltas == last_seq // EVENTS_A_BATCH
