"""Opening a schema of PostgreSQL: whose it is, what is in it, and what to do where it cannot be used."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import text

from app.storage.opening import open_database
from app.storage.postgresql_database import PostgresqlDatabase
from app.storage.repositories.executions import ExecutionRepository
from app.storage.repositories.graphs import GraphRepository, NewVersion
from app.storage.store import SqlExecutionStore
from graphwire.errors import StorageUnavailable
from graphwire.types import ExecutionId, GraphId
from tests.databases import execute
from tests.storage.samples import NOW, make_batch, make_end, make_record
from tests.storage.single_batch import store_batch
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.needs("postgresql")

PROJECT = Path(__file__).resolve().parents[2]
SERVER = """
import asyncio, sys
from app.storage.opening import open_database
async def main():
    async with open_database(sys.argv[1]):
        print('open', flush=True)
        await asyncio.to_thread(sys.stdin.read)
asyncio.run(main())
"""


async def refusal(url: str) -> str:
    with pytest.raises(StorageUnavailable) as caught:
        async with open_database(url):
            pass
    return caught.value.detail


async def other_server(url: str) -> asyncio.subprocess.Process:
    """Start a server of this database in a process of its own."""
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVER, url, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert server.stdout is not None
    assert await server.stdout.readline() == b"open\n"
    return server


async def test_an_empty_schema_gets_its_tables_and_keeps_what_is_in_them(schema: str) -> None:
    async with open_database(schema) as database:
        await GraphRepository(database).put(NewVersion(GraphId("orders"), b"{}", "d", "api"), now=NOW)

    async with open_database(schema) as database:
        stored = await GraphRepository(database).get(GraphId("orders"))

    assert stored is not None
    assert stored.definition == b"{}"


@pytest.mark.bad_input(137)
async def test_a_second_server_is_refused_and_told_who_is_first(schema: str) -> None:
    first = await other_server(schema)

    said = await refusal(schema)

    first.kill()
    await first.wait()
    assert f"in use by process {first.pid} on " in said
    async with open_database(schema):
        pass  # the lock went with its process


async def test_servers_of_two_schemas_are_in_nobodys_way(schema: str, postgresql_url: str) -> None:
    other = schema.replace("search_path=", "search_path=other_")
    name = other.rpartition("=")[2]
    await execute(postgresql_url, f"CREATE SCHEMA {name}")
    try:
        async with open_database(schema), open_database(other):
            pass
    finally:
        await execute(postgresql_url, f"DROP SCHEMA {name} CASCADE")


@pytest.mark.bad_input(134)
async def test_of_two_servers_that_begin_together_one_migrates_and_the_other_is_refused(schema: str) -> None:
    is_refused = asyncio.Event()

    async def serve() -> str:
        try:
            async with open_database(schema):
                await is_refused.wait()
        except StorageUnavailable as error:
            is_refused.set()
            return error.detail
        return "served"

    async with asyncio.timeout(PATIENCE_S):
        ends = await asyncio.gather(serve(), serve())

    assert "served" in ends
    assert any("in use by process" in one for one in ends)


@pytest.mark.bad_input(134)
async def test_a_newer_schema_is_refused(schema: str) -> None:
    async with open_database(schema) as database, database.write() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    assert "written by a newer version (schema 9999)" in await refusal(schema)


@pytest.mark.bad_input(134)
async def test_tables_of_something_else_are_refused_and_left_alone(schema: str) -> None:
    await execute(schema, "CREATE TABLE photos (id int)")

    assert "tables of something else" in await refusal(schema)

    assert await execute(schema, "INSERT INTO photos VALUES (1)") == "INSERT 0 1"
    assert await execute(schema, "SELECT FROM pg_tables WHERE schemaname = current_schema()") == "SELECT 1"


@pytest.mark.bad_input(134)
async def test_a_migration_that_fails_leaves_nothing_behind(
    schema: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts = tmp_path / "scripts"
    (scripts / "versions").mkdir(parents=True)
    (scripts / "env.py").write_text((PROJECT / "alembic" / "env.py").read_text())
    (scripts / "versions" / "0001_breaks.py").write_text(
        "from alembic import op\n"
        "revision, down_revision = '0001', None\n"
        "def upgrade():\n"
        "    op.execute('CREATE TABLE first (id INTEGER)')\n"
        "    op.execute('INSERT INTO missing VALUES (1)')\n"
    )
    with monkeypatch.context() as patch:
        patch.setattr("app.storage.migration.scripts", lambda: scripts)
        assert "The migration of the database was undone. " in await refusal(schema)

    assert await execute(schema, "SELECT FROM pg_tables WHERE schemaname = current_schema()") == "SELECT 0"
    async with open_database(schema):
        pass


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("postgresql://nobody:secret@127.0.0.1:1/test", "does not answer (ConnectionRefusedError)"),
        ("postgresql://nobody:secret@127.0.0.1:port/test", "not of the form postgresql://"),
        ("postgresql://nobody:secret@[::1/test", "not of the form postgresql://"),
        ("postgresql://nobody:secret@127.0.0.1/test?sslmode=secret", "not of the form postgresql://"),
    ],
)
async def test_a_server_that_cannot_be_reached_is_said_without_its_address(url: str, reason: str) -> None:
    said = await refusal(url)

    assert reason in said
    assert not any(secret in said for secret in ("secret", "nobody", "127.0.0.1"))


async def test_a_database_or_schema_that_is_not_there_is_said(schema: str, postgresql_url: str) -> None:
    head, _, tail = schema.rpartition("/")
    no_database = f"{head}/graphwire_test_missing?{tail.partition('?')[2]}"

    assert "no database of that name (3D000)" in await refusal(no_database)
    assert "does not exist" in await refusal(schema + "_missing")


async def test_characters_that_postgresql_does_not_take_come_back_as_they_were(schema: str) -> None:
    odd = "nul \0, last \uffff, both \uffff0 \0\uffff, beyond \U0001f600"
    async with open_database(schema) as database, SqlExecutionStore(database) as store:
        graphs, executions = GraphRepository(database), ExecutionRepository(database)
        await graphs.put(NewVersion(GraphId("orders"), b"{}", "d", "api", name=odd, description=odd), now=NOW)
        end = replace(make_end(1, durations_ms={odd: (1, 2.0)}), reason=odd)
        await store_batch(store, make_batch([1], start=make_record(), end=end))

        stored = await graphs.get(GraphId("orders"))
        summary = await executions.get(ExecutionId("execution-1"))

        assert stored is not None
        assert (stored.info.name, stored.info.description) == (odd, odd)
        assert summary is not None
        assert summary.summary.reason == odd
        assert list(await executions.node_durations(GraphId("orders"), 1)) == [odd]
        assert await executions.get(ExecutionId("\0")) is None
        assert await store.read_event(ExecutionId("\0"), 1) is None


async def test_commits_are_forced_to_disk_whatever_the_role_has_set(schema: str) -> None:
    relaxed = schema + "&synchronous_commit=off"

    async with PostgresqlDatabase(relaxed) as database, database.writing() as connection:
        assert await connection.fetchval("SHOW synchronous_commit") == "on"
