"""What is asked of many executions at once."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.databases import on_each_database
from tests.live.control import gates
from tests.live.serving import Service

pytestmark = on_each_database

KEY = {"Idempotency-Key": "many-1"}


async def start_gated(service: Service, count: int) -> list[str]:
    """Start executions that wait at gates of their own, until they do."""
    started = [await service.start("gated", state={"gate": f"gate {number}"}) for number in range(count)]
    for number in range(count):
        await gates[f"gate {number}"].reached.wait()
    return started


async def cancel(service: Service, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
    return await service.client.post("/executions/cancel", json=body, headers=headers)


async def statuses(service: Service, ids: list[str]) -> list[str]:
    for execution in ids:
        await service.events(execution)
    return [(await service.client.get(f"/executions/{execution}")).json()["status"] for execution in ids]


async def test_all_that_run_are_cancelled_by_their_graph(service: Service) -> None:
    ids = await start_gated(service, 3)
    done = (await service.run("chain"))["id"]

    answer = await cancel(service, graph=["gated", "chain"], reason="enough")

    assert answer.status_code == 200
    assert [item["id"] for item in answer.json()["items"]] == ids
    assert answer.json()["more"] is False
    for item in answer.json()["items"]:
        event = (await service.client.get(f"/executions/{item['id']}/events/{item['applied_seq']}")).json()
        assert (event["type"], event["data"]["arguments"]) == ("command_accepted", {"reason": "enough"})
    assert await statuses(service, [*ids, done]) == ["cancelled"] * 3 + ["completed"]


async def test_the_oldest_come_first_within_the_limit(service: Service) -> None:
    ids = await start_gated(service, 3)

    answer = (await cancel(service, graph=["gated"], limit=2)).json()

    assert ([item["id"] for item in answer["items"]], answer["more"]) == (ids[:2], True)
    gates["gate 2"].opened.set()
    assert await statuses(service, ids) == ["cancelled", "cancelled", "completed"]


async def test_with_a_key_each_is_told_once_and_the_answer_is_the_same(service: Service) -> None:
    ids = await start_gated(service, 2)

    first = await cancel(service, KEY, graph=["gated"])
    assert await statuses(service, ids) == ["cancelled"] * 2
    again = await cancel(service, KEY, graph=["gated"])
    other = await cancel(service, KEY, graph=["chain"])

    assert again.json() == first.json()
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")


async def test_requests_at_once_with_one_key_tell_each_execution_once(service: Service) -> None:
    ids = await start_gated(service, 2)

    found = await asyncio.gather(*(cancel(service, KEY, graph=["gated"]) for _ in range(5)))

    told = {(item["id"], item.get("applied_seq")) for answer in found for item in answer.json()["items"]}
    assert {execution for execution, _ in told} == set(ids)
    assert len(told) == 2


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, ""),
        ({"limit": 5}, ""),
        ({"reason": "why"}, ""),
        ({"status": ["completed"]}, "/status/0"),
        ({"graph": []}, "/graph"),
        ({"graph": ["gated"], "limit": 1_001}, "/limit"),
        ({"since": "yesterday"}, "/since"),
        ({"q": "a\u0000b"}, "/q"),
        ({"everything": True}, "/everything"),
    ],
)
async def test_conditions_that_are_none_cancel_nothing(service: Service, body: dict[str, Any], pointer: str) -> None:
    (execution,) = await start_gated(service, 1)

    answer = await cancel(service, **body)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer
    gates["gate 0"].opened.set()
    assert await statuses(service, [execution]) == ["completed"]
