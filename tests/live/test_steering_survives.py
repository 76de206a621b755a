"""What was steered before the machine died is steered on after it: pauses, breakpoints, edits and open questions."""

import asyncio
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.live.processes import Served, process
from tests.waiting import PATIENCE_S


async def until(client: httpx.AsyncClient, status: str) -> dict[str, Any]:
    """Wait for a status of the execution that the client is about; return what is shown then."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            shown: dict[str, Any] = (await client.get(str(client.base_url).rstrip("/"))).json()
            if shown["status"] == status:
                return shown
            query = {"after": shown["last_seq"], "wait": 1}
            await client.get("/events", params=query, headers={"Accept": "application/json"})


def about(served: Served, execution: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=served.address + execution, timeout=PATIENCE_S)


async def begun(served: Served, graph: str, **body: Any) -> str:
    async with httpx.AsyncClient(base_url=served.address, timeout=PATIENCE_S) as client:
        answer = await client.post(f"/graphs/{graph}/execute", json=body)
    assert answer.status_code == 202, answer.text
    return str(answer.headers["location"])


@pytest.mark.bad_input(101)
@pytest.mark.capability("CTL-10")
async def test_a_pause_with_its_breakpoints_and_edits_survives_a_stop(tmp_path: Path) -> None:
    breakpoints = [{"node": "first"}, {"node": "second", "when": "after"}]
    async with process(tmp_path) as served:
        execution = await begun(served, "steered", state={"gate": ""}, breakpoints=breakpoints)
        async with about(served, execution) as client:
            await until(client, "paused")
            assert (await client.patch("/state", json={"n": 100, "gate": None})).status_code == 202
        served.process.send_signal(signal.SIGTERM)
        await served.ended()

    async with process(tmp_path) as served, about(served, execution) as client:
        shown = await until(client, "paused")
        state = (await client.get("/state")).json()["state"]
        assert (await client.post("/step")).status_code == 202
        await until(client, "paused")
        stepped = (await client.get("/state")).json()["state"]
        assert (await client.post("/resume")).status_code == 202
        await until(client, "paused")  # after the second
        assert (await client.post("/resume")).status_code == 202
        await until(client, "completed")
        final = (await client.get("/state")).json()["state"]

    assert [(each["node"], each["when"], each["counted"]) for each in shown["breakpoints"]] == [
        ("first", "before", 1),
        ("second", "after", 0),
    ]
    assert (state, stepped, final) == ({"n": 100}, {"n": 101}, {"n": 111})


@pytest.mark.bad_input(101)
async def test_an_open_question_survives_kills_with_its_schema_and_the_answers_before_it(tmp_path: Path) -> None:
    async with process(tmp_path) as served:
        execution = await begun(served, "asking")
        async with about(served, execution) as client:
            (first,) = (await until(client, "paused"))["interrupts"]
        served.process.send_signal(signal.SIGKILL)
        await served.ended()

    async with process(tmp_path) as served:
        async with about(served, execution) as client:
            (again,) = (await until(client, "paused"))["interrupts"]
            wrong = await client.post("/input", json={"interrupt_id": first["interrupt_id"], "value": {"ok": "?"}})
            right = await client.post("/input", json={"interrupt_id": first["interrupt_id"], "value": {"ok": True}})
            (second,) = (await until(client, "paused"))["interrupts"]
        served.process.send_signal(signal.SIGKILL)
        await served.ended()

    async with process(tmp_path) as served, about(served, execution) as client:
        await until(client, "paused")
        closed = await client.post("/input", json={"interrupt_id": first["interrupt_id"], "value": {"ok": True}})
        await client.post("/input", json={"interrupt_id": second["interrupt_id"], "value": "Ada"})
        await until(client, "completed")
        final = (await client.get("/state")).json()["state"]

    assert again == first
    assert (wrong.status_code, right.status_code) == (422, 202)
    assert (closed.status_code, closed.json()["code"]) == (409, "interrupt_closed")
    assert final == {"sure": {"ok": True}, "name": "Ada"}


@pytest.mark.bad_input(101)
@pytest.mark.capability("CTL-10", "SCH-08")
async def test_what_is_paused_survives_with_what_was_set_meanwhile_and_takes_no_room(tmp_path: Path) -> None:
    breakpoints = [{"node": "first"}]
    variables: dict[str, Any] = {"GRAPHWIRE_MAX_RUNNING": "1", "GRAPHWIRE_DRAIN_S": "3600"}
    async with process(tmp_path, **variables) as served:
        execution = await begun(served, "steered", state={"gate": ""}, breakpoints=breakpoints)
        async with about(served, execution) as client:
            await until(client, "paused")
            answer = await client.put("/breakpoints", json=[{"node": "second", "when": "after"}])
            assert answer.status_code == 202
        served.process.send_signal(signal.SIGKILL)
        await served.ended()

    async with process(tmp_path, **variables) as served:
        async with about(served, execution) as client:
            shown = await until(client, "paused")
        another = await begun(served, "steered", state={"gate": ""}, breakpoints=breakpoints)
        async with about(served, another) as client:
            await until(client, "paused")
        served.process.send_signal(signal.SIGTERM)
        await served.ended()  # nobody waits for those that are paused

    assert [(each["node"], each["when"], each["counted"]) for each in shown["breakpoints"]] == [("second", "after", 0)]
