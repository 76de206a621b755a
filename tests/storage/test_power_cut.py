"""A power cut takes what was not forced to disk. Every commit is (PRAGMA synchronous, ``test_database``).

So the disk holds what the files were when a batch was told to be stored; of what was written after that anything may
be there: nothing, a part, or bytes that were never written.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from app.storage.opening import open_database
from app.storage.store import SqlExecutionStore
from graphwire.types import ExecutionId
from tests.storage.samples import make_batch, start_batch
from tests.storage.single_batch import store_batch

BATCHES = 30
EXECUTION = "execution-1"


@dataclass(frozen=True)
class Disk:
    """The files at the moment when an event was told to be stored."""

    told: int
    main: bytes
    log: bytes

    @classmethod
    def of(cls, path: Path, told: int) -> "Disk":
        return cls(told, path.read_bytes(), path.with_name(f"{path.name}-wal").read_bytes())


def tails(before: Disk, after: Disk) -> Iterator[bytes]:
    """Give what may be on the disk behind what was forced to it."""
    if not after.log.startswith(before.log):
        return  # the log was begun anew
    written = after.log[len(before.log) :]
    yield b""
    yield written[: len(written) // 2]
    yield written[:-1]
    yield bytes(len(written))
    yield written[: len(written) // 3] + bytes(len(written) - len(written) // 3)
    yield written


@pytest.mark.bad_input(130)
async def test_after_a_power_cut_all_that_was_told_is_there_and_the_file_is_sound(
    database_file: Path, tmp_path: Path
) -> None:
    disks: list[Disk] = []
    async with open_database(f"sqlite:///{database_file}") as database, SqlExecutionStore(database) as store:
        for seq in range(1, BATCHES + 1):
            batch = start_batch(EXECUTION) if seq == 1 else make_batch([seq], id=EXECUTION, padding=2_000)
            await store_batch(store, batch)
            disks.append(Disk.of(database_file, seq))

    cuts = 0
    for before, after in pairwise(disks):
        for tail in tails(before, after):
            cuts += 1
            path = tmp_path / f"cut-{cuts}.db"
            path.write_bytes(before.main)
            path.with_name(f"{path.name}-wal").write_bytes(before.log + tail)
            with sqlite3.connect(path) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                stored = connection.execute("SELECT last_seq FROM event_chunks ORDER BY last_seq").fetchall()
            connection.close()
            assert [last for (last,) in stored] in (list(range(1, before.told + 1)), list(range(1, after.told + 1)))
    assert cuts >= BATCHES

    async with open_database(f"sqlite:///{path}") as database, SqlExecutionStore(database) as store:
        events = await store.read_events(ExecutionId(EXECUTION), after=0, upto=BATCHES, limit=100, max_bytes=2**20)
    assert [event.seq for event in events] == list(range(1, BATCHES + 1))
