"""Executions are paused, stepped, answered and changed over HTTP and over WebSockets."""

import asyncio
import json
from typing import Any

import pytest

from tests.live.control import gates
from tests.live.serving import Service
from tests.live.sockets import socket
from tests.live.test_documented_examples import paused

ALLOWED_WHILE_PAUSED = ["cancel", "resume", "step", "input", "set_breakpoints", "edit_state", "fork"]


async def command(service: Service, execution: str, name: str, body: Any = None, **headers: str) -> int:
    """Give a command; return its number."""
    answer = await sent(service, execution, name, body, **headers)
    assert answer.status_code == 202, answer.text
    return int(answer.json()["applied_seq"])


async def sent(service: Service, execution: str, name: str, body: Any = None, **headers: str) -> Any:
    """Give a command; return the answer."""
    method = {"breakpoints": "PUT", "state": "PATCH"}.get(name, "POST")
    path = f"/executions/{execution}/{name}"
    return await service.client.request(method, path, json=body, headers=headers)


async def events(service: Service, execution: str) -> list[dict[str, Any]]:
    """Return all events of an execution that has ended, or those that there are."""
    answer = await service.client.get(f"/executions/{execution}/events", headers={"Accept": "application/json"})
    return list(answer.json()["events"])


async def shown(service: Service, execution: str) -> dict[str, Any]:
    return dict((await service.client.get(f"/executions/{execution}")).json())


async def ended(service: Service, execution: str) -> dict[str, Any]:
    """Wait for the end; return what is shown of it."""
    await service.client.get(f"/executions/{execution}/events")
    return await shown(service, execution)


async def state(service: Service, execution: str) -> Any:
    return (await service.client.get(f"/executions/{execution}/state")).json()["state"]


@pytest.mark.capability("CTL-01", "CTL-02", "CTL-11")
async def test_an_execution_is_paused_edited_stepped_and_resumed(service: Service) -> None:
    execution = await service.start("steered")
    await gates["steered"].reached.wait()
    await command(service, execution, "pause")
    assert (await shown(service, execution))["status"] == "pausing"
    gates["steered"].opened.set()
    await paused(service, execution)
    await command(service, execution, "state", {"n": 100, "gate": None})
    await command(service, execution, "step")
    await paused(service, execution)
    assert await state(service, execution) == {"n": 101}
    seq = await command(service, execution, "resume")
    done = await ended(service, execution)
    told = await events(service, execution)

    assert done["status"] == "completed"
    assert await state(service, execution) == {"n": 111}
    assert told[seq - 1]["type"] == "command_accepted"
    assert told[seq - 1]["data"] == {"command": "resume", "arguments": {}}
    assert [event["type"] for event in told if event["type"] in ("step_completed", "variable_changed")] == [
        "variable_changed",
        "step_completed",
    ]


@pytest.mark.bad_input(85)
async def test_what_does_not_fit_is_refused_with_what_does(service: Service) -> None:
    execution = await service.start("steered", state={"gate": "refused"})
    await gates["refused"].reached.wait()
    resumed = await sent(service, execution, "resume")
    edited = await sent(service, execution, "state", {"n": 1})
    await command(service, execution, "pause")
    gates["refused"].opened.set()
    await paused(service, execution)
    again = await sent(service, execution, "pause")
    unknown = await sent(service, "none", "pause")
    await command(service, execution, "resume")
    await ended(service, execution)
    late = await sent(service, execution, "pause")

    assert resumed.status_code == edited.status_code == again.status_code == late.status_code == 409
    problem = resumed.json()
    assert (problem["code"], problem["current"]) == ("command_not_allowed", "running")
    assert problem["allowed"] == ["cancel", "pause", "input", "set_breakpoints", "fork"]
    assert again.json()["allowed"] == ALLOWED_WHILE_PAUSED
    assert late.json()["current"] == "completed"
    assert unknown.status_code == 404


@pytest.mark.capability("CTL-07")
async def test_breakpoints_come_with_the_start_and_are_shown(service: Service) -> None:
    breakpoints = [{"node": "second", "condition": "state.n > 0"}, {"node": "first", "when": "after", "hits": 2}]
    execution = await service.start("steered", state={"gate": ""}, breakpoints=breakpoints)
    await paused(service, execution)
    at_breakpoint = await shown(service, execution)
    await command(service, execution, "breakpoints", [])
    cleared = (await shown(service, execution))["breakpoints"]
    await command(service, execution, "resume")

    assert (await ended(service, execution))["status"] == "completed"
    assert at_breakpoint["breakpoints"] == [
        {"node": "second", "when": "before", "condition": "state.n > 0", "hits": None, "counted": 1},
        {"node": "first", "when": "after", "condition": None, "hits": 2, "counted": 1},
    ]
    assert cleared == []
    hit = next(event for event in await events(service, execution) if event["type"] == "breakpoint_hit")
    assert (hit["node_id"], hit["data"]["condition"]) == ("second", "state.n > 0")


