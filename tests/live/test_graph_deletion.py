"""Deleting a graph that is in use."""

import asyncio
from typing import Any

import pytest

from app.storage.repositories.graphs import GraphRepository, Put
from tests.databases import on_each_database
from tests.live.control import gates
from tests.live.serving import Service, parse, types
from tests.live.test_graph_changes import definition, start_held

LONG_S = 600


@on_each_database
@pytest.mark.capability("GRF-07")
@pytest.mark.bad_input(36)
async def test_a_graph_is_not_deleted_while_it_is_executed(service: Service) -> None:
    await service.client.post("/graphs", json=definition(LONG_S))
    executions = [await service.start("made") for _ in range(2)]

    refused = await service.client.delete("/graphs/made")
    for execution in executions:
        await service.client.post(f"/executions/{execution}/cancel")
        await service.events(execution)
    deleted = await service.client.delete("/graphs/made")

    assert (refused.status_code, refused.json()["code"], refused.json()["executions"]) == (409, "graph_in_use", 2)
    assert "?force=true" in refused.json()["detail"]
    assert deleted.status_code == 204


@on_each_database
@pytest.mark.capability("GRF-07")
@pytest.mark.bad_input(36)
async def test_a_forced_deletion_ends_the_executions_first_and_their_streams_say_so(service: Service) -> None:
    await service.client.post("/graphs", json=definition(LONG_S))
    executions = [await service.start("made") for _ in range(3)]
    other = await service.start("gated")

    async def follow(execution: str) -> bytes:
        async with service.client.stream("GET", f"/executions/{execution}/events") as answer:
            return b"".join([part async for part in answer.aiter_bytes()])

    async with asyncio.TaskGroup() as group:
        streams = [group.create_task(follow(execution)) for execution in executions]
        deleted = await service.client.delete("/graphs/made?force=true")

    assert deleted.status_code == 204
    for stream in streams:
        assert types(parse(stream.result()))[-2:] == ["execution_cancelled", "stream_end"]
    for execution in executions:
        ended = (await service.client.get(f"/executions/{execution}")).json()
        assert (ended["status"], ended["reason"]) == ("cancelled", "its graph is deleted")
    assert (await service.client.get("/graphs/made")).status_code == 404
    assert (await service.client.get(f"/executions/{other}")).json()["status"] == "running"
    gates["gate"].opened.set()
    await service.events(other)


@pytest.mark.bad_input(36)
async def test_a_forced_deletion_takes_in_what_starts_and_what_comes_later_finds_no_graph(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    await service.client.post("/graphs", json=definition(LONG_S))
    async with asyncio.TaskGroup() as group:
        starting = await start_held(group, service, monkeypatch, "execute")
        deleting = group.create_task(service.client.delete("/graphs/made?force=true"))
        await service.client.get("/health/live")
        later = group.create_task(service.client.post("/graphs/made/execute"))
        await service.client.get("/health/live")
        gates["node_durations"].opened.set()

    assert (starting.result().status_code, deleting.result().status_code) == (202, 204)
    assert later.result().status_code == 404
    ended = await service.client.get(starting.result().headers["location"])
    assert ended.json()["status"] == "cancelled"


@pytest.mark.bad_input(35, 36)
async def test_a_forced_deletion_of_another_version_cancels_nothing(service: Service) -> None:
    await service.client.post("/graphs", json=definition(LONG_S))
    execution = await service.start("made")

    refused = await service.client.delete("/graphs/made?force=true", headers={"If-Match": '"2"'})
    read_only = await service.client.delete("/graphs/chain?force=true")

    assert (refused.status_code, refused.json()["current"]) == (412, 1)
    assert (read_only.status_code, read_only.json()["code"]) == (409, "graph_read_only")
    assert (await service.client.get(f"/executions/{execution}")).json()["status"] == "running"
    await service.client.delete("/graphs/made?force=true")


async def test_a_graph_with_executions_that_have_ended_is_deleted_without_force(service: Service) -> None:
    await service.client.post("/graphs", json=definition())
    ended = await service.run("made")

    assert (await service.client.delete("/graphs/made")).status_code == 204
    assert (await service.client.get(f"/executions/{ended['id']}")).json()["status"] == "completed"


async def test_force_is_true_or_false(service: Service) -> None:
    answer = await service.client.delete("/graphs/never?force=perhaps")

    assert answer.status_code == 422


@pytest.mark.bad_input(36)
async def test_a_forced_deletion_that_loses_against_a_change_cancels_nothing(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go, original = asyncio.Event(), asyncio.Event(), GraphRepository.put

    async def put(*arguments: Any, **keywords: Any) -> Put:
        begun.set()
        await go.wait()  # for its turn to write, say
        return await original(*arguments, **keywords)

    await service.client.post("/graphs", json=definition(LONG_S))
    execution = await service.start("made")
    monkeypatch.setattr(GraphRepository, "put", put)
    async with asyncio.TaskGroup() as group:
        changing = group.create_task(
            service.client.put("/graphs/made", json=definition(LONG_S, name="Changed"), headers={"If-Match": '"1"'})
        )
        await begun.wait()
        deleting = group.create_task(service.client.delete("/graphs/made?force=true", headers={"If-Match": '"1"'}))
        while len(service.server.server_state.tasks) < 2:
            await service.client.get("/health/live")
        go.set()

    assert (changing.result().status_code, deleting.result().status_code) == (200, 412)
    assert (await service.client.get(f"/executions/{execution}")).json()["status"] == "running"
    assert (await service.client.delete("/graphs/made?force=true")).status_code == 204
