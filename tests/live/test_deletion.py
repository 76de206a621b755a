"""Executions that are deleted: at once for everybody, whoever reads them."""

import pytest

from tests.databases import on_each_database
from tests.live.control import gates
from tests.live.serving import Service

pytestmark = on_each_database


@pytest.mark.bad_input(76)
async def test_a_deleted_execution_is_found_on_no_route(service: Service) -> None:
    execution = (await service.run("chain"))["id"]
    address = f"/executions/{execution}"

    deleted = await service.client.delete(address)

    assert (deleted.status_code, deleted.content) == (204, b"")
    for path in ("", "/state", "/events", "/events/1"):
        answer = await service.client.get(address + path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    for answer in (await service.client.post(f"{address}/cancel"), await service.client.delete(address)):
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert (await service.client.get("/executions")).json()["items"] == []


async def test_an_execution_that_runs_is_not_deleted_and_the_answer_says_what_is_allowed(service: Service) -> None:
    execution = await service.start("gated")
    await gates["gate"].reached.wait()

    refused = await service.client.delete(f"/executions/{execution}")

    assert refused.status_code == 409
    body = refused.json()
    assert (body["code"], body["current"], body["allowed"]) == ("command_not_allowed", "running", ["cancel"])
    await service.client.post(f"/executions/{execution}/cancel")
    await service.events(execution)
    assert (await service.client.delete(f"/executions/{execution}")).status_code == 204


async def test_a_key_of_a_deleted_execution_starts_nothing_anew(service: Service) -> None:
    headers = {"Idempotency-Key": "once"}
    first = await service.client.post("/graphs/chain/execute/wait", headers=headers)
    await service.client.delete(f"/executions/{first.json()['id']}")

    again = await service.client.post("/graphs/chain/execute/wait", headers=headers)

    assert again.status_code == 404
    assert (await service.client.get("/executions")).json()["items"] == []