@pytest.mark.bad_input(102)
async def test_breakpoints_and_edits_that_are_wrong_are_told_with_their_places(service: Service) -> None:
    wrong = [{"node": "secnd"}, {"node": "first", "condition": "state.n >"}]
    started = await service.client.post("/graphs/steered/execute", json={"breakpoints": wrong})
    execution = await service.start("typed", breakpoints=[{"node": "hold"}])
    await paused(service, execution)
    node = await sent(service, execution, "breakpoints", [{"node": "hodl"}])
    shape = await sent(service, execution, "breakpoints", [{"node": "hold", "when": "never"}, 7])
    schema = await sent(service, execution, "state", {"n": "many"})
    reserved = await sent(service, execution, "state", {"errors": []})
    no_patch = await sent(service, execution, "state", [1])
    await command(service, execution, "cancel")

    assert [each["pointer"] for each in started.json()["errors"]] == ["/breakpoints/0/node", "/breakpoints/1/condition"]
    assert 'did you mean "second"?' in started.json()["errors"][0]["detail"]
    assert [each["pointer"] for each in node.json()["errors"]] == ["/0/node"]
    assert [each["pointer"] for each in shape.json()["errors"]] == ["/0/when", "/1"]
    assert schema.json()["code"] == "state_invalid"
    assert [each["pointer"] for each in schema.json()["errors"]] == ["/n"]
    assert reserved.json()["errors"][0]["code"] == "reserved_key"
    assert [each["pointer"] for each in no_patch.json()["errors"]] == [""]
    assert {each.status_code for each in (started, node, shape, schema, reserved, no_patch)} == {422}


@pytest.mark.bad_input(101)
async def test_a_node_that_asks_is_shown_found_and_answered(service: Service) -> None:
    execution = await service.start("asking")
    await paused(service, execution)
    found = (await service.client.get("/executions", params={"status": "paused", "waiting": "true"})).json()["items"]
    others = (await service.client.get("/executions", params={"waiting": "false"})).json()["items"]
    (interrupt,) = (await shown(service, execution))["interrupts"]
    name = interrupt["interrupt_id"]
    wrong = await sent(service, execution, "input", {"interrupt_id": name, "value": {"ok": "yes"}})
    unknown = await sent(service, execution, "input", {"interrupt_id": "x", "value": 1})
    step = await sent(service, execution, "step")
    await command(service, execution, "input", {"interrupt_id": name, "value": {"ok": True}})
    second = await sent(service, execution, "input", {"interrupt_id": name, "value": {"ok": True}})
    await paused(service, execution)
    (following,) = (await shown(service, execution))["interrupts"]
    await command(service, execution, "input", {"interrupt_id": following["interrupt_id"], "value": "Ada"})
    done = await ended(service, execution)
    late = await sent(service, execution, "input", {"interrupt_id": name, "value": 1})

    assert [each["id"] for each in found] == [execution]
    assert execution not in [each["id"] for each in others]
    assert (interrupt["node"], interrupt["payload"], interrupt["expires_at"]) == ("ask", "sure?", None)
    assert interrupt["schema"]["required"] == ["ok"]
    assert following["expires_at"].endswith("Z")
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/value/ok")
    assert unknown.status_code == 404
    assert (step.status_code, step.json()["code"]) == (409, "nothing_ready")
    assert (second.status_code, second.json()["code"]) == (409, "interrupt_closed")
    assert (late.status_code, late.json()["code"]) == (409, "command_not_allowed")
    assert (done["status"], done["interrupts"]) == ("completed", [])
    assert await state(service, execution) == {"sure": {"ok": True}, "name": "Ada"}


async def test_a_command_with_a_key_is_carried_out_once_on_every_transport(service: Service) -> None:
    execution = await service.start("steered", state={"gate": "keyed"})
    await gates["keyed"].reached.wait()
    key = {"Idempotency-Key": "k-1"}
    breakpoints = [{"node": "second"}]
    first = await command(service, execution, "breakpoints", breakpoints, **key)
    again = await sent(service, execution, "breakpoints", breakpoints, **key)
    async with socket(service) as ws:
        over_socket = await ws.result(
            "execution.set_breakpoints", execution_id=execution, breakpoints=breakpoints, idempotency_key="k-1"
        )
    gates["keyed"].opened.set()
    await paused(service, execution)
    await command(service, execution, "cancel")

    assert first == again.json()["applied_seq"] == over_socket["applied_seq"]
    assert again.headers["Idempotent-Replayed"] == "true"


