"""Executions whose code is another one in the next process: they wait until it is again what it was."""

from pathlib import Path

from tests.databases import on_each_database
from tests.live.control import gates
from tests.live.test_recovery_rules import STEPS, command, process, shown, until

CHANGED = STEPS.replace('raise ConnectionError("not now")', "return")
INNER = {"id": "outer", "nodes": [{"id": "sub", "type": "subgraph", "config": {"graph": "steps"}}]}


@on_each_database
async def test_an_execution_waits_until_its_code_is_what_it_was(tmp_path: Path, database_url: str) -> None:
    async with process(tmp_path, database_url) as service:
        execution = await service.start("steps")
        await gates["first"].reached.wait()
    for _ in range(2):
        async with process(tmp_path, database_url, CHANGED) as service:
            paused = await until(service, execution, "execution_paused")
            assert paused["data"]["reason"] == "code_changed"
            assert (await shown(service, execution))["status"] == "paused"
            for name, body in (("resume", {}), ("step", {}), ("input", {"interrupt_id": "i", "value": 1})):
                answer = await service.client.post(f"/executions/{execution}/{name}", json=body)
                assert (answer.status_code, answer.json()["code"]) == (409, "code_changed"), name
            assert not gates["first"].reached.is_set()
    async with process(tmp_path, database_url) as service:
        assert (await shown(service, execution))["status"] == "paused", "what was paused stays paused"
        gates["first"].opened.set()
        gates["second"].opened.set()
        assert await command(service, execution, "resume") == 202
        events = await service.events(execution)
        assert (await shown(service, execution))["status"] == "completed"
    assert [block["event"] for block in events].count("execution_paused") == 1


async def test_one_whose_code_changed_is_cancelled_and_its_fork_goes_on(tmp_path: Path, database_url: str) -> None:
    async with process(tmp_path, database_url) as service:
        execution = await service.start("steps")
        gates["first"].opened.set()
        await gates["second"].reached.wait()
    async with process(tmp_path, database_url, CHANGED) as service:
        await until(service, execution, "execution_paused")
        answer = await service.client.post(f"/executions/{execution}/fork", json={"version": 2})
        assert answer.status_code == 201, answer.text
        assert await command(service, execution, "cancel") == 202
        await service.events(execution)
        assert (await shown(service, execution))["status"] == "cancelled"
        gates["second"].opened.set()
        events = await service.events(answer.json()["id"])
        assert (await shown(service, answer.json()["id"]))["status"] == "completed"
    completed = [block.data["node_id"] for block in events if block["event"] == "node_completed"]
    assert completed == ["second"]


async def test_one_that_runs_a_graph_whose_code_changed_waits_too(tmp_path: Path, database_url: str) -> None:
    async with process(tmp_path, database_url) as service:
        assert (await service.client.post("/graphs", json=INNER)).status_code == 201
        execution = await service.start("outer")
        gates["first"].opened.set()
        await gates["second"].reached.wait()
    async with process(tmp_path, database_url, CHANGED) as service:
        paused = await until(service, execution, "execution_paused")
        assert paused["data"]["reason"] == "code_changed"
        answer = await service.client.post(f"/executions/{execution}/resume", json={})
        assert (answer.status_code, answer.json()["code"]) == (409, "code_changed")
    async with process(tmp_path, database_url) as service:
        gates["second"].opened.set()
        assert await command(service, execution, "resume") == 202
        events = await service.events(execution)
        assert (await shown(service, execution))["status"] == "completed"
    started = [block.data["node_id"] for block in events if block["event"] == "node_started"]
    assert started.count("first") == 1, "what was committed ran again"


async def test_a_question_in_changed_code_is_not_answered_until_it_is_restored(
    tmp_path: Path, database_url: str
) -> None:
    asks = STEPS.replace(
        'graph.edge("first", "second")',
        'graph.edge("first", "second").node("ask", "human_input", {"prompt": "?"}).edge("second", "ask")',
    )
    changed = asks.replace('raise ConnectionError("not now")', "return")
    async with process(tmp_path, database_url, asks) as service:
        execution = await service.start("steps")
        gates["first"].opened.set()
        gates["second"].opened.set()
        await until(service, execution, "execution_paused")
    async with process(tmp_path, database_url, changed) as service:
        (question,) = (await shown(service, execution))["interrupts"]
        answer = {"interrupt_id": question["interrupt_id"], "value": "yes"}
        assert await command(service, execution, "input", **answer) == 409
    async with process(tmp_path, database_url, asks) as service:
        assert await command(service, execution, "input", **answer) == 202
        if (await shown(service, execution))["status"] == "paused":
            assert await command(service, execution, "resume") == 202
        await service.events(execution)
        assert (await shown(service, execution))["status"] == "completed"
