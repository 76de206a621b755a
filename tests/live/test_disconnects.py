import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.live.control import gates
from tests.live.log_lines import log_lines
from tests.live.serving import Service, connection, numbers, parse, request, serving, types
from tests.waiting import PATIENCE_S

JSON = {"Accept": "application/json"}


async def cancelled(service: Service, execution: str) -> list[dict[str, Any]]:
    """Look at an execution until it is cancelled, without being a reader that waits; return its events from then on."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            page = (await service.client.get(f"{execution}/events?after=2", headers=JSON)).json()
            if page["events"]:
                return list(page["events"])


@pytest.mark.capability("SSE-09")
async def test_an_execution_that_is_to_end_with_its_readers_does(tmp_path: Path) -> None:
    async with serving(tmp_path, disconnect_grace_s=0.05) as service:
        start = {"on_disconnect": "cancel"}
        async with service.client.stream("POST", "/graphs/gated/execute/stream", json=start) as answer:
            execution = answer.headers["location"]
            await gates["gate"].reached.wait()

        events = await cancelled(service, execution)

    assert events[0]["type"] == "command_accepted"
    assert events[0]["data"]["arguments"] == {"reason": "its last reader left"}


@pytest.mark.capability("SSE-09")
async def test_a_reader_that_comes_back_in_time_keeps_it_running(tmp_path: Path) -> None:
    async with serving(tmp_path, disconnect_grace_s=3.0) as service:
        start = {"on_disconnect": "cancel"}
        other = {"on_disconnect": "cancel", "state": {"gate": "other"}}
        async with service.client.stream("POST", "/graphs/gated/execute/stream", json=start) as answer:
            execution = answer.headers["location"]
            await gates["gate"].reached.wait()
        async with service.client.stream("GET", f"{execution}/events", headers={"Last-Event-ID": "2"}) as answer:
            # The grace period of the first reader is over when that of a later execution, which nobody reads, is.
            async with service.client.stream("POST", "/graphs/gated/execute/stream", json=other) as leaving:
                await gates["other"].reached.wait()
            left = leaving.headers["location"]
            await cancelled(service, left)
            gates["gate"].opened.set()
            blocks = parse(await answer.aread())

    assert types(blocks)[-2:] == ["execution_completed", "stream_end"]


async def test_a_reader_that_stays_keeps_it_running_when_another_leaves(tmp_path: Path) -> None:
    async with serving(tmp_path, disconnect_grace_s=0) as service:
        start = {"on_disconnect": "cancel"}
        async with service.client.stream("POST", "/graphs/gated/execute/stream", json=start) as answer:
            execution = answer.headers["location"]
            await gates["gate"].reached.wait()
            async with service.client.stream("GET", f"{execution}/events"):
                pass
            async with asyncio.timeout(PATIENCE_S):
                while len(service.server.server_state.tasks) > 1:
                    await service.client.get("/health/live")
            gates["gate"].opened.set()
            blocks = parse(await answer.aread())

    assert types(blocks)[-2:] == ["execution_completed", "stream_end"]


@pytest.mark.bad_input(63)
async def test_a_client_that_leaves_before_the_answer_leaves_a_whole_execution(service: Service) -> None:
    async with connection(service.port) as raw:
        await raw.send(request("POST", "/graphs/gated/execute/wait", b"{}"))
        await gates["gate"].reached.wait()
    gates["gate"].opened.set()

    items: list[dict[str, object]] = []
    async with asyncio.timeout(PATIENCE_S):
        while not items or items[0]["ended_at"] is None:
            items = (await service.client.get("/executions")).json()["items"]
    assert items[0]["status"] == "completed"


async def test_connections_that_come_and_go_leave_nothing_behind(service: Service) -> None:
    execution = await service.start("gated")
    await gates["gate"].reached.wait()
    for _ in range(30):
        async with connection(service.port) as raw:
            await raw.send(request("GET", f"/executions/{execution}/events"))
            await raw.head()
            await raw.chunk()

    async with asyncio.timeout(PATIENCE_S):
        while service.server.server_state.tasks:
            await service.client.get("/health/live")
    gates["gate"].opened.set()
    assert numbers(await service.events(execution)) == [1, 2, 3, 4, 5]


@pytest.mark.bad_input(63)
async def test_who_waits_for_the_end_and_leaves_is_not_waited_for(service: Service) -> None:
    with log_lines("app.api.middleware") as lines:
        async with connection(service.port) as raw:
            await raw.send(request("POST", "/graphs/gated/execute/wait?timeout=600", b"{}"))
            await gates["gate"].reached.wait()
        await lines.until("(499)")

    # The answer is given up, the execution is not.
    executions = (await service.client.get("/executions")).json()["items"]
    assert [each["status"] for each in executions] == ["running"]
    gates["gate"].opened.set()


@pytest.mark.bad_input(63)
@pytest.mark.capability("SSE-09")
async def test_who_polls_and_leaves_is_a_reader_that_left(tmp_path: Path) -> None:
    async with serving(tmp_path, disconnect_grace_s=0) as service:
        execution = f"/executions/{await service.start('gated', on_disconnect='cancel')}"
        await gates["gate"].reached.wait()
        known = (await service.client.get(f"{execution}/events", headers=JSON)).json()["last_seq"]
        with log_lines("app.api.middleware") as lines:
            async with connection(service.port) as raw:
                await raw.send(request("GET", f"{execution}/events?after={known}&wait=30", Accept="application/json"))
            await lines.until("(499)")

        events = await cancelled(service, execution)

    assert events[0]["data"]["arguments"] == {"reason": "its last reader left"}
