import asyncio
import signal
from pathlib import Path

import pytest

from tests.databases import on_each_database
from tests.live.control import gates
from tests.live.processes import COMMAND, environment, process
from tests.live.serving import Service, http_client, parse, serving, types
from tests.waiting import PATIENCE_S

JSON = {"Accept": "application/json"}


async def test_while_the_service_stops_new_work_is_refused_and_reading_is_told_to_come_back(service: Service) -> None:
    execution = (await service.run("chain"))["id"]
    service.drain()

    start = await service.client.post("/graphs/chain/execute")
    ready = await service.client.get("/health/ready")
    stream = await service.client.get(f"/executions/{execution}/events")
    lines = await service.client.get(f"/executions/{execution}/events", headers={"Accept": "application/x-ndjson"})

    assert (start.status_code, start.json()["code"]) == (503, "shutting_down")
    assert int(start.headers["retry-after"]) > 0
    assert (ready.status_code, ready.json()["code"]) == (503, "shutting_down")
    assert (await service.client.get("/health/live")).status_code == 200
    assert stream.status_code == 200
    assert types(parse(stream.content)) == ["stream_closed"]
    assert "retry" in parse(stream.content)[0]
    assert lines.status_code == 503


async def test_a_long_poll_and_a_wait_end_when_the_service_stops(service: Service) -> None:
    execution = await service.start("gated")
    await gates["gate"].reached.wait()

    async with asyncio.TaskGroup() as group:
        poll = group.create_task(service.client.get(f"/executions/{execution}/events?after=2&wait=20", headers=JSON))
        wait = group.create_task(service.client.post("/graphs/gated/execute/wait", json={"state": {"gate": "two"}}))
        await gates["two"].reached.wait()
        service.drain()

    assert poll.result().json()["events"] == []
    assert wait.result().status_code == 202
    for gate in ("gate", "two"):
        gates[gate].opened.set()


async def test_a_stream_ends_at_once_when_the_service_stops_and_its_execution_goes_on(tmp_path: Path) -> None:
    async with serving(tmp_path, drain_s=15) as service:
        execution = await service.start("gated")
        await gates["gate"].reached.wait()
        async with service.client.stream("GET", f"/executions/{execution}/events") as answer:
            service.server.should_exit = True
            blocks = parse(await answer.aread())
        gates["gate"].opened.set()

    assert types(blocks)[-1] == "stream_closed"
    async with serving(tmp_path) as service:
        assert (await service.client.get(f"/executions/{execution}")).json()["status"] == "completed"


@pytest.mark.bad_input(129)
async def test_executions_get_the_time_that_the_setting_says(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    async with serving(tmp_path, drain_s=4) as service:
        in_time = await service.start("gated", state={"gate": "in time"})
        late = await service.start("gated", state={"gate": "late"})
        for gate in ("in time", "late"):
            await gates[gate].reached.wait()
        began = loop.time()
        service.server.should_exit = True
        loop.call_later(1, gates["in time"].opened.set)
    took = loop.time() - began

    assert took >= 4
    async with serving(tmp_path) as service:
        shown = {name: (await service.client.get(f"/executions/{name}")).json() for name in (in_time, late)}
        gates["late"].opened.set()
        await service.events(late)
        ended = (await service.client.get(f"/executions/{late}")).json()
    assert shown[in_time]["status"] == "completed"
    assert (shown[late]["status"], ended["status"]) == ("running", "completed")


@pytest.mark.capability("OPS-03", "OPS-08")
@pytest.mark.bad_input(129)
async def test_the_command_serves_and_ends_in_time_when_it_is_told_to(tmp_path: Path) -> None:
    async with process(tmp_path, GRAPHWIRE_DRAIN_S="1") as served, http_client() as client:
        running, address = served.process, served.address
        assert (await client.get(f"{address}/health/ready")).status_code == 200
        async with client.stream("POST", f"{address}/graphs/gated/execute/stream") as answer:
            lines = answer.aiter_lines()
            async for line in lines:
                if line == "id: 2":
                    break
            running.send_signal(signal.SIGTERM)
            rest = [line async for line in lines]
        async with asyncio.timeout(PATIENCE_S):
            await running.wait()

    assert "event: stream_closed" in rest
    assert running.returncode == 0


@on_each_database
@pytest.mark.bad_input(128)
async def test_what_a_killed_process_left_goes_on_in_the_next_and_readers_resume(
    tmp_path: Path, database_url: str
) -> None:
    talk = {"state": {"count": 3, "gate": "never"}}
    async with (
        process(tmp_path, GRAPHWIRE_DATABASE_URL=database_url) as served,
        http_client() as client,
    ):
        running, address = served.process, served.address
        chain = (await client.post(f"{address}/graphs/chain/execute/wait", json={})).json()["id"]
        async with client.stream("POST", f"{address}/graphs/talk/execute/stream", json=talk) as answer:
            execution = answer.headers["location"]
            async for line in answer.aiter_lines():
                if line == "id: 5":
                    break
        # The page is answered after the events before it were handed to the store; a further start is stored after.
        await client.post(f"{address}/graphs/chain/execute/wait", json={})
        running.kill()
        await running.wait()

    async with serving(tmp_path, database_url=database_url) as service:
        at_once = (await service.client.get(execution)).json()
        gates["never"].opened.set()
        resumed = await service.client.get(f"{execution}/events", headers={"Last-Event-ID": "5"})
        shown = (await service.client.get(execution)).json()
        state = (await service.client.get(f"{execution}/state")).json()
        assert (await service.client.get(f"/executions/{chain}")).json()["status"] == "completed"

    blocks = parse(resumed.content)
    first = 5 + 65_536 + 1
    again = ["node_started", *["node_message"] * 4, "node_completed"]
    assert types(blocks) == ["checkpoint_restored", "node_cancelled", *again, "execution_completed", "stream_end"]
    assert [block.data["seq"] for block in blocks] == list(range(first, first + 10))
    assert blocks[0].data["data"] == {"valid_to": 5, "next": first}
    assert (blocks[1].data["node_id"], blocks[1].data["data"]["reason"]) == ("say", "interrupted")
    assert (blocks[1].data["data"]["attempt"], blocks[2].data["data"]["attempt"]) == (1, 2)
    assert blocks[1].data["activation"] == blocks[2].data["activation"]
    assert blocks[-1].data["data"]["total_events"] == 15
    assert at_once["status"] == "running"
    assert shown["status"] == "completed"
    assert shown["last_seq"] == state["seq"] == first + 9


@on_each_database
async def test_a_second_server_on_the_same_database_says_why_it_does_not_start(
    tmp_path: Path, database_url: str
) -> None:
    async with serving(tmp_path, database_url=database_url):
        second = await asyncio.create_subprocess_exec(
            *COMMAND, env=environment(tmp_path, GRAPHWIRE_DATABASE_URL=database_url), stderr=asyncio.subprocess.PIPE
        )
        _, said = await second.communicate()

    assert second.returncode != 0
    assert b"in use" in said
    assert b"Traceback" not in said
