"""What happens to the service as a whole, told over real sockets."""

import asyncio
import json
import random
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from graphwire.events.encoding import Envelope
from graphwire.sinks import callback
from tests.databases import on_each_database
from tests.live.control import gates
from tests.live.serving import Service, parse, serving
from tests.live.sockets import socket
from tests.live.test_graphs import definition

NDJSON = {"Accept": "application/x-ndjson"}
JSON = {"Accept": "application/json"}


class Following:
    """A stream of the service's events that is read as it comes."""

    def __init__(self, answer: httpx.Response) -> None:
        self._lines = answer.aiter_lines()

    async def until(self, topic: str, count: int = 1) -> list[dict[str, Any]]:
        """Read events and notices up to and with so many of a type."""
        seen: list[dict[str, Any]] = []
        while count:
            said = await self.one()
            seen.append(said)
            count -= said["type"] == topic
        return seen

    async def one(self) -> dict[str, Any]:
        """Read one event or notice."""
        return dict(json.loads(await anext(self._lines)))

    async def rest(self) -> list[dict[str, Any]]:
        """Read what comes until the end."""
        return [json.loads(line) async for line in self._lines]


@asynccontextmanager
async def following(service: Service, **query: Any) -> AsyncIterator[Following]:
    async with service.client.stream("GET", "/events", params=query, headers=NDJSON) as answer:
        assert answer.status_code == 200
        yield Following(answer)


async def page(service: Service, **query: Any) -> dict[str, Any]:
    answer = await service.client.get("/events", params=query, headers=JSON)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def events(service: Service, **query: Any) -> list[dict[str, Any]]:
    """Return all events that are stored."""
    return list((await page(service, **query))["events"])


