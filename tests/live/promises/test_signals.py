"""A process that is told to stop, killed, or busy, as its readers see it."""

import asyncio
import json
import os
import signal
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.live.processes import COMMAND, Served, environment, process
from tests.live.promises.following import Connection, Follower
from tests.live.promises.forms import FORMS, Poll
from tests.live.serving import http_client
from tests.waiting import PATIENCE_S

TICKS = {"state": {"count": 100_000, "interval_s": 0.002, "text": "x" * 300}}


async def start(client: httpx.AsyncClient, graph: str, body: Any) -> str:
    """Start an execution."""
    answer = await client.post(f"/graphs/{graph}/execute", json=body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def storm(client: httpx.AsyncClient) -> list[int]:
    """Start executions until nothing is started any more; return the last statuses."""
    statuses: list[int] = []
    try:
        while 503 not in statuses:
            statuses.append((await client.post("/graphs/chain/execute")).status_code)
    except httpx.TransportError:
        statuses.append(0)
    return statuses


async def followed(followers: Sequence[Follower], served: Served, *signals: int) -> list[Connection]:
    """Follow live until all have something, then have the process stopped, and read each connection to its end."""
    async with AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(each.connected()) for each in followers]
        for connection in connections:
            await connection.until_event(20)
        async with asyncio.TaskGroup() as group:
            for connection in connections:
                group.create_task(connection.end())
            for number in signals:
                served.process.send_signal(number)
        return connections


async def resumed(followers: Sequence[Follower], served: Served) -> None:
    """Have all of them go on to the end, on the next process, which goes on with the executions until it is told."""
    async with http_client(served.address) as client:
        for execution in {follower.execution for follower in followers}:
            assert (await client.post(f"/executions/{execution}/cancel")).status_code == 202
    for follower in followers:
        follower.port = served.port
        assert await follower.follow() == "end"


@pytest.mark.bad_input(129)
@pytest.mark.capability("SSE-13")
async def test_a_process_under_load_that_is_told_to_stop_ends_streams_whole_and_the_next_goes_on(
    tmp_path: Path,
) -> None:
    async with process(tmp_path, GRAPHWIRE_DRAIN_S="1") as served, http_client(served.address) as client:
        executions = [await start(client, "ticks", TICKS) for _ in range(4)]
        followers = [Follower(form, served.port, execution) for execution in executions for form in FORMS.values()]
        async with asyncio.TaskGroup() as group:
            storms = [group.create_task(storm(client)) for _ in range(4)]
            connections = await followed(followers, served, signal.SIGTERM)
        assert await served.ended() == 0
    async with process(tmp_path) as served, http_client(served.address) as client:
        await resumed(followers, served)
        shown = [(await client.get(f"/executions/{execution}")).json() for execution in executions]
        late = {execution: Follower(FORMS["ndjson"], served.port, execution) for execution in executions}
        for follower in late.values():
            await follower.follow()

    assert {task.result()[-1] for task in storms} <= {503, 0}
    assert [each["status"] for each in shown] == ["cancelled"] * 4
    for connection, follower in zip(connections, followers, strict=True):
        is_poll = isinstance(connection.session, Poll)
        assert connection.session.rest == b""
        assert [each.value["data"]["code"] for each in follower.told("stream_closed")] == ["shutting_down"] * (
            not is_poll
        )
        assert follower.lines == late[follower.execution].lines


@pytest.mark.bad_input(129)
async def test_a_second_signal_ends_the_process_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    async with (
        process(tmp_path, GRAPHWIRE_DRAIN_S="60") as served,
        http_client(served.address) as client,
    ):
        execution = await start(client, "ticks", TICKS)
        followers = [Follower(form, served.port, execution) for form in FORMS.values()]
        await followed(followers, served, signal.SIGTERM)
        assert served.process.returncode is None

        served.process.send_signal(signal.SIGTERM)
        await served.ended(within_s=30)
    async with process(tmp_path) as served:
        await resumed(followers, served)

    for follower in followers:
        events = [json.loads(line) for line in follower.lines]
        assert [event["type"] for event in events][-2:] == ["execution_cancelled", "stream_end"]
        assert without_what_was_taken_back(events) == without_what_was_taken_back(
            [json.loads(line) for line in followers[0].lines]
        )


