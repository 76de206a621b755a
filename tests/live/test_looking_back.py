"""The past of an execution: its checkpoints, and the state at each of its events."""

from typing import Any

import pytest

from tests.databases import on_each_database
from tests.live.control import gates
from tests.live.serving import Service

pytestmark = on_each_database


async def checkpoints(service: Service, execution: str, **query: Any) -> dict[str, Any]:
    answer = await service.client.get(f"/executions/{execution}/checkpoints", params=query)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.mark.capability("CKP-05")
async def test_checkpoints_are_listed_newest_first_with_what_they_wrote(service: Service) -> None:
    execution = (await service.run("chain"))["id"]
    events = await service.events(execution)

    found = (await checkpoints(service, execution))["items"]

    completed = [block.data for block in events if block["event"] == "node_completed"]
    assert [(each["seq"], each["ts"], each["node"], each["activation"], each["type"]) for each in reversed(found)] == [
        (each["seq"], each["ts"], each["node_id"], each["activation"], "node_completed") for each in completed
    ]
    assert all(each["keys"] == ["count"] and each["valid"] and each["path"] == [] for each in found)
    assert all(each["size"] > 0 for each in found)


async def test_checkpoints_come_in_pages(service: Service) -> None:
    execution = (await service.run("chain"))["id"]
    whole = (await checkpoints(service, execution))["items"]

    first = await checkpoints(service, execution, limit=2)
    second = await checkpoints(service, execution, limit=2, after=first["next"])

    assert [*first["items"], *second["items"]] == whole
    assert second["next"] is None
    assert (await service.client.get(f"/executions/{execution}/checkpoints?after=x")).status_code == 400
    assert (await service.client.get("/executions/nobody/checkpoints")).status_code == 404


async def test_the_state_at_an_event_is_that_of_the_last_commit_at_or_before_it(service: Service) -> None:
    execution = (await service.run("chain"))["id"]

    states = [
        (await service.client.get(f"/executions/{execution}/state", params={"at": at})).json() for at in range(1, 10)
    ]

    assert [(each["seq"], each["state"]["count"]) for each in states] == [
        (1, 0), (1, 0), (3, 1), (3, 1), (5, 2), (5, 2), (7, 3), (7, 3), (7, 3),
    ]  # fmt: skip


async def test_the_past_of_a_running_execution_can_be_looked_at(service: Service) -> None:
    execution = await service.start("gated")
    await gates["gate"].reached.wait()

    now = await service.client.get(f"/executions/{execution}/state", params={"at": 2})

    assert now.json() == {"seq": 1, "state": {"gate": "gate"}, "conflicts": []}
    gates["gate"].opened.set()


@pytest.mark.parametrize("at", ["0", "-1", "10", "x", "1.5", "99999999999999999999"])
async def test_a_place_that_is_none_of_the_past_is_refused(service: Service, at: str) -> None:
    execution = (await service.run("chain"))["id"]

    answer = await service.client.get(f"/executions/{execution}/state", params={"at": at})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/query/at"