def topics(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


def seqs(events: list[dict[str, Any]]) -> list[int]:
    return [event["seq"] for event in events if "seq" in event]


@on_each_database
@pytest.mark.capability("EVT-20")
async def test_what_happens_to_graphs_and_executions_is_told_while_it_happens(service: Service) -> None:
    start = (await page(service))["next"]
    async with following(service, after=start) as told:
        created = await service.client.post("/graphs", json=definition("orders"))
        await service.client.put("/graphs/orders", json=definition("orders", name="More"), headers={"If-Match": "*"})
        await service.client.delete("/graphs/orders")
        completed = (await service.run("chain"))["id"]
        failed = (await service.run("failing"))["id"]
        cancelled = await service.start("gated", state={"gate": "a"})
        await gates["a"].reached.wait()
        await service.client.post(f"/executions/{cancelled}/cancel", json={"reason": "not needed"})
        seen = await told.until("execution.cancelled")
        await service.client.delete(f"/executions/{completed}")
        seen += await told.until("execution.deleted")

    assert created.status_code == 201
    assert seqs(seen) == list(range(start + 1, start + 11))
    assert [(event["topic"], event.get("execution_id"), event["graph_id"]) for event in seen] == [
        ("graph.created", None, "orders"),
        ("graph.updated", None, "orders"),
        ("graph.deleted", None, "orders"),
        ("execution.started", completed, "chain"),
        ("execution.completed", completed, "chain"),
        ("execution.started", failed, "failing"),
        ("execution.failed", failed, "failing"),
        ("execution.started", cancelled, "gated"),
        ("execution.cancelled", cancelled, "gated"),
        ("execution.deleted", completed, "chain"),
    ]
    assert seen[8]["data"]["reason"] == "not needed"
    assert seen[4]["data"]["outcome"] == "success"


@on_each_database
async def test_every_form_tells_the_same(service: Service) -> None:
    for _ in range(3):
        await service.run("chain")
    pages: list[dict[str, Any]] = []
    cursor = 0
    while (found := await page(service, after=cursor, limit=4))["events"]:
        pages += found["events"]
        cursor = found["next"]
        assert (found["ended"], found["lagged"]) == (False, None)

    async with following(service) as told:
        lines = [await told.one() for _ in pages]
    async with service.client.stream("GET", "/events") as answer:
        text = b""
        async for part in answer.aiter_bytes():
            text += part
            if len(blocks := parse(text)) == len(pages):
                break

    assert lines == pages
    assert [block.data for block in blocks] == pages
    assert [(block["event"], int(block["id"])) for block in blocks] == [(each["type"], each["seq"]) for each in pages]
    assert blocks[0].fields[0][0] == "retry"


async def test_a_reader_goes_on_where_it_was_and_the_header_wins(service: Service) -> None:
    whole = await events(service)

    async with service.client.stream(
        "GET", "/events?after=1", headers={**NDJSON, "Last-Event-ID": "3"}
    ) as answer:  # fmt: skip
        assert (await Following(answer).one())["seq"] == 4
    assert seqs(await events(service, after=2)) == seqs(whole)[2:]


@pytest.mark.bad_input(65)
@pytest.mark.parametrize("accept", ["text/event-stream", "application/x-ndjson", "application/json"])
async def test_a_place_that_nobody_can_have_been_at_is_refused(service: Service, accept: str) -> None:
    last = (await page(service))["last_seq"]

    for place in (str(last + 1), "-1", "x", "9" * 19):
        answer = await service.client.get("/events", params={"after": place}, headers={"Accept": accept})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")
    assert (await page(service, after=last))["events"] == []


async def test_topics_are_told_and_no_others(service: Service) -> None:
    await service.run("chain")
    async with following(service, topics="execution.*,*.shutdown") as told:
        assert topics(await told.until("execution.completed")) == ["execution.started", "execution.completed"]

    found = await page(service, topics=["system.startup", "execution.failed"])
    assert topics(found["events"]) == ["system.startup"]
    assert found["next"] == found["last_seq"] > 2

    answer = await service.client.get("/events", params={"topics": "execution.done,graph.*,queue.*"})
    assert answer.status_code == 422
    assert [(each["pointer"], each["code"]) for each in answer.json()["errors"]] == [
        ("/query/topics/0", "unknown_topic"),
        ("/query/topics/2", "unknown_topic"),
    ]


async def test_a_long_poll_waits_for_the_first_event(service: Service) -> None:
    last = (await page(service))["next"]

    async with asyncio.TaskGroup() as group:
        polling = group.create_task(page(service, after=last, wait=20))
        await service.run("chain")

    assert topics(polling.result()["events"])[0] == "execution.started"
    newest = (await page(service))["last_seq"]
    assert (await page(service, after=newest, wait=0.01))["events"] == []


async def test_head_is_refused_and_accept_decides(service: Service) -> None:
    assert (await service.client.head("/events")).status_code == 405
    assert (await service.client.get("/events", headers={"Accept": "text/html"})).status_code == 406


async def test_silence_is_broken_by_a_heartbeat_that_names_the_place(tmp_path: Path) -> None:
    async with serving(tmp_path, heartbeat_s=0.05) as service:
        last = (await page(service))["next"]
        async with following(service, after=last) as told:
            beat = await told.one()

    assert (beat["type"], beat["after"]) == ("heartbeat", last)
    assert "execution_id" not in beat


@on_each_database
async def test_a_drain_ends_the_stream_and_the_stop_is_found_afterwards(tmp_path: Path, database_url: str) -> None:
    async with serving(tmp_path, database_url=database_url) as service:
        async with following(service, topics="system.*") as told:
            await told.until("system.startup")
            service.drain()
            (closed,) = await told.rest()
        refused = await service.client.get("/events", headers=NDJSON)
        still = parse((await service.client.get("/events", params={"after": closed["after"]})).content)
    async with serving(tmp_path, database_url=database_url) as service:
        seen = await events(service, after=closed["after"], topics="system.*")

    assert (closed["type"], closed["data"]["code"]) == ("stream_closed", "shutting_down")
    assert refused.status_code == 503
    assert [block["event"] for block in still] == ["stream_closed"]
    assert [(each["type"], each["data"].get("previous")) for each in seen] == [
        ("system.shutdown", None),
        ("system.startup", "stopped"),
    ]


@on_each_database
async def test_a_socket_follows_the_service_beside_executions(service: Service) -> None:
    last = (await page(service))["last_seq"]
    async with socket(service) as ws:
        told = (await ws.result("service.subscribe", topics=["execution.*"], after=last))["subscription"]
        started = await ws.result("execution.start", graph_id="chain")
        await ws.events(started["subscription"])
        seen = [await ws.event() for _ in range(2)]
        assert await ws.result("execution.unsubscribe", subscription=told) == {}
        refused = (await ws.call("service.subscribe", topics=["execution.*", "nothing"]))["error"]
        future = await ws.problem("service.subscribe", after=last + 1_000)
        again = await ws.result("service.subscribe", after=0)
        whole = [await ws.event() for _ in range(last + 2)]
        service.drain()
        closed = await ws.notice("stream_closed")
        end = await ws.end()

    assert [(each["type"], each["execution_id"]) for each in seen] == [
        ("execution.started", started["execution"]["id"]),
        ("execution.completed", started["execution"]["id"]),
    ]
    assert refused["code"] == -32602
    assert refused["data"]["errors"][0]["pointer"] == "/params/topics/1"
    assert future["code"] == "invalid_cursor"
    assert again["subscription"] != told
    assert seqs(whole) == list(range(1, last + 3))
    assert closed["data"]["code"] == "shutting_down"
    assert end[0] == 1012


async def test_a_reader_that_is_far_behind_gets_all_of_it(tmp_path: Path) -> None:
    async with serving(tmp_path, ring_events=1) as service:
        async with following(service, topics="execution.*") as told:
            for _ in range(20):
                await service.run("chain")
            seen = await told.until("execution.completed", 20)
        whole = await events(service, topics="execution.*")

    assert seen == whole
    assert topics(seen) == ["execution.started", "execution.completed"] * 20


async def test_history_that_was_deleted_is_told_as_such(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        for _ in range(3):
            await service.run("chain")
        last = (await page(service))["last_seq"]
    async with serving(tmp_path, retention_service_events=2) as service:
        await until_forgotten(service)
        found = await page(service)
        async with following(service) as told:
            lagged, first = await told.one(), await told.one()
        headers = {"Last-Event-ID": str(lagged["data"]["to_seq"] - 1)}
        (block, *_) = parse(await beginning(service, headers))

    newest = found["last_seq"]
    assert newest > last
    assert seqs(found["events"]) == [newest - 1, newest]
    dropped = {"from_seq": 1, "to_seq": newest - 2, "dropped": newest - 2}
    assert found["lagged"]["data"] == lagged["data"] == dropped
    assert (lagged["type"], lagged["after"], first["seq"]) == ("stream_lagged", newest - 2, newest - 1)
    assert (block["event"], block["id"]) == ("stream_lagged", str(newest - 2))


async def until_forgotten(service: Service) -> None:
    while (await page(service))["lagged"] is None:
        pass


async def beginning(service: Service, headers: dict[str, str]) -> bytes:
    """Return the first block of a stream."""
    async with service.client.stream("GET", "/events", headers=headers) as answer:
        text = b""
        async for part in answer.aiter_bytes():
            text += part
            if b"\n\n" in text:
                break
    return text


@on_each_database
async def test_readers_that_come_and_go_get_all_of_it_once_and_in_order(tmp_path: Path, database_url: str) -> None:
    async with serving(tmp_path, database_url=database_url, ring_events=3) as service:
        start = (await page(service))["next"]
        about = {"topics": "execution.*"}  # a busy machine may have more to tell

        async def read(chance: random.Random) -> list[dict[str, Any]]:
            seen: list[dict[str, Any]] = []
            while len(seen) < 80:
                place = {**about, "after": seen[-1]["seq"] if seen else start}
                if chance.random() < 0.3:
                    seen += (await page(service, **place, limit=chance.randint(1, 9), wait=5))["events"]
                    continue
                async with following(service, **place) as told:
                    for _ in range(min(chance.randint(1, 20), 80 - len(seen))):
                        seen.append(await told.one())
            return seen

        async with asyncio.TaskGroup() as group:
            readers = [group.create_task(read(random.Random(seed))) for seed in range(6)]
            for _ in range(40):
                await service.run("chain")
        stored = await events(service, after=start, **about)

    assert len(stored) == len(set(seqs(stored))) == 80
    assert seqs(stored) == sorted(seqs(stored))
    assert all(reader.result() == stored for reader in readers)


async def test_what_runs_short_is_told_from_real_measurements(tmp_path: Path) -> None:
    async with serving(tmp_path, memory_warning_bytes=1, disk_warning_bytes=2**62) as service:
        async with following(service, topics="system.resource_warning") as told:
            warnings = [await told.one() for _ in range(2)]

    assert [(each["data"]["resource"], each["data"]["is_short"]) for each in warnings] == [
        ("memory", True),
        ("disk", True),
    ]
    assert all(each["data"]["value_bytes"] > 1_000_000 for each in warnings)


@pytest.mark.bad_input(132)
async def test_a_database_that_was_away_is_told_of_when_it_is_back(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        async with following(service, topics="system.diagnostic") as told:
            with closing(sqlite3.connect(tmp_path / "graphwire.db", isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                refused = await service.client.post("/graphs/chain/execute")
            said = [await told.one() for _ in range(2)]
            found = await service.client.get("/executions")

    assert refused.status_code == 503
    assert [(each["data"]["code"], each["data"]["severity"]) for each in said] == [
        ("storage_unavailable", "error"),
        ("storage_available", "info"),
    ]
    assert said[0]["ts"] < said[1]["ts"]
    assert found.json()["items"] == []


async def test_a_sink_that_fails_is_told(tmp_path: Path) -> None:
    def fail(event: Envelope) -> None:
        raise ValueError("full")

    async with serving(tmp_path, sinks=[callback(fail, name="archive")]) as service:
        async with following(service, topics="system.diagnostic") as told:
            await service.run("chain")
            said = (await told.one())["data"]

    assert (said["code"], said["severity"], said["facts"]["sink"]) == ("sink_failed", "warning", "archive")


@on_each_database
@pytest.mark.bad_input(76)
async def test_a_deletion_is_told_to_who_follows_the_service_and_to_who_follows_the_execution(service: Service) -> None:
    start = (await page(service))["next"]
    execution = (await service.run("chain"))["id"]
    path = f"/executions/{execution}/events"
    async with following(service, after=start, topics="execution.deleted") as told:
        await service.client.delete(f"/executions/{execution}")
        (deleted,) = await told.until("execution.deleted")
        again = await service.client.get(path)

    assert (deleted["execution_id"], deleted["data"]) == (execution, {"reason": "requested"})
    assert again.status_code == 404


@pytest.mark.bad_input(78)
async def test_a_reader_that_leaves_at_any_moment_takes_nothing_from_the_others(service: Service) -> None:
    start = (await page(service))["next"]
    async with following(service, after=start) as stays:
        for number in range(20):
            async with following(service, after=start) as leaves:
                reading = asyncio.create_task(leaves.one())
                running = asyncio.create_task(service.run("chain"))
                if number % 2:
                    await asyncio.wait([reading, running], return_when=asyncio.FIRST_COMPLETED)
                reading.cancel()
                await asyncio.wait([reading])
            await running
        seen = await stays.until("execution.completed", 20)

    assert seqs(seen) == list(range(start + 1, start + 41))
