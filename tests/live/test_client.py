"""The client's requests against a real server."""

import asyncio
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from graphwire.client import AsyncClient, ConnectionFailed, ProblemError, Retry, UnexpectedAnswer
from graphwire.client.choice import Wanted
from graphwire.events.service_types import ServiceExecutionCompleted
from graphwire.events.types import NodeStarted
from tests.live.control import gates
from tests.live.serving import Service, serving
from tests.proxy import proxied

KEY = "right-key-right-key"
TRANSPORTS: tuple[Wanted, ...] = ("websocket", "sse", "poll")
GRAPH: dict[str, Any] = {"id": "sum", "nodes": [{"id": "add", "type": "transform", "config": {"set": {"n": "1 + 1"}}}]}
CHANGED = """\
id: sum
nodes:
  - id: add
    type: transform
    config: {set: {n: 2 + 2}}
"""


@pytest_asyncio.fixture
async def client(service: Service) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(f"http://127.0.0.1:{service.port}") as made:
        yield made


@pytest.mark.capability("CLN-01")
async def test_a_graph_is_made_changed_compared_drawn_and_deleted(client: AsyncClient) -> None:
    made = await client.graphs.create(GRAPH)
    changed = await client.graphs.put("sum", CHANGED, if_version=made.version)
    difference = await client.graphs.diff("sum", 1, 2)

    assert (made.id, made.version, changed.version) == ("sum", 1, 2)
    assert [(each.id, each.changes[0]["after"]) for each in difference.nodes.changed] == [("add", "2 + 2")]
    assert (await client.graphs.get("sum")).definition["nodes"][0]["config"] == {"set": {"n": "2 + 2"}}
    assert (await client.graphs.get("sum", version=1)).version == 1
    assert [each.version for each in (await client.graphs.versions("sum")).items] == [2, 1]
    assert (await client.graphs.diagram("sum")).startswith("flowchart")
    assert (await client.graphs.diagram("sum", format="dot")).startswith("digraph")
    assert (await client.run("sum")).state == {"n": 4}
    await client.graphs.delete("sum", if_version=2)
    with pytest.raises(ProblemError, match="not_found"):
        await client.graphs.get("sum")


@pytest.mark.capability("CLN-01")
async def test_a_change_of_another_version_is_refused_with_the_current_one(client: AsyncClient) -> None:
    await client.graphs.create(GRAPH)

    with pytest.raises(ProblemError) as conflict:
        await client.graphs.put("sum", CHANGED, if_version=7)
    with pytest.raises(ProblemError) as unnamed:
        await client.graphs.put("sum", CHANGED)

    assert (conflict.value.code, conflict.value.facts["current"]) == ("revision_conflict", 1)
    assert (unnamed.value.code, unnamed.value.facts["current"]) == ("precondition_required", 1)
    assert (await client.graphs.put("sum", CHANGED, if_version="any")).version == 2


@pytest.mark.capability("CLN-01")
async def test_problems_of_a_text_come_with_their_lines(client: AsyncClient) -> None:
    broken = CHANGED.replace("transform", "transfrom")

    judged = await client.graphs.validate(broken)
    with pytest.raises(ProblemError) as refused:
        await client.graphs.create(broken)

    assert not judged.valid
    for problem in (judged.problems[0], refused.value.errors[0]):
        assert (problem.pointer, problem.line) == ("/nodes/0/type", 4)
    assert refused.value.request_id is not None


async def test_lists_are_searched_and_paged(client: AsyncClient) -> None:
    everything = [graph.id async for graph in client.graphs.iterate(limit=2)]
    page = await client.graphs.list(limit=2)
    found = [graph.id async for graph in client.graphs.iterate(search="talk", limit=1)]

    assert len(everything) > 4
    assert ([graph.id for graph in page.items], page.next is None) == (everything[:2], False)
    assert found == ["late_talk", "talk"]


@pytest.mark.capability("CLN-01")
async def test_executions_are_started_found_cancelled_and_deleted(client: AsyncClient) -> None:
    began = datetime.now(UTC)
    started = await client.executions.start("gated", state={"gate": "gate"}, seed=7, detail="full")
    done = await client.run("chain")

    assert {each.id async for each in client.executions.iterate(limit=1)} == {started.id, done.id}
    assert [each.id for each in (await client.executions.list(status=["completed"])).items] == [done.id]
    assert [each.id async for each in client.executions.iterate(graph=["gated"], since=began)] == [started.id]
    assert (await client.executions.list(until=began - timedelta(days=1))).items == []
    with pytest.raises(ProblemError) as refused:
        await client.executions.delete(started.id)
    assert (refused.value.code, refused.value.facts["allowed"]) == ("command_not_allowed", ["cancel"])

    applied = await client.executions.cancel(started.id, reason="no more")
    result = await client.executions.wait(started.id)
    command = await client.executions.event(started.id, applied.applied_seq)

    assert (result.status, result.reason, command.type) == ("cancelled", "no more", "command_accepted")
    await client.executions.delete(started.id)
    with pytest.raises(ProblemError, match="not_found"):
        await client.executions.get(started.id)


