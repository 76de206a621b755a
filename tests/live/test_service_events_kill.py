"""A service is killed at any moment: what it told of itself and what is there afterwards are the same."""

import asyncio
import json
import os
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.databases import on_each_database
from tests.live.serving import GRAPHS, http_client, serving
from tests.live.test_graphs import definition
from tests.parts import ROOT
from tests.waiting import PATIENCE_S

CHILD = """
import sys
from pathlib import Path
from app.server import make_server
from app.settings import Settings

settings = Settings(port=0, database_url=sys.argv[1], graphs=(Path(sys.argv[2]),), disk_warning_bytes=0)
make_server(settings, ready=lambda _, port: print(port, flush=True)).run()
"""


@asynccontextmanager
async def doomed(url: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, httpx.AsyncClient]]:
    """Run a service in a process of its own, which is to be killed."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, url, str(GRAPHS), stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert child.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE_S):
            port = int(await child.stdout.readline())
        async with http_client(f"http://127.0.0.1:{port}") as client:
            yield child, client
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


async def use(client: httpx.AsyncClient, name: str) -> None:
    """Start, delete and change until there is nobody any more."""
    with suppress(httpx.TransportError):
        for number in range(10_000):
            ran = await client.post("/graphs/chain/execute/wait")
            await client.post("/graphs/gated/execute")
            await client.put(
                f"/graphs/{name}",
                json=definition(name, name=f"{number}"),
                headers={"If-Match": "*"} if number % 3 else {},
            )
            if number % 3 == 2:
                await client.delete(f"/executions/{ran.json()['id']}")
                await client.delete(f"/graphs/{name}")


async def follow(
    client: httpx.AsyncClient, after: int, kill_after: int, child: asyncio.subprocess.Process
) -> list[str]:
    """Read the service's events, and kill it after so many; return the lines that came."""
    lines: list[str] = []
    with suppress(httpx.TransportError):
        path = f"/events?after={after}"
        async with client.stream("GET", path, headers={"Accept": "application/x-ndjson"}) as answer:
            async for line in answer.aiter_lines():
                lines.append(line)
                if len(lines) == kill_after:
                    child.kill()
    if child.returncode is None:  # it was silent for long
        child.kill()
    return [line for line in lines if line.endswith("}}")]


@on_each_database
@pytest.mark.bad_input(128)
@pytest.mark.parametrize("kills", [1, pytest.param(20, marks=pytest.mark.long)])
async def test_what_was_told_and_what_is_there_are_the_same_after_kills(
    tmp_path: Path, database_url: str, kills: int
) -> None:
    seen: list[str] = []
    for kill in range(kills):
        async with doomed(database_url) as (child, client), asyncio.TaskGroup() as group:
            for worker in range(3):
                group.create_task(use(client, f"g{kill}-{worker}"))
            last = json.loads(seen[-1])["seq"] if seen else 0
            seen += await follow(client, last, random.randint(30, 150), child)

    async with serving(tmp_path, database_url=database_url) as service:
        for left in await listed(service.client, "/executions"):
            if left["status"] == "running":
                await service.client.post(f"/executions/{left['id']}/cancel")
                await service.events(left["id"])
        lines = await stored(service.client)
        executions = await listed(service.client, "/executions")
        graphs = await listed(service.client, "/graphs")

    assert [line.encode() for line in seen] == lines[: len(seen)]
    events = [json.loads(line) for line in lines]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert [event["data"]["previous"] for event in events if event["type"] == "system.startup"] == [
        "none", *["died"] * kills
    ]  # fmt: skip

    told: dict[str, list[str]] = {}
    for event in events:
        if "execution_id" in event:
            told.setdefault(event["execution_id"], []).append(event["type"].partition(".")[2])
    deleted = {id for id, story in told.items() if story[-1] == "deleted"}
    assert {id: story for id, story in told.items() if id not in deleted} == {
        execution["id"]: ["started", execution["status"]] for execution in executions
    }
    assert all(told[id] == ["started", "completed", "deleted"] for id in deleted)

    versions: Counter[str] = Counter()
    alive: dict[str, int] = {}
    for event in events:
        if event["type"] in ("graph.created", "graph.updated"):
            versions[event["graph_id"]] += 1
            assert event["data"]["version"] == versions[event["graph_id"]]
            assert (event["type"] == "graph.created") == (event["graph_id"] not in alive)
            alive[event["graph_id"]] = event["data"]["version"]
        elif event["type"] == "graph.deleted":
            assert alive.pop(event["graph_id"]) == event["data"]["version"]
    assert alive == {graph["id"]: graph["version"] for graph in graphs}


async def stored(client: httpx.AsyncClient) -> list[bytes]:
    """Return the lines of all events of the service."""
    lines: list[bytes] = []
    cursor = 0
    while True:
        answer = await client.get("/events", params={"after": cursor}, headers={"Accept": "application/json"})
        found = answer.json()
        if not found["events"]:
            return lines
        lines += [json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode() for event in found["events"]]
        cursor = found["next"]


async def listed(client: httpx.AsyncClient, path: str) -> list[dict[str, Any]]:
    """Return all of a list."""
    items: list[dict[str, Any]] = []
    query: dict[str, Any] = {"limit": 1_000}
    while True:
        found = (await client.get(path, params=query)).json()
        items += found["items"]
        if found["next"] is None:
            return items
        query["after"] = found["next"]
