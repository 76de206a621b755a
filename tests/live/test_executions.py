import asyncio

import pytest

from tests.databases import on_each_database
from tests.live.control import gates
from tests.live.serving import Service, types

pytestmark = on_each_database


async def test_a_running_execution_is_shown_as_of_now(service: Service) -> None:
    execution = await service.start("gated")
    await gates["gate"].reached.wait()

    body = (await service.client.get(f"/executions/{execution}")).json()
    state = (await service.client.get(f"/executions/{execution}/state")).json()

    assert body == {
        "id": execution,
        "graph_id": "gated",
        "graph_version": 1,
        "engine": "graphwire",
        "status": "running",
        "outcome": None,
        "started_at": body["started_at"],
        "ended_at": None,
        "duration_ms": body["duration_ms"],
        "steps": 1,
        "last_seq": 2,
        "forked_from": None,
        "links": {
            "self": f"/executions/{execution}",
            "events": f"/executions/{execution}/events",
            "websocket": f"/executions/{execution}/ws",
        },
        "error": None,
        "errors": [],
        "reason": None,
        "progress": {"percent": 0.0, "completed": 0, "total": 1, "running": ["hold"], "eta_s": None},
        "queue": None,
        "interrupts": [],
        "breakpoints": [],
    }
    assert body["started_at"].endswith("Z")
    assert body["duration_ms"] > 0
    assert state == {"seq": 2, "state": {"gate": "gate"}, "conflicts": []}
    gates["gate"].opened.set()


async def test_an_ended_execution_keeps_its_state(service: Service) -> None:
    execution = (await service.run("chain"))["id"]

    body = (await service.client.get(f"/executions/{execution}")).json()
    state = (await service.client.get(f"/executions/{execution}/state")).json()

    assert (body["status"], body["outcome"], body["last_seq"]) == ("completed", "success", 9)
    assert state == {"seq": 9, "state": {"count": 3}, "conflicts": []}


@pytest.mark.capability("CTL-05")
async def test_cancelling_is_stored_before_it_is_answered_and_then_happens(service: Service) -> None:
    execution = await service.start("gated")
    await gates["gate"].reached.wait()

    answer = await service.client.post(f"/executions/{execution}/cancel", json={"reason": "enough"})
    blocks = await service.events(execution)

    assert answer.status_code == 202
    accepted = blocks[answer.json()["applied_seq"] - 1]
    assert accepted["event"] == "command_accepted"
    assert [each for each in types(blocks)[-4:] if each != "execution_progress"][-3:] == [
        "node_cancelled", "execution_cancelled", "stream_end",
    ]  # fmt: skip
    assert (await service.client.get(f"/executions/{execution}")).json()["reason"] == "enough"


async def test_a_command_that_does_not_fit_is_refused_with_those_that_do(service: Service) -> None:
    execution = (await service.run("chain"))["id"]

    answer = await service.client.post(f"/executions/{execution}/cancel")

    assert answer.status_code == 409
    assert answer.json()["code"] == "command_not_allowed"
    assert (answer.json()["current"], answer.json()["allowed"]) == ("completed", ["fork"])


async def test_fifty_cancels_at_once_end_one_execution_once(service: Service) -> None:
    execution = await service.start("gated")
    await gates["gate"].reached.wait()

    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(service.client.post(f"/executions/{execution}/cancel")) for _ in range(50)]
    blocks = await service.events(execution)

    statuses = [each.result().status_code for each in asked]
    assert set(statuses) <= {202, 409}
    assert types(blocks).count("execution_cancelled") == 1
    assert types(blocks).count("command_accepted") == statuses.count(202)


async def test_an_execution_that_does_not_exist_is_not_found(service: Service) -> None:
    for path in ["", "/state", "/events/1"]:
        answer = await service.client.get(f"/executions/nothing{path}")

        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_executions_are_listed_newest_first_in_pages(service: Service) -> None:
    started = [(await service.run("chain"))["id"] for _ in range(5)]

    read: list[str] = []
    address: str | None = "/executions?limit=2"
    while address is not None:
        answer = await service.client.get(address)
        read += [item["id"] for item in answer.json()["items"]]
        address = answer.links["next"]["url"] if answer.json()["next"] else None

    assert read == started[::-1]
    oldest = await service.client.get("/executions?sort=started_at&limit=1")
    assert oldest.json()["items"][0]["id"] == started[0]


async def test_executions_are_found_by_what_they_are(service: Service) -> None:
    chain = (await service.run("chain"))["id"]
    failed = (await service.run("failing"))["id"]
    running = await service.start("gated")
    await gates["gate"].reached.wait()

    async def found(query: str) -> list[str]:
        return [item["id"] for item in (await service.client.get(f"/executions?{query}")).json()["items"]]

    assert await found("status=completed") == [chain]
    assert await found("status=completed,failed") == [failed, chain]
    assert await found("status=running&status=failed") == [running, failed]
    assert await found("status=stopping") == []
    assert await found("graph=chain,gated") == [running, chain]
    assert await found(f"q={chain[-12:]}") == [chain]
    assert await found("since=2001-01-01T00:00:00Z&until=2002-01-01T00:00:00%2B01:00") == []
    assert len(await found("since=2001-01-01T00:00:00Z")) == 3
    gates["gate"].opened.set()


@pytest.mark.bad_input(55)
async def test_a_list_that_cannot_be_made_is_refused_at_the_parameter(service: Service) -> None:
    for query in [
        "limit=0",
        "limit=-1",
        "limit=1e9",
        "limit=1001",
        "limit=x",
        "sort=id; drop table executions",
        "sort=state",
        "status=done",
        "q=%00",
        "since=yesterday",
        "until=2026-01-01T00:00:00",
        "q=" + "x" * 201,
    ]:
        answer = await service.client.get(f"/executions?{query}")

        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
        assert answer.json()["errors"][0]["pointer"].startswith(f"/query/{query.partition('=')[0]}")


@pytest.mark.bad_input(55)
async def test_a_text_to_search_for_is_only_a_text(service: Service) -> None:
    await service.run("chain")

    for text in ["'; drop table executions; --", "%", "_", "\\", '" or 1=1']:
        answer = await service.client.get("/executions", params={"q": text})

        assert answer.json()["items"] == []
        assert len((await service.client.get("/executions")).json()["items"]) == 1


async def test_a_cursor_that_is_none_is_refused(service: Service) -> None:
    for cursor in ["x", "%00", "e30=", "9" * 600]:
        answer = await service.client.get(f"/executions?after={cursor}")

        assert answer.status_code in (400, 422)


@pytest.mark.parametrize("since", ["1700000000", "2026-11-20", "2026-11-20T19:45:30", "2026-13-20T19:45:30Z", "\u0662"])
async def test_a_time_that_is_no_rfc_3339_text_with_its_offset_is_refused(service: Service, since: str) -> None:
    answer = await service.client.get("/executions", params={"since": since})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/query/since"


@pytest.mark.parametrize("since", ["2026-11-20T19:45:30Z", "2026-11-20T19:45:30.123456+02:00"])
async def test_a_time_with_its_offset_is_taken(service: Service, since: str) -> None:
    assert (await service.client.get("/executions", params={"since": since})).status_code == 200


async def test_several_accept_headers_are_one_list(service: Service) -> None:
    several = [("Accept", "image/png"), ("Accept", "application/json")]

    assert (await service.client.get("/executions", headers=several)).status_code == 200
