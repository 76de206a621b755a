"""A fault at every write of every example that runs unattended: the final state is that of the run without one."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from app.storage.sqlite_group import write_group
from graphwire.engine.ports import Batch
from tests.live.serving import Service, serving
from tests.parts import ROOT

EXAMPLES = (ROOT / "examples",)
RUNS: dict[str, dict[str, Any]] = {
    "flaky_rates": {},
    "hello": {},
    "lattice": {},
    "order_review": {},
    "parcel_price": {},
    "refund": {},
    "shipping": {},
    "ticker": {"count": 10, "interval_ms": 1},
}

on_each_example = pytest.mark.parametrize("graph", RUNS)


@contextmanager
def writes(around: Callable[[Callable[[], None]], None]) -> Iterator[None]:
    """Have each write of executions go through a function; it is called in the thread that writes."""

    def write(connection: sqlite3.Connection, batches: list[Batch]) -> None:
        around(lambda: write_group(connection, batches))

    with patch("app.storage.writer_thread.write_group", write):
        yield


async def run(service: Service, graph: str) -> tuple[str, Any]:
    """Start it, again where the start is refused, and return how it ended."""
    while True:
        answer = await service.client.post(f"/graphs/{graph}/execute/wait", json={"state": RUNS[graph], "seed": 1})
        if answer.status_code != 503:
            found = answer.json()
            return found["status"], found["state"]


@on_each_example
@pytest.mark.bad_input(132)
async def test_a_write_that_fails_once_is_made_again(tmp_path: Path, graph: str) -> None:
    count, fails_at = 0, 0

    def fail_once(write: Callable[[], None]) -> None:
        nonlocal count
        count += 1
        if count == fails_at:
            raise sqlite3.OperationalError("disk I/O error")
        write()

    async with serving(tmp_path, graphs=EXAMPLES) as service:
        whole = await run(service, graph)
        with writes(fail_once):
            while fails_at <= count:  # so long as the run had a write to fail
                count, fails_at = 0, fails_at + 1
                assert await run(service, graph) == whole

    assert whole[0] == "completed"
    assert fails_at > 2


@on_each_example
@pytest.mark.capability("CKP-07")
@pytest.mark.bad_input(128)
async def test_a_process_that_dies_before_or_after_any_write_is_made_up_for(tmp_path: Path, graph: str) -> None:
    """What a process leaves that dies at a write is the file as it is then. After one is before the next."""
    left: list[Path] = []

    def keep(write: Callable[[], None]) -> None:
        for is_after in (False, True):
            if is_after:
                write()
            folder = tmp_path / f"{len(left)}"
            folder.mkdir()
            with closing(sqlite3.connect(tmp_path / "graphwire.db")) as now:
                with closing(sqlite3.connect(folder / "graphwire.db")) as copy:
                    now.backup(copy)
            left.append(folder)

    async with serving(tmp_path, graphs=EXAMPLES) as service:
        with writes(keep):
            whole = await run(service, graph)

    assert len(left) > 3
    for number, folder in enumerate([*left[::2], left[-1]]):
        async with serving(folder, graphs=EXAMPLES) as service:
            items = (await service.client.get("/executions")).json()["items"]
            assert len(items) == (number > 0), "an accepted start is there, and none that was not"
            for item in items:
                await service.events(item["id"])
                shown = (await service.client.get(f"/executions/{item['id']}")).json()
                state = (await service.client.get(f"/executions/{item['id']}/state")).json()
                assert (shown["status"], state.get("state", state)) == whole
