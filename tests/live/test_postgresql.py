"""The whole service while the way to its PostgreSQL is cut, and while PostgreSQL is away."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.databases import postgresql_schema
from tests.live.control import gates
from tests.live.serving import Service, numbers, parse, serving, types
from tests.proxy import Proxy, proxied
from tests.waiting import PATIENCE_S

JSON = {"Accept": "application/json"}

pytestmark = pytest.mark.needs("postgresql")


@pytest_asyncio.fixture
async def proxy() -> AsyncIterator[Proxy]:
    async with postgresql_schema() as url, proxied(url) as proxy:
        yield proxy


async def ready(service: Service, status: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while (await service.client.get("/health/ready")).status_code != status:
            pass


@pytest.mark.bad_input(133)
async def test_what_another_server_has_ended_meanwhile_is_let_go_and_its_readers_are_told(
    tmp_path: Path, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(tmp_path, database_url=proxy.url, max_executions=1) as first:
        execution = await first.start("gated")
        await gates["gate"].reached.wait()
        last_seq = (await first.client.get(f"/executions/{execution}")).json()["last_seq"]
        page = f"/executions/{execution}/events?after={last_seq}&wait=8"
        stream = asyncio.create_task(first.client.get(f"/executions/{execution}/events"))
        waiting = asyncio.create_task(first.client.get(page, headers=JSON))
        proxy.refuses = True
        proxy.cut()
        await ready(first, 503)
        async with serving(tmp_path / "second", database_url=proxy.direct_url) as second:
            gates["gate"].opened.set()
            await second.events(execution)
            ended = (await second.client.get(f"/executions/{execution}")).json()
            proxy.refuses = False
        told = parse((await stream).content)
        polled = (await waiting).json()
        await ready(first, 200)

        shown = (await first.client.get(f"/executions/{execution}")).json()
        cancelled = await first.client.post(f"/executions/{execution}/cancel")
        followed = types(await first.events(execution))
        started = await first.run("chain")  # there is room again

    assert ended["status"] == "completed"
    assert types(told)[-1] == "stream_closed"
    assert told[-1].data["data"]["code"] == "storage_unavailable"
    assert polled["ended"] is False
    assert shown == ended
    assert (cancelled.status_code, cancelled.json()["code"]) == (409, "command_not_allowed")
    assert "checkpoint_restored" in followed
    assert followed[-2:] == ["execution_completed", "stream_end"]
    assert started["status"] == "completed"
    assert [each.getMessage() for each in caplog.records].count("a batch cannot be stored") == 0
    assert len([each for each in caplog.records if "is let go" in each.getMessage()]) == 1


@pytest_asyncio.fixture
async def service(tmp_path: Path, proxy: Proxy) -> AsyncIterator[Service]:
    async with serving(tmp_path, database_url=proxy.url) as running:
        yield running


@pytest.mark.bad_input(133)
async def test_streams_and_executions_go_on_while_connections_are_cut(service: Service, proxy: Proxy) -> None:
    async def run(number: int) -> list[int]:
        answer = await service.client.post("/graphs/chain/execute/stream", json={})
        assert answer.status_code == 200, answer.text
        blocks = parse(answer.content)
        assert types(blocks)[-1] == "stream_end"
        stored = await service.events(answer.headers["location"].rpartition("/")[2])
        assert numbers(stored) == numbers(blocks)
        return numbers(blocks)

    for number in range(5):
        running = [asyncio.ensure_future(run(number)) for _ in range(4)]
        await asyncio.sleep(0.02 * number)  # so that each cut meets another moment
        proxy.cut()
        for seqs in await asyncio.gather(*running):
            assert seqs == list(range(1, len(seqs) + 1))


@pytest.mark.bad_input(133)
async def test_while_the_database_is_away_the_service_says_so_and_goes_on_after_it(
    service: Service, proxy: Proxy
) -> None:
    execution = await service.start("gated")
    await gates["gate"].reached.wait()
    proxy.refuses = True
    proxy.cut()
    async with asyncio.timeout(PATIENCE_S):
        while (await service.client.get("/health/ready")).status_code == 200:
            pass

    refused = await service.client.post("/graphs/chain/execute")
    read = await service.client.get("/executions")
    gates["gate"].opened.set()
    proxy.refuses = False
    blocks = await service.events(execution)

    assert (refused.status_code, refused.json()["code"]) == (503, "storage_unavailable")
    assert "Retry-After" in refused.headers
    assert (read.status_code, read.json()["code"]) == (503, "storage_unavailable")
    assert types(blocks)[-2:] == ["execution_completed", "stream_end"]
    async with asyncio.timeout(PATIENCE_S):
        while (await service.client.get("/health/ready")).status_code != 200:
            pass
    assert (await service.run("chain"))["status"] == "completed"
