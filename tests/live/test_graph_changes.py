"""Graphs that are read, started and changed at the same time."""

import asyncio
from typing import Any

import httpx
import pytest

from app.storage.repositories.executions import ExecutionRepository
from app.storage.repositories.graphs import GraphRepository
from tests.live.control import gates
from tests.live.serving import Service


def definition(seconds: float = 0, **fields: Any) -> dict[str, Any]:
    node = {"id": "n", "type": "delay", "config": {"seconds": seconds}}
    return {"id": "made", "nodes": [node], **fields}


def hold(monkeypatch: pytest.MonkeyPatch, repository: type[Any], name: str, *, first: bool) -> None:
    """Have calls of a repository's method wait at the gate of its name, before (``first``) or after their work."""
    original = getattr(repository, name)

    async def held(self: Any, *arguments: Any, **keywords: Any) -> Any:
        if first:
            await gates[name].pass_through()
        done = await original(self, *arguments, **keywords)
        if not first:
            await gates[name].pass_through()
        return done

    monkeypatch.setattr(repository, name, held)


async def start_held(
    group: asyncio.TaskGroup, service: Service, monkeypatch: pytest.MonkeyPatch, route: str
) -> asyncio.Task[httpx.Response]:
    """Start an execution of the graph ``made``, which gets no further than the gate ``node_durations``."""
    hold(monkeypatch, ExecutionRepository, "node_durations", first=True)
    starting = group.create_task(service.client.post(f"/graphs/made/{route}"))
    await gates["node_durations"].reached.wait()
    return starting


async def test_a_read_during_a_change_does_not_bring_the_old_version_back(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    await service.client.post("/graphs", json=definition())
    with monkeypatch.context() as patches:
        hold(patches, GraphRepository, "get", first=False)
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(service.client.get("/graphs/made"))
            await gates["get"].reached.wait()
            patches.undo()
            second, any_version = definition(name="Second"), {"If-Match": "*"}
            replaced = await service.client.put("/graphs/made", json=second, headers=any_version)
            gates["get"].opened.set()

    assert (replaced.json()["version"], reading.result().json()["version"]) == (2, 1)
    assert (await service.client.get("/graphs/made")).json()["version"] == 2


async def test_a_read_during_a_deletion_does_not_bring_the_graph_back(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    await service.client.post("/graphs", json=definition())
    with monkeypatch.context() as patches:
        hold(patches, GraphRepository, "delete", first=True)
        async with asyncio.TaskGroup() as group:
            deleting = group.create_task(service.client.delete("/graphs/made"))
            await gates["delete"].reached.wait()
            assert (await service.client.get("/graphs/made")).status_code == 200
            gates["delete"].opened.set()

    assert deleting.result().status_code == 204
    assert (await service.client.get("/graphs/made")).status_code == 404


@pytest.mark.bad_input(36)
async def test_a_graph_is_not_deleted_while_an_execution_of_it_starts(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    await service.client.post("/graphs", json=definition())
    async with asyncio.TaskGroup() as group:
        starting = await start_held(group, service, monkeypatch, "execute/wait")
        refused = await service.client.delete("/graphs/made")
        gates["node_durations"].opened.set()

    assert (refused.status_code, refused.json()["code"]) == (409, "graph_in_use")
    assert starting.result().status_code == 200
    assert (await service.client.delete("/graphs/made")).status_code == 204


@pytest.mark.bad_input(36)
async def test_a_start_during_a_deletion_finds_no_graph(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    await service.client.post("/graphs", json=definition())
    hold(monkeypatch, GraphRepository, "delete", first=True)
    async with asyncio.TaskGroup() as group:
        deleting = group.create_task(service.client.delete("/graphs/made"))
        await gates["delete"].reached.wait()
        starting = group.create_task(service.client.post("/graphs/made/execute"))
        await service.client.get("/health/live")
        gates["delete"].opened.set()

    assert deleting.result().status_code == 204
    assert starting.result().status_code == 404
