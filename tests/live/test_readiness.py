"""What ``/health/ready`` says: the truth, also where nobody has tried to write."""

import asyncio
import os
import socket
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.databases import on_each_database
from tests.live.serving import Service, serving
from tests.waiting import PATIENCE_S


@on_each_database
async def test_a_service_that_serves_is_ready(service: Service) -> None:
    assert (await service.client.get("/health/live")).json() == {"status": "live"}
    assert (await service.client.get("/health/ready")).json()["status"] == "ready"


@pytest.mark.bad_input(132)
async def test_an_idle_service_finds_out_itself_that_nothing_can_be_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.services.readiness.PROOF_S", 0.0)
    async with serving(tmp_path) as service:
        await service.run("chain")
        with closing(sqlite3.connect(tmp_path / "graphwire.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            refused = await service.client.get("/health/ready")
            live = await service.client.get("/health/live")
        async with asyncio.timeout(PATIENCE_S):
            while (await service.client.get("/health/ready")).status_code != 200:
                continue

    body = refused.json()
    assert (refused.status_code, body["code"], refused.headers["retry-after"]) == (503, "storage_unavailable", "5")
    assert "another program holds a lock" in body["detail"]
    assert str(tmp_path) not in refused.text
    assert live.status_code == 200


async def test_files_with_problems_are_counted_and_keep_nobody_from_being_served(tmp_path: Path) -> None:
    folder = tmp_path / "graphs"
    folder.mkdir()
    (folder / "broken.yaml").write_text("id: [")

    async with serving(tmp_path, graphs=(folder,)) as service:
        ready = await service.client.get("/health/ready")

    assert (ready.status_code, ready.json()) == (200, {"status": "ready", "troubled_files": 1, "sinks": []})


async def test_nobody_is_answered_before_the_start_is_done(tmp_path: Path) -> None:
    folder = tmp_path / "graphs"
    folder.mkdir()
    gate = tmp_path / "gate"
    (folder / "slow.py").write_text(
        "import os, sys\n"
        f"if os.environ.get('GATE'):\n    open({str(gate)!r}).read()\n"
        "from graphwire import Graph\n"
        "slow = Graph('slow')\nslow.node('n', 'transform', {'set': {'a': '1'}})\n"
    )
    os.mkfifo(gate)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app", "serve", "--port", str(port),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "GATE": "1", "GRAPHWIRE_GRAPHS": str(folder), "GRAPHWIRE_DATABASE_URL": f"sqlite:///{tmp_path}/g.db"},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE_S):
            writer = await asyncio.to_thread(gate.open, "w")  # the start reads the graph now
            with pytest.raises(OSError, match=r"refused|failed"):
                await asyncio.open_connection("127.0.0.1", port)
            writer.close()
    finally:
        process.kill()
        await process.communicate()
