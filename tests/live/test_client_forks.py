"""Forks and retries, from the client and from a shell."""

import json

import pytest

from graphwire.client import AsyncClient, ProblemError
from tests.live.serving import Service
from tests.live.test_server_commands import Call, call as call, url

__all__ = ["call"]


@pytest.mark.capability("CLN-01", "CLN-08")
async def test_an_execution_is_forked_from_its_middle(service: Service, call: Call) -> None:
    async with AsyncClient(url(service)) as client:
        done = await client.run("chain")
        places = [each async for each in client.executions.iterate_checkpoints(done.id)]
        made = await client.executions.fork(done.id, at=places[-1].seq, state={"count": 10}, idempotency_key="k")
        again = await client.executions.fork(done.id, at=places[-1].seq, state={"count": 10}, idempotency_key="k")
        forked = await client.executions.wait(made.id)
        typed = await call(service, "executions", "fork", done.id, "--at", str(places[-1].seq), "--set", "count=20")
        other = await client.executions.wait(typed.stdout.strip())
        shown = await call(service, "executions", "show", made.id)
        with pytest.raises(ProblemError) as refused:
            await client.executions.fork(done.id, at=10_000)

    assert (made.id, made.forked_from.execution_id) == (again.id, done.id)
    assert (forked.state, other.state) == ({"count": 12}, {"count": 22})
    assert (typed.returncode, typed.stderr) == (0, f"{done.id} goes on as\n")
    assert f"{done.id} at {places[-1].seq}" in shown.stdout
    assert refused.value.status in (400, 422)


@pytest.mark.capability("CLN-01", "CLN-08")
async def test_what_failed_is_retried_one_by_one_and_by_graph(service: Service, call: Call) -> None:
    async with AsyncClient(url(service)) as client:
        failed = await client.run("failing")
        done = await client.run("chain")
        one = await client.executions.retry(failed.id)
        assert (await client.executions.wait(one.id)).status == "failed"
        mixed = await call(service, "executions", "retry", failed.id, done.id, "--json")
        many = await call(service, "executions", "retry", "--graph", "failing", "--limit", "1")
        neither = await call(service, "executions", "retry")
        both = await client.executions.retry_many(graph=["failing"], limit=1)

    assert one.forked_from.execution_id == failed.id
    assert (mixed.returncode, json.loads(mixed.stdout)["forked_from"]["execution_id"]) == (2, failed.id)
    assert f"error: {done.id}: " in mixed.stderr
    assert (many.returncode, len(many.stdout.split())) == (0, 1)
    assert "More have failed than" in many.stderr
    assert neither.returncode == 2
    assert [each.id for each in both.items] == [failed.id]
