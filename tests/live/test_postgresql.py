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

pytestmark = pytest.mark.needs("postgresql")


@pytest_asyncio.fixture
async def proxy() -> AsyncIterator[Proxy]:
    async with postgresql_schema() as url, proxied(url) as proxy:
        yield proxy


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
    async with asyncio.timeout(20):
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
    async with asyncio.timeout(20):
        while (await service.client.get("/health/ready")).status_code != 200:
            pass
    assert (await service.run("chain"))["status"] == "completed"
