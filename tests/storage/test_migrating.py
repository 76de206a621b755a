"""Processes that migrate one database: one at a time, wholly or not at all, and only where they may."""

import asyncio
import shutil
import sqlite3
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from app.storage.opening import open_database
from graphwire.errors import StorageUnavailable
from tests.databases import DATABASES, postgresql_schema
from tests.waiting import PATIENCE_S

PROJECT = Path(__file__).resolve().parents[2]

SERVER = """
import asyncio, sys
from pathlib import Path
from app.storage import migration
from app.storage.opening import open_database

url, scripts, *revisions = sys.argv[1:]
migration.scripts = lambda: Path(scripts)
migration.REVISIONS = tuple(revisions)

async def main():
    async with open_database(url):
        print("open", flush=True)
        sys.stdin.readline()

asyncio.run(main())
"""
NEXT = """
import sys
from alembic import op
revision, down_revision = "0002", "0001"

def upgrade():
    op.execute("CREATE TABLE added (id INTEGER)")
    op.execute("ALTER TABLE graphs ADD COLUMN colour TEXT")
    print("half done", flush=True)
    sys.stdin.readline()
    op.execute("CREATE TABLE added_last (id INTEGER)")
"""


@pytest_asyncio.fixture(params=DATABASES)
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    """The URL of a database with the schema 0001."""
    async with AsyncExitStack() as stack:
        given = f"sqlite:///{tmp_path}/graphwire.db"
        if request.param == "postgresql":
            given = await stack.enter_async_context(postgresql_schema())
        async with open_database(given):
            pass
        yield given


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """A version of the migrations that has a second one, which stops in its middle until it gets a line."""
    folder = tmp_path / "scripts"
    shutil.copytree(PROJECT / "alembic", folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "versions" / "0002_next.py").write_text(NEXT)
    return folder


@asynccontextmanager
async def server(url: str, scripts: Path) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVER, url, str(scripts), "0001", "0002", stdin=PIPE, stdout=PIPE, stderr=PIPE,
        cwd=PROJECT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(PATIENCE_S):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def said(process: Process) -> bytes:
    assert process.stdout is not None
    return await process.stdout.readline()


async def tables(url: str) -> set[str]:
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as file:
            return {name for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection = await asyncpg.connect(url)
    try:
        query = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
        return {row["tablename"] for row in await connection.fetch(query)}
    finally:
        await connection.close()


@pytest.mark.bad_input(134)
async def test_of_two_servers_that_would_migrate_one_does_and_the_other_is_told_who(url: str, scripts: Path) -> None:
    async with server(url, scripts) as first, server(url, scripts) as second:
        ready = {asyncio.ensure_future(said(process)): process for process in (first, second)}
        done, _ = await asyncio.wait(ready, return_when=asyncio.ALL_COMPLETED)
        answers = {ready[one]: one.result() for one in done}
        migrating, refused = (first, second) if answers[first] else (second, first)
        assert (answers[migrating], answers[refused]) == (b"half done\n", b"")
        assert refused.stderr is not None
        assert f"in use by process {migrating.pid} on ".encode() in await refused.stderr.read()
        assert migrating.stdin is not None
        migrating.stdin.write(b"\n")
        assert await said(migrating) == b"open\n"

    assert await tables(url) >= {"added", "added_last", "graphs"}


@pytest.mark.bad_input(134)
async def test_a_migration_that_is_killed_in_its_middle_never_happened_and_is_made_by_the_next(
    url: str, scripts: Path
) -> None:
    async with server(url, scripts) as killed:
        assert await said(killed) == b"half done\n"
        killed.kill()
        await killed.wait()

    assert not await tables(url) & {"added", "added_last"}
    async with open_database(url):
        pass  # the version before still serves
    async with server(url, scripts) as following:
        assert await said(following) == b"half done\n"
        assert following.stdin is not None
        following.stdin.write(b"\n")
        assert await said(following) == b"open\n"
    assert await tables(url) >= {"added", "added_last"}


@pytest.mark.bad_input(134)
async def test_what_a_newer_version_has_migrated_is_refused_with_what_to_do_and_left_alone(
    url: str, scripts: Path
) -> None:
    async with server(url, scripts) as newer:
        await said(newer)
        assert newer.stdin is not None
        newer.stdin.write(b"\n")
        assert await said(newer) == b"open\n"
    before = await tables(url)

    with pytest.raises(StorageUnavailable, match=r"newer version \(schema 0002\).*Install the newer version"):
        async with open_database(url):
            pass

    assert await tables(url) == before


@pytest.mark.bad_input(134)
async def test_a_start_that_may_not_migrate_says_what_does(
    url: str, scripts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_database(url, migrates=False):
        pass  # it is up to date
    monkeypatch.setattr("app.storage.migration.REVISIONS", ("0001", "0002"))
    monkeypatch.setattr("app.storage.migration.scripts", lambda: scripts)

    with pytest.raises(StorageUnavailable, match=r"schema 0001, and .* needs 0002.*`graphwire database upgrade`"):
        async with open_database(url, migrates=False):
            pass

    assert "added" not in await tables(url)
