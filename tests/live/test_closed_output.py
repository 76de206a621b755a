"""A service whose lines nobody takes goes on as if somebody did."""

import asyncio
import os
import signal
import socket
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.live.processes import COMMAND, environment, process
from tests.live.serving import http_client
from tests.waiting import PATIENCE_S

MORE_THAN_A_PIPE_HOLDS = 700


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as plain:
        plain.bind(("127.0.0.1", 0))
        return int(plain.getsockname()[1])


async def ready(client: httpx.AsyncClient) -> int:
    """Ask until somebody answers."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                return (await client.get("/health/ready")).status_code
            except httpx.ConnectError:
                await asyncio.sleep(0.05)  # another process starts, and cannot say when it has


@pytest.mark.bad_input(140)
async def test_a_process_without_output_serves_and_stops(tmp_path: Path) -> None:
    port = free_port()
    command = [*COMMAND[:-1], str(port)]
    closed = ["sh", "-c", 'exec "$@" >&- 2>&-', "sh", *command]
    running = await asyncio.create_subprocess_exec(*closed, env=environment(tmp_path), stdin=subprocess.DEVNULL)
    try:
        async with http_client(f"http://127.0.0.1:{port}") as client:
            assert await ready(client) == 200
            ended = await client.post("/graphs/chain/execute/wait")
            assert (await client.get("/nothing")).status_code == 404
        running.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE_S):
            status = await running.wait()
    finally:
        if running.returncode is None:
            running.kill()
        await running.wait()

    assert ended.json()["status"] == "completed"
    assert status == 0


@pytest.mark.bad_input(140)
@pytest.mark.parametrize("is_gone", [False, True])
async def test_a_log_collector_that_reads_nothing_or_is_gone_holds_up_nobody(tmp_path: Path, is_gone: bool) -> None:
    collector, log = os.pipe()
    async with process(tmp_path, stderr=log, GRAPHWIRE_ACCESS_LOG="1") as served:
        os.close(log)
        if is_gone:
            os.close(collector)
        async with http_client(served.address) as client:
            for _ in range(MORE_THAN_A_PIPE_HOLDS):
                assert (await client.get("/graphs")).status_code == 200
            answer = await client.post("/graphs/chain/execute/stream")
        served.process.send_signal(signal.SIGTERM)
        status = await served.ended()
    if not is_gone:
        os.set_blocking(collector, False)
        kept = os.read(collector, 2**20)
        os.close(collector)
        assert len(kept) > 60_000

    assert "event: stream_end" in answer.text
    assert status == 0
