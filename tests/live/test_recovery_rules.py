"""When an execution does not just go on in the next process: what it lost too often, and what is not counted."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.databases import on_each_database
from tests.live.control import gates
from tests.live.serving import Service, serving

STEPS = """from graphwire import Graph
from tests.live.control import gates

graph = Graph("steps", state={})


@graph.node()
async def first():
    await gates["first"].pass_through()


@graph.node(retry={"max_attempts": 2, "delay_s": 3600, "jitter": "none"})
async def second():
    await gates["second"].pass_through()
    if gates["fails"].opened.is_set():
        raise ConnectionError("not now")


graph.edge("first", "second")
"""
LOST_TOO_OFTEN = 3


@asynccontextmanager
async def process(folder: Path, url: str, text: str = STEPS, **changes: Any) -> AsyncIterator[Service]:
    """Serve the graph of a text, as a process that ends without waiting for what runs."""
    graphs = folder / "graphs"
    graphs.mkdir(exist_ok=True)
    (graphs / "graph.py").write_text(text)
    gates.clear()
    async with serving(folder, graphs=(graphs,), drain_s=0.05, **{"database_url": url, **changes}) as service:
        yield service


async def shown(service: Service, execution: str) -> dict[str, Any]:
    answer = await service.client.get(f"/executions/{execution}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def command(service: Service, execution: str, name: str, **body: Any) -> int:
    return (await service.client.post(f"/executions/{execution}/{name}", json=body)).status_code


async def lose(folder: Path, url: str, gate: str, times: int = LOST_TOO_OFTEN) -> None:
    """Lose the attempt that waits at a gate with its process, so many times."""
    for _ in range(times):
        async with process(folder, url):
            await gates[gate].reached.wait()


@on_each_database
async def test_an_execution_that_ends_its_process_again_and_again_fails(tmp_path: Path, database_url: str) -> None:
    async with process(tmp_path, database_url) as service:
        execution = await service.start("steps")
        await gates["first"].reached.wait()
    await lose(tmp_path, database_url, "first")
    async with process(tmp_path, database_url) as service:
        events = await service.events(execution)
        found = await shown(service, execution)
    assert not gates["first"].reached.is_set(), "it ran once more"
    assert (found["status"], found["error"]["code"]) == ("failed", "recovery_limit_exceeded")
    last = [event["event"] for event in events][-4:]
    assert last == ["checkpoint_restored", "node_cancelled", "execution_failed", "stream_end"]


async def test_a_commit_between_two_recoveries_begins_the_count_anew(tmp_path: Path, database_url: str) -> None:
    async with process(tmp_path, database_url) as service:
        execution = await service.start("steps")
        await gates["first"].reached.wait()
    await lose(tmp_path, database_url, "first", LOST_TOO_OFTEN - 1)
    async with process(tmp_path, database_url) as service:
        gates["first"].opened.set()
        await gates["second"].reached.wait()
    await lose(tmp_path, database_url, "second", LOST_TOO_OFTEN - 1)
    async with process(tmp_path, database_url) as service:
        gates["second"].opened.set()
        await service.events(execution)
        assert (await shown(service, execution))["status"] == "completed"


async def test_what_sleeps_has_lost_nothing_and_is_taken_up_again_and_again(tmp_path: Path, database_url: str) -> None:
    async with process(tmp_path, database_url) as service:
        execution = await service.start("steps")
        gates["first"].opened.set()
        await gates["second"].reached.wait()
    await lose(tmp_path, database_url, "second", LOST_TOO_OFTEN - 1)
    async with process(tmp_path, database_url) as service:
        gates["fails"].opened.set()
        gates["second"].opened.set()
        await until(service, execution, "retry_scheduled")
    for _ in range(2):
        async with process(tmp_path, database_url) as service:
            await until(service, execution, "checkpoint_restored")
            assert (await shown(service, execution))["status"] == "running"


async def test_what_is_paused_or_waits_for_an_answer_is_not_counted(tmp_path: Path, database_url: str) -> None:
    asks = {"id": "asks", "nodes": [{"id": "ask", "type": "human_input", "config": {"prompt": "?"}}]}
    async with process(tmp_path, database_url) as service:
        assert (await service.client.post("/graphs", json=asks)).status_code == 201
        asking, paused = await service.start("asks"), await service.start("steps")
        await gates["first"].reached.wait()
        assert await command(service, paused, "pause") == 202
        gates["first"].opened.set()
        await until(service, paused, "execution_paused")
        await until(service, asking, "execution_paused")
    for _ in range(LOST_TOO_OFTEN + 1):
        async with process(tmp_path, database_url) as service:
            assert [(await shown(service, each))["status"] for each in (asking, paused)] == ["paused", "paused"]
    async with process(tmp_path, database_url) as service:
        gates["second"].opened.set()
        (question,) = (await shown(service, asking))["interrupts"]
        assert await command(service, asking, "input", interrupt_id=question["interrupt_id"], value="yes") == 202
        assert await command(service, paused, "resume") == 202
        for each in (asking, paused):
            await service.events(each)
            assert (await shown(service, each))["status"] == "completed"


async def until(service: Service, execution: str, type_: str, after: int = 0) -> dict[str, Any]:
    """Return the first event of a type."""
    headers = {"Accept": "application/json"}
    while True:
        query = {"after": after, "wait": 5, "limit": 1}
        page = (await service.client.get(f"/executions/{execution}/events", params=query, headers=headers)).json()
        for event in page["events"]:
            if event["type"] == type_:
                return dict(event)
        assert not page["ended"]
        after = page["next"]
