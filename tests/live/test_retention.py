"""What is too old or too many goes by itself, in a service that runs."""

import sqlite3
from contextlib import closing
from pathlib import Path

import httpx

from tests.live.control import gates
from tests.live.serving import serving


async def test_what_is_too_many_goes_from_the_start_on_and_the_file_is_sound(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        ids = [(await service.run("chain"))["id"] for _ in range(5)]
        running = await service.start("gated")

    async with serving(tmp_path, retention_executions=2) as service:
        gates["gate"].opened.set()
        while len(items := await listed(service.client)) > 2:
            continue
        assert set(items) == {ids[4], running}  # what was interrupted has gone on and ended, and started last

    with closing(sqlite3.connect(tmp_path / "graphwire.db")) as file:
        assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert file.execute("PRAGMA foreign_key_check").fetchall() == []


async def listed(client: httpx.AsyncClient) -> list[str]:
    return [item["id"] for item in (await client.get("/executions")).json()["items"]]
