"""Copies of a database that is in use."""

import asyncio
import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from app.storage.backup import back_up
from app.storage.opening import open_database
from app.storage.repositories.executions import ExecutionQuery, ExecutionRepository
from app.storage.store import SqlExecutionStore
from graphwire.errors import StorageUnavailable
from tests.storage.samples import make_batch, make_end, make_record
from tests.storage.single_batch import store_batch


@pytest.mark.bad_input(142)
async def test_a_copy_is_whole_and_sound_while_a_server_writes_and_the_server_goes_on(
    database_file: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.db"
    loop = asyncio.get_running_loop()
    may_go_on = threading.Event()
    begun = asyncio.Event()
    steps: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        steps.append((done, total))
        loop.call_soon_threadsafe(begun.set)
        assert may_go_on.wait(30)

    async with open_database(f"sqlite:///{database_file}") as database, SqlExecutionStore(database) as store:
        await write(store, "before", padding=4_000)
        copying = asyncio.create_task(asyncio.to_thread(back_up, database_file, copy, progress=progress))
        await begun.wait()
        for number in range(5):
            await write(store, f"meanwhile-{number}", padding=4_000)  # in the middle of the copy
        may_go_on.set()
        await copying
        await write(store, "after")
        assert len((await ExecutionRepository(database).list(ExecutionQuery())).items) == 7

    assert len(steps) > 1
    assert steps[-1][0] == steps[-1][1]
    assert [name for name in os.listdir(tmp_path) if name.startswith("copy")] == ["copy.db"]
    assert os.stat(copy).st_mode & 0o077 == 0
    with closing(sqlite3.connect(copy)) as file:
        assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    async with open_database(f"sqlite:///{copy}") as database, SqlExecutionStore(database) as store:
        items = (await ExecutionRepository(database).list(ExecutionQuery())).items
        assert [one.id for one in items] == ["before"]  # as of one moment
        await write(store, "in the copy")


async def write(store: SqlExecutionStore, id: str, *, padding: int = 0) -> None:
    events = 1_100 if padding else 1
    await store_batch(store, make_batch([1], id=id, start=make_record(id)))
    end = make_end(events + 1)
    await store_batch(store, make_batch(range(2, events + 2), id=id, padding=padding, end=end))


def test_a_backup_replaces_nothing(database_file: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    copy.write_text("precious")

    with pytest.raises(StorageUnavailable, match="replaces nothing"):
        back_up(database_file, copy)

    assert copy.read_text() == "precious"
    assert not copy.with_name("copy.db.part").exists()


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable, match="no database"):
        back_up(tmp_path / "missing.db", tmp_path / "copy.db")

    assert list(tmp_path.iterdir()) == []


def test_a_damaged_copy_is_not_kept(database_file: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(database_file)) as file:
        file.execute("CREATE TABLE victim (x)")
        file.executemany("INSERT INTO victim VALUES (?)", [("x" * 1_000,) for _ in range(100)])
        page = file.execute("SELECT rootpage FROM sqlite_master WHERE name = 'victim'").fetchone()[0]
        file.commit()
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with database_file.open("r+b") as raw:
        raw.seek((page - 1) * 4_096)
        raw.write(b"\xff" * 4_096)

    with pytest.raises(StorageUnavailable, match="damaged"):
        back_up(database_file, tmp_path / "copy.db")

    assert not list(tmp_path.glob("copy*"))
