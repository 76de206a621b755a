"""What a node does in its thread holds up nobody."""

import asyncio
from statistics import median

import pytest

from tests.live.serving import Service, parse, types


@pytest.mark.capability("NOD-01")
async def test_a_plain_function_that_sleeps_does_not_hold_up_other_streams(service: Service) -> None:
    loop = asyncio.get_running_loop()
    sleeping = await service.start("asleep")
    took: list[float] = []

    while (await service.client.get(f"/executions/{sleeping}")).json()["status"] == "running":
        began = loop.time()
        answer = await service.client.post("/graphs/chain/execute/stream")
        took.append(loop.time() - began)
        assert types(parse(answer.content))[-2:] == ["execution_completed", "stream_end"]

    assert len(took) > 2
    assert median(took) < 0.05
    assert max(took) < 0.5
