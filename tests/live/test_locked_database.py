"""Another program holds a lock on the database: what runs waits, new work is refused, and then all goes on."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.live.control import gates
from tests.live.serving import Service, numbers, parse, serving, types
from tests.waiting import PATIENCE_S

BOUND = 100
COUNT = 500


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a lock as a program does that writes for a long time."""
    other = sqlite3.connect(folder / "graphwire.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.execute("ROLLBACK")
    other.close()


async def assert_refused(service: Service) -> None:
    """Check how a start and the question for readiness are answered."""
    start = await service.client.post("/graphs/chain/execute")
    ready = await service.client.get("/health/ready")
    assert (start.status_code, start.json()["code"]) == (503, "storage_unavailable")
    assert int(start.headers["retry-after"]) > 0
    assert ready.status_code == 503
    assert "another program holds a lock" in ready.json()["detail"]


async def until_ready(service: Service) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while (await service.client.get("/health/ready")).status_code != 200:
            pass


async def last_seq(service: Service, execution: str) -> int:
    shown: dict[str, Any] = (await service.client.get(f"/executions/{execution}")).json()
    assert shown["status"] == "running"
    return int(shown["last_seq"])


async def read_upto(lines: AsyncIterator[str], seq: int) -> list[str]:
    read = []
    async for line in lines:
        read.append(line)
        if line == f"id: {seq}":
            return [*read, await anext(lines)]
    raise AssertionError("the stream ended before")


async def assert_all_is_well(service: Service, execution: str, read: list[str]) -> None:
    blocks = parse(("\n".join(read) + "\n").encode())
    stored = await service.events(execution)
    assert types(blocks)[-2:] == ["execution_completed", "stream_end"]
    assert numbers(blocks) == numbers(stored) == list(range(1, len(stored) + 1))
    assert types(stored).count("node_message") == COUNT
    assert "events_dropped" not in types(stored)
    shown = (await service.client.get(f"/executions/{execution}")).json()
    state = (await service.client.get(f"/executions/{execution}/state")).json()["state"]
    assert (shown["status"], state["went_on"]) == ("completed", True)
    assert (await service.run("chain"))["status"] == "completed"


@pytest.mark.bad_input(131)
async def test_under_async_streams_go_on_to_the_bound_and_all_goes_on_after_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graphwire.events.hub.MAX_UNSTORED_EVENTS", BOUND)
    async with serving(tmp_path) as service:
        execution = await service.start("late_talk", state={"count": COUNT})
        await gates["gate"].reached.wait()
        async with service.client.stream("GET", f"/executions/{execution}/events") as answer:
            lines = answer.aiter_lines()
            with locked(tmp_path):
                gates["gate"].opened.set()
                read = await read_upto(lines, BOUND)
                await assert_refused(service)
                reached = await last_seq(service, execution)
            read += [line async for line in lines]
        await until_ready(service)

        assert BOUND <= reached < 2 * BOUND
        await assert_all_is_well(service, execution, read)


@pytest.mark.bad_input(131)
async def test_under_sync_streams_hold_and_all_goes_on_after_the_lock(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        execution = await service.start("late_talk", state={"count": COUNT}, durability="sync")
        await gates["gate"].reached.wait()
        async with service.client.stream("GET", f"/executions/{execution}/events") as answer:
            lines = answer.aiter_lines()
            read = await read_upto(lines, 2)
            with locked(tmp_path):
                gates["gate"].opened.set()
                await assert_refused(service)
                reached = await last_seq(service, execution)
            read += [line async for line in lines]
        await until_ready(service)

        assert reached == 2
        await assert_all_is_well(service, execution, read)
