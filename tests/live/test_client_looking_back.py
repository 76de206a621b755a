"""The client looks back, and ends many executions at once."""

import json

import pytest

from graphwire.client import AsyncClient, ProblemError
from tests.live.control import gates
from tests.live.serving import Service
from tests.live.test_server_commands import Call, call as call

__all__ = ["call"]


@pytest.mark.capability("CLN-01")
async def test_the_state_at_any_place_is_read_back(service: Service, call: Call) -> None:
    async with AsyncClient(f"http://127.0.0.1:{service.port}") as client:
        done = await client.run("chain")
        places = [each async for each in client.executions.iterate_checkpoints(done.id, limit=1)]
        states = [(await client.executions.state(done.id, at=each.seq)).state for each in places]
        with pytest.raises(ProblemError, match="invalid_request"):
            await client.executions.state(done.id, at=10_000)
    listed = await call(service, "executions", "checkpoints", done.id, "--limit", "2", "--json")
    table = await call(service, "executions", "checkpoints", done.id)
    shown = await call(service, "executions", "state", done.id, "--at", str(places[1].seq))
    future = await call(service, "executions", "state", done.id, "--at", "10000")

    assert [(each.node, each.keys, each.valid) for each in places] == [
        ("third", ["count"], True),
        ("second", ["count"], True),
        ("first", ["count"], True),
    ]
    assert states == [{"count": 3}, {"count": 2}, {"count": 1}]
    assert [each["seq"] for each in json.loads(listed.stdout)["items"]] == [each.seq for each in places[:2]]
    assert [line.split()[3:] for line in table.stdout.splitlines()[1:]] == [
        ["third", "count"],
        ["second", "count"],
        ["first", "count"],
    ]
    assert json.loads(shown.stdout) == {"count": 2}
    assert (future.returncode, future.stdout) == (2, "")


@pytest.mark.capability("CLN-01")
async def test_many_are_cancelled_at_once(service: Service) -> None:
    ids = [await service.start("gated", state={"gate": "gate"}) for _ in range(3)]
    await gates["gate"].reached.wait()
    done = (await service.run("chain"))["id"]

    async with AsyncClient(f"http://127.0.0.1:{service.port}") as client:
        first = await client.executions.cancel_many(graph=["gated"], limit=2, reason="no more", idempotency_key="k")
        again = await client.executions.cancel_many(graph=["gated"], limit=2, reason="no more", idempotency_key="k")
        ended = [await client.executions.wait(each) for each in ids]
        with pytest.raises(ProblemError, match="invalid_request"):
            await client.executions.cancel_many()

    assert [each.id for each in first.items] == ids[:2]
    assert all(each.applied_seq for each in first.items)
    assert (first.more, {each.id for each in again.items}) == (True, set(ids))
    assert {(each.status, each.reason) for each in ended} == {("cancelled", "no more")}
    assert (await service.client.get(f"/executions/{done}")).json()["status"] == "completed"