async def test_all_commands_work_over_a_socket_with_the_same_refusals(service: Service) -> None:
    async with socket(service) as ws:
        started = await ws.result("execution.start", graph_id="steered", state={"gate": "ws"}, subscribe=False)
        execution = started["execution"]["id"]
        await gates["ws"].reached.wait()
        refused = await ws.problem("execution.resume", execution_id=execution)
        await ws.result("execution.set_breakpoints", execution_id=execution, breakpoints=[{"node": "second"}])
        wrong = await ws.call("execution.set_breakpoints", execution_id=execution, breakpoints=[{"node": "secnd"}])
        await ws.result("execution.pause", execution_id=execution)
        gates["ws"].opened.set()
        await paused(service, execution)
        await ws.result("execution.edit_state", execution_id=execution, patch={"n": 5})
        reserved = await ws.problem("execution.edit_state", execution_id=execution, patch={"errors": 1})
        await ws.result("execution.step", execution_id=execution, mode="into")
        await paused(service, execution)
        await ws.result("execution.resume", execution_id=execution)
        await paused(service, execution)  # at the breakpoint
        await ws.result("execution.resume", execution_id=execution)
    await ended(service, execution)

    assert refused["allowed"] == ["cancel", "pause", "input", "set_breakpoints", "fork"]
    assert wrong["error"]["data"]["errors"][0]["pointer"] == "/params/breakpoints/0/node"
    assert reserved["errors"][0]["pointer"] == "/params/patch/errors"
    assert (await state(service, execution))["n"] == 16


@pytest.mark.bad_input(85)
async def test_ten_sockets_that_race_get_one_order_of_effect(service: Service) -> None:
    execution = await service.start("ticks", state={"count": 400})
    answered: list[dict[str, Any]] = []

    async def race(number: int) -> None:
        async with socket(service) as ws:
            for turn in range(6):
                name = ("pause", "resume", "step", "resume")[(number + turn) % 4]
                answered.append({"name": name, **await ws.call(f"execution.{name}", execution_id=execution)})

    async with asyncio.TaskGroup() as group:
        for number in range(10):
            group.create_task(race(number))
    await sent(service, execution, "cancel")
    await ended(service, execution)
    told = await events(service, execution)

    accepted = {event["seq"]: event["data"]["command"] for event in told if event["type"] == "command_accepted"}
    applied = {each["result"]["applied_seq"]: each["name"] for each in answered if "result" in each}
    refused = [each["error"]["data"] for each in answered if "error" in each]
    assert len(answered) == 60
    assert {seq: name for seq, name in accepted.items() if name != "cancel"} == applied
    assert {problem["code"] for problem in refused} <= {"command_not_allowed", "nothing_ready"}
    status = "running"
    for event in told:
        match event["type"], event["data"].get("command"):
            case "command_accepted", "pause":
                assert status == "running"
                status = "pausing"
            case "command_accepted", "resume":
                assert status in ("pausing", "paused")
            case "command_accepted", "step":
                assert status == "paused"
                status = "pausing"
            case "execution_paused", _:
                assert status == "pausing"
                status = "paused"
            case "execution_resumed", _:
                status = "running" if told[event["seq"] - 2]["data"].get("command") == "resume" else "pausing"


async def frames(service: Service, execution: str, dialect: str) -> list[dict[str, Any]]:
    """Return all frames of an execution that has ended."""
    headers = {"Accept": "application/x-ndjson"}
    query = {"dialect": dialect}
    answer = await service.client.get(f"/executions/{execution}/events", params=query, headers=headers)
    return [json.loads(line) for line in answer.text.splitlines()]


async def test_dialects_follow_edits_and_answers(service: Service) -> None:
    edited = await service.start("steered", state={"gate": ""}, breakpoints=[{"node": "first"}])
    await paused(service, edited)
    await command(service, edited, "state", {"n": 100})
    await command(service, edited, "resume")
    await ended(service, edited)
    asked = await service.start("asking")
    answers: tuple[Any, ...] = ({"ok": True}, "Ada")
    for answer in answers:
        await paused(service, asked)
        (interrupt,) = (await shown(service, asked))["interrupts"]
        await command(service, asked, "input", {"interrupt_id": interrupt["interrupt_id"], "value": answer})
    await ended(service, asked)

    editor = await frames(service, edited, "editor")
    deltas = [each["delta"] for each in await frames(service, edited, "ag-ui") if each["type"] == "STATE_DELTA"]
    canvas = await frames(service, asked, "editor")
    steps = [each for each in await frames(service, asked, "ag-ui") if each["type"].startswith("STEP_")]
    dotted = [each["type"] for each in await frames(service, asked, "bus")]
    scoped = {each["metadata"]["event"]: each["scope"] for each in await frames(service, asked, "scoped")}

    before = [each["input_state"]["n"] for each in editor if each["event_type"] == "node_start"]
    assert before == [0, 100, 101]
    assert editor[-1]["final_state"]["n"] == 111
    assert [operation["value"] for delta in deltas for operation in delta] == [100, 101, 111]
    assert [each["event_type"] for each in canvas] == ["start", "node_start", "node_complete", "complete"]
    assert [each["stepName"] for each in steps] == ["ask", "ask"]
    assert [each for each in dotted if each.split(".")[1] in ("paused", "resumed", "node_suspended")] == [
        "execution.node_suspended",
        "execution.paused",
        "execution.resumed",
    ] * 2
    assert scoped["execution_paused"] == scoped["node_suspended"] == "__diagnostic__"
