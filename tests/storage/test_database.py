"""Opening a database: whose it is, what is in it, and what to do where it cannot be used."""

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from app.storage.opening import open_database
from app.storage.sqlite_database import SqliteDatabase
from graphwire.errors import StorageUnavailable
from tests.waiting import at_first_wait

PROJECT = Path(__file__).resolve().parents[2]


async def refusal(url: str) -> str:
    with pytest.raises(StorageUnavailable) as caught:
        async with open_database(url):
            pass
    return caught.value.detail


async def test_a_new_file_gets_its_folder_and_its_tables(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "graphwire.db"

    async with open_database(f"sqlite:///{path}") as database, database.read() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM executions"))).scalar_one() == 0

    assert path.is_file()


async def test_a_database_is_opened_again_with_what_was_in_it(database_file: Path) -> None:
    async with open_database(f"sqlite:///{database_file}") as database, database.write() as connection:
        await connection.execute(text("INSERT INTO graphs VALUES ('orders', 'api', 1, 0, 0, NULL, 'orders')"))

    async with open_database(f"sqlite:///{database_file}") as database, database.read() as connection:
        assert (await connection.execute(text("SELECT id FROM graphs"))).scalar_one() == "orders"


async def test_every_connection_forces_its_commits_to_disk(sqlite_database: SqliteDatabase) -> None:
    plain = sqlite_database.connect()
    async with sqlite_database.read() as connection:
        modes = [
            (await connection.execute(text(f"PRAGMA {name}"))).scalar_one()
            for name in ("synchronous", "journal_mode", "foreign_keys")
        ]

    assert modes == [2, "wal", 1]
    assert [plain.execute(f"PRAGMA {name}").fetchone()[0] for name in ("synchronous", "foreign_keys")] == [2, 1]
    plain.close()


@pytest.mark.bad_input(137, 138)
async def test_a_second_server_is_refused_and_told_who_is_first(database_file: Path) -> None:
    other_name = database_file.with_name("link.db")
    other_name.symlink_to(database_file)
    server = (
        "import asyncio, sys\n"
        "from app.storage.opening import open_database\n"
        "async def main():\n"
        "    async with open_database(sys.argv[1]):\n"
        "        print('open', flush=True)\n"
        "        sys.stdin.read()\n"
        "asyncio.run(main())\n"
    )
    first = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        server,
        f"sqlite:///{database_file}",
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert first.stdout is not None
    assert await first.stdout.readline() == b"open\n"

    refusals = [await refusal(f"sqlite:///{database_file}"), await refusal(f"sqlite:///{other_name}")]

    first.kill()
    await first.wait()
    assert all(f"in use by process {first.pid} on " in one for one in refusals)
    async with open_database(f"sqlite:///{database_file}"):
        pass  # the lock went with its process


@pytest.mark.bad_input(134)
async def test_a_newer_schema_is_refused(database_file: Path) -> None:
    with sqlite3.connect(database_file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()

    assert "written by a newer version (schema 9999)" in await refusal(f"sqlite:///{database_file}")


@pytest.mark.bad_input(134)
async def test_a_database_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE photos (id INTEGER)")
    connection.close()

    assert "database of something else" in await refusal(f"sqlite:///{path}")
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("photos",)]
    connection.close()


@pytest.mark.bad_input(134)
async def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "half.db"
    made = (PROJECT / "alembic" / "env.py").read_text()
    scripts = tmp_path / "scripts"
    (scripts / "versions").mkdir(parents=True)
    (scripts / "env.py").write_text(made)
    (scripts / "versions" / "0001_breaks.py").write_text(
        "from alembic import op\n"
        "revision, down_revision = '0001', None\n"
        "def upgrade():\n"
        "    op.execute('CREATE TABLE first (id INTEGER)')\n"
        "    op.execute('INSERT INTO missing VALUES (1)')\n"
    )
    monkeypatch.setattr("app.storage.migration.scripts", lambda: scripts)

    assert "migration" in await refusal(f"sqlite:///{path}")

    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
    connection.close()


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("These are notes. " * 100)

    assert "not a database" in await refusal(f"sqlite:///{path}")


@pytest.mark.parametrize("url", ["", "sqlite://", "sqlite:///:memory:", "mysql://root:secret@localhost/x", "no url"])
async def test_another_kind_of_url_is_refused_without_showing_it(url: str) -> None:
    assert await refusal(url) == (
        "The database URL is neither of the form sqlite:///path/to/file.db"
        " nor postgresql://user:password@host:port/database."
    )


async def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    assert "cannot be made" in await refusal(f"sqlite:///{tmp_path}/file/graphwire.db")


@pytest.mark.bad_input(131)
async def test_a_write_that_finds_the_database_locked_is_unavailable(sqlite_database: SqliteDatabase) -> None:
    other = sqlite_database.connect()
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(StorageUnavailable, match="another program holds a lock"):
        async with sqlite_database.write():
            pass

    other.close()


@pytest.mark.bad_input(131)
async def test_writes_that_wait_for_a_locked_database_are_refused_together_and_hold_up_no_read(
    sqlite_database: SqliteDatabase,
) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def write() -> None:
        async with sqlite_database.write():
            pass

    other = sqlite_database.connect()
    other.execute("BEGIN EXCLUSIVE")
    writing = [await at_first_wait(write()) for _ in range(50)]
    async with sqlite_database.read() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM graphs"))).scalar_one() == 0
    assert not any(one.done() for one in writing)
    refusals = await asyncio.gather(*writing, return_exceptions=True)
    other.execute("ROLLBACK")
    other.close()

    assert all(isinstance(one, StorageUnavailable) for one in refusals)
    assert loop.time() - began < 12  # one after the other they would be refused after 25
    await write()


async def test_more_readers_than_there_are_connections_are_refused(
    sqlite_database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.storage.sqlite_database.READERS", 1)
    monkeypatch.setattr("app.storage.sqlite_database.READ_WAIT_S", 0.01)
    path = sqlite_database.path.with_name("other.db")
    async with open_database(f"sqlite:///{path}") as other, other.read():
        with pytest.raises(StorageUnavailable, match="too many readers"):
            async with other.read():
                pass


def test_alembic_is_not_loaded_where_there_is_nothing_to_migrate(database_file: Path) -> None:
    program = (
        "import asyncio, sys\n"
        "from app.storage.opening import open_database\n"
        "async def main():\n"
        "    async with open_database(sys.argv[1]):\n"
        "        pass\n"
        "asyncio.run(main())\n"
        "print([name for name in sys.modules if name.split('.')[0] == 'alembic'])\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, f"sqlite:///{database_file}"],
        cwd=PROJECT,
        capture_output=True,
        check=True,
        text=True,
    )

    assert done.stdout == "[]\n"


def test_without_its_driver_postgresql_is_refused_with_what_to_install() -> None:
    program = (
        "import sys\n"
        "sys.modules['asyncpg'] = None\n"
        "from app.storage.opening import open_database\n"
        "from graphwire.errors import StorageUnavailable\n"
        "try:\n"
        "    open_database('postgresql://user:secret@host/db')\n"
        "except StorageUnavailable as error:\n"
        "    print(error.detail)\n"
    )

    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, check=True, text=True)

    assert "pip install 'graphwire[postgresql]'" in done.stdout
    assert "secret" not in done.stdout


async def test_the_driver_of_postgresql_is_loaded_only_for_it() -> None:
    program = "import sys, app.main\nprint('asyncpg' in sys.modules)\n"

    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, check=True, text=True
    )

    assert done.stdout == "False\n"