@pytest.mark.bad_input(128)
async def test_a_process_that_is_killed_takes_back_only_what_it_says(tmp_path: Path) -> None:
    async with process(tmp_path) as served, http_client(served.address) as client:
        execution = await start(client, "ticks", TICKS)
        followers = [Follower(form, served.port, execution) for form in FORMS.values()]
        await followed(followers, served, signal.SIGKILL)
        await served.ended()
    async with process(tmp_path) as served:
        await resumed(followers, served)
        late = Follower(FORMS["ndjson"], served.port, execution)
        await late.follow()

    kept = [json.loads(line) for line in late.lines]
    for follower in followers:
        assert without_what_was_taken_back([json.loads(line) for line in follower.lines]) == kept


def without_what_was_taken_back(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what stands of events, as a consumer that goes by ``checkpoint_restored`` folds them."""
    standing: list[dict[str, Any]] = []
    for event in events:
        if event["type"] == "checkpoint_restored":
            standing = [each for each in standing if each["seq"] <= event["data"]["valid_to"]]
        standing.append(event)
    return standing


@pytest.mark.bad_input(129)
async def test_a_process_that_is_told_to_stop_while_it_starts_does_and_the_next_one_starts(tmp_path: Path) -> None:
    folder = tmp_path / "graphs"
    folder.mkdir()
    os.mkfifo(folder / "gate")
    (folder / "slow.py").write_text("import pathlib\npathlib.Path(__file__).with_name('gate').read_text()\n")

    assert await stopped_at_start(tmp_path, folder, signal.SIGTERM, patience="1") == 0
    # Two signals of one kind may arrive as one.
    assert await stopped_at_start(tmp_path, folder, signal.SIGTERM, signal.SIGINT, patience="60") != 0
    async with process(tmp_path) as served, http_client(served.address) as client:
        assert (await client.get("/health/ready")).status_code == 200


async def stopped_at_start(tmp_path: Path, folder: Path, *signals: int, patience: str) -> int:
    """Start a process with a file that does not come to its end, and stop it while that is tried."""
    variables = environment(tmp_path, GRAPHWIRE_GRAPHS=str(folder), GRAPHWIRE_CODE_CHECK_TIMEOUT_S=patience)
    starting = await asyncio.create_subprocess_exec(
        *COMMAND, env=variables, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        with await asyncio.to_thread((folder / "gate").open, "w"):  # it is open when the file has begun
            for number in signals:
                starting.send_signal(number)
            async with asyncio.timeout(PATIENCE_S):
                return await starting.wait()
    finally:
        if starting.returncode is None:
            starting.kill()
        await starting.wait()


@pytest.mark.bad_input(92)
async def test_heartbeats_and_commands_keep_their_times_while_a_node_holds_the_loop(tmp_path: Path) -> None:
    async with process(tmp_path) as served, http_client(served.address) as client:
        quiet = [await start(client, "gated", {}) for _ in range(2)]
        silent = [Follower(FORMS[name], served.port, quiet[0], query={"heartbeat": "1"}) for name in ("sse", "ndjson")]
        async with AsyncExitStack() as stack:
            connections = [await stack.enter_async_context(each.connected()) for each in silent]
            for connection in connections:
                await connection.until_event(2)
            async with asyncio.TaskGroup() as group:
                reading = [group.create_task(connection.end()) for connection in connections]
                holding = Follower(FORMS["sse"], served.port, await start(client, "holding", {}))
                async with holding.connected() as held:
                    await held.until_event(4)
                    cancelled = await client.post(f"/executions/{quiet[1]}/cancel")
                    await held.end()
                signs = [follower.signs for follower in silent]
                await client.post(f"/executions/{quiet[0]}/cancel")
        cancelling = Follower(FORMS["ndjson"], served.port, quiet[1])
        await cancelling.follow()

    assert cancelled.status_code == 202
    assert [task.result() for task in reading] == ["end", "end"]
    # Three seconds of holds, and heartbeats of one second.
    assert min(signs) >= 2
    accepted = next(event for event in map(json.loads, cancelling.lines) if event["type"] == "command_accepted")
    said = [json.loads(line) for line in holding.lines if b'"held"' in line]
    meanwhile = [event for event in said if said[1]["ts"] < event["ts"] < accepted["ts"]]
    assert len(meanwhile) <= 3
