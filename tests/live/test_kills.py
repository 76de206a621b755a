"""A server is killed at random moments, again and again: what it accepted ends as if it had never been cut.

A run draws from a seed, which a failure shows. ``GRAPHWIRE_TEST_KILLS_SEED`` has the same drawn again; how far the
process comes meanwhile is the machine's.
"""

import asyncio
import os
import random
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.databases import on_each_database
from tests.live.killed import NDJSON, Follower, check_history
from tests.live.processes import Served, process
from tests.live.serving import http_client
from tests.waiting import PATIENCE_S

KILLED = Path(__file__).parent / "killed_graphs"
PAIRS = [("mixed", "async"), ("mixed", "sync"), ("looping", "async"), ("looping", "sync")]
MOST_LINES = 150


class Run:
    """The executions of one test."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.followers: list[Follower] = []
        self._line = asyncio.Event()
        self._lines = 0

    def _told(self) -> None:
        self._lines += 1
        self._line.set()

    @property
    def unfinished(self) -> Sequence[Follower]:
        """Those whose end was not seen."""
        return [each for each in self.followers if not each.has_ended]

    async def start(self, client: httpx.AsyncClient, graph: str, durability: str) -> Follower:
        """Start an execution."""
        answer = await client.post(f"/graphs/{graph}/execute", json={"durability": durability})
        assert answer.status_code == 202, answer.text
        self.followers.append(Follower(answer.headers["location"], graph, durability, self._told))
        return self.followers[-1]

    async def kill(self, served: Served, client: httpx.AsyncClient) -> None:
        """Kill the process while all is followed, once each has got on, and after a drawn number of lines."""
        async with asyncio.TaskGroup() as group:
            reading = [group.create_task(each.follow(client)) for each in self.unfinished]
            while not all(each.has_committed for each in self.unfinished):
                await self._next_line()
            # Where nothing is committed between three recoveries, the execution is to fail.
            await asyncio.gather(*(each.secure(client) for each in self.unfinished))
            until = self._lines + self.draw.randint(0, MOST_LINES)
            while self._lines < until and self.unfinished:
                await self._next_line()
            served.process.kill()
            await served.ended()
            await asyncio.wait(reading)

    async def _next_line(self) -> None:
        self._line.clear()
        async with asyncio.timeout(PATIENCE_S):
            await self._line.wait()

    async def finish(self, client: httpx.AsyncClient) -> None:
        """Follow all to their ends."""
        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
            for each in self.unfinished:
                group.create_task(each.follow(client))
        assert not self.unfinished


@on_each_database
@pytest.mark.capability("CKP-07", "CTL-10")
@pytest.mark.bad_input(128, 130)
@pytest.mark.parametrize("kills", [5, pytest.param(100, marks=pytest.mark.long)])
async def test_what_was_accepted_ends_as_if_it_had_never_been_cut(
    tmp_path: Path, database_url: str, kills: int, record_property: Callable[[str, object], None]
) -> None:
    seed = int(os.environ.get("GRAPHWIRE_TEST_KILLS_SEED") or random.randrange(2**32))
    record_property("seed", seed)
    print(f"GRAPHWIRE_TEST_KILLS_SEED={seed}")  # noqa: T201 - pytest shows it where the test fails
    run = Run(seed)
    serve = partial(process, tmp_path, GRAPHWIRE_DATABASE_URL=database_url, GRAPHWIRE_GRAPHS=str(KILLED))
    for _ in range(kills):
        async with serve() as served, http_client(served.address) as client:
            for each in run.followers:
                each.has_committed = False
            for graph, durability in run.draw.sample(PAIRS, 2):
                await run.start(client, graph, durability)
            await run.kill(served, client)

    async with serve() as served, http_client(served.address) as client:
        cut = list(run.followers)
        whole = {graph: await run.start(client, graph, "async") for graph in ("mixed", "looping")}
        await run.finish(client)
        for each in cut:
            assert each.state == whole[each.graph].state
            assert (await client.get(each.path)).json()["status"] == "completed"
            stored = await client.get(f"{each.path}/events", headers=NDJSON)
            lines = [raw for raw in stored.content.split(b"\n") if raw.strip()]
            assert [line.raw for line in each.kept] == lines
            check_history(each.kept)

    assert [each.restored for each in whole.values()] == [0, 0]
    assert any(each.restored for each in cut)