async def test_events_are_read_page_by_page(client: AsyncClient) -> None:
    done = await client.run("chain")

    page = await client.executions.events(done.id, limit=2)
    rest = await client.executions.events(done.id, after=page.next, types=["node_started"])

    assert [event.seq for event in page.events] == [1, 2]
    assert isinstance(page.events[1].data, NodeStarted)
    assert [event.seq for event in rest.events] == [4, 6, 8, 9]
    assert (rest.ended, rest.next, rest.lagged) == (True, 9, None)
    assert (await client.executions.state(done.id)).state == {"count": 3}


async def test_a_run_that_takes_longer_than_an_answer_may_is_waited_for(
    client: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graphwire.client.asynchronous.RUN_WAIT_S", 1.0)

    async with asyncio.TaskGroup() as group:
        running = group.create_task(client.run("gated", state={"gate": "gate"}))
        await gates["gate"].reached.wait()
        found = (await client.executions.list()).items[0]
        waiting = group.create_task(client.executions.wait(found.id))
        async with client.follow(found.id) as stream:
            assert await stream.next_timeout(5) is not None
            while (await stream.next_timeout(1.1)) is not None:  # as long as the answer may take
                pass
        gates["gate"].opened.set()

    assert (await running).state["passed"]
    assert await running == await waiting


@pytest.mark.capability("CLN-01")
async def test_a_start_whose_answer_is_lost_is_repeated_and_starts_once(service: Service) -> None:
    async with proxied(f"http://127.0.0.1:{service.port}") as proxy, AsyncClient(proxy.url) as client:
        proxy.loses_answer = lambda data: b"POST" in data
        started = await client.executions.start("chain")

        executions = [each.id async for each in client.executions.iterate()]

    assert (proxy.lost, executions) == (1, [started.id])


async def test_a_change_whose_answer_is_lost_is_not_repeated(service: Service) -> None:
    async with proxied(f"http://127.0.0.1:{service.port}") as proxy, AsyncClient(proxy.url) as client:
        proxy.loses_answer = lambda data: b"PUT" in data
        with pytest.raises(ConnectionFailed) as failure:
            await client.graphs.put("sum", GRAPH)

        assert failure.value.was_open
        assert (await client.graphs.get("sum")).version == 1


async def test_a_service_that_is_not_there_is_told_with_its_address() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        async with AsyncClient(address, request_attempts=1) as client:
            with pytest.raises(ConnectionFailed, match=address):
                await client.service.live()


async def test_the_key_goes_with_every_request(tmp_path: Path) -> None:
    async with serving(tmp_path, api_key="the-key-of-this-test") as service:
        address = f"http://127.0.0.1:{service.port}"
        async with AsyncClient(address, "the-key-of-this-test") as client, client.stream("chain") as stream:
            assert (await stream.result()).status == "completed"
        async with AsyncClient(address, KEY[1:]) as client:
            assert (await client.service.live()).status == "live"
            with pytest.raises(ProblemError, match="unauthorized"):
                await client.run("chain")
            async with client.follow(stream.execution_id, retry=Retry(attempts=None)) as refused:
                with pytest.raises(ProblemError, match="unauthorized"):
                    await refused.recv()


async def test_what_is_no_graphwire_service_is_said_to_be_none(service: Service) -> None:
    page = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>"
    async with proxied(f"http://127.0.0.1:{service.port}") as proxy:
        proxy.answers = lambda request: page
        async with AsyncClient(proxy.url) as client:
            with pytest.raises(UnexpectedAnswer, match="is it a Graphwire service"):
                await client.service.live()


@pytest.mark.parametrize("address", ["127.0.0.1:8000", "ftp://x", "", "http://"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="the address of a service is like"):
        AsyncClient(address)


async def test_an_engine_that_runs_elsewhere_reports_what_it_does(client: AsyncClient) -> None:
    declared = await client.executions.declare("nightly", metadata={"by": "cron"})
    event = {"id": "1", "type": "node_started", "node_id": "fetch"}

    first = await client.executions.report(declared.id, [event])
    again = await client.executions.report(declared.id, [event, {"id": "2", "type": "execution_completed"}])
    async with client.follow(declared.id) as stream:
        seen = [(each.type, each.node_id) async for each in stream]

    assert [(each.seq, each.duplicate) for each in first.events] == [(2, False)]
    assert ([each.duplicate for each in again.events], again.status) == ([True, False], "completed")
    assert seen[1] == ("node_started", "fetch")
    assert seen[-1][0] == "stream_end"
    with pytest.raises(ProblemError, match="invalid_request") as refused:
        await client.executions.report(declared.id, [{"type": "?"}])
    assert {problem.pointer for problem in refused.value.errors} == {"/0/id", "/0/type"}


async def test_what_happens_in_the_service_is_followed_by_topics(client: AsyncClient) -> None:
    done = await client.run("chain")
    for transport in TRANSPORTS:
        async with client.events(topics=["execution.*"], transport=transport) as stream:
            seen = [await stream.recv(), await stream.recv()]
            await client.run("chain")
            later = await stream.recv()

        assert [(each.topic, each.execution_id) for each in seen] == [
            ("execution.started", done.id),
            ("execution.completed", done.id),
        ]
        assert isinstance(seen[1].data, ServiceExecutionCompleted)
        assert (later.topic, later.seq) == ("execution.started", stream.cursor)
        assert later.seq > seen[1].seq
