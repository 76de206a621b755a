"""What a node does in its thread holds up nobody."""

import pytest

from tests.live.control import awake
from tests.live.serving import Service, parse, types


@pytest.mark.capability("NOD-01")
async def test_a_plain_function_that_holds_its_thread_does_not_hold_up_other_streams(service: Service) -> None:
    asleep = await service.start("asleep")
    for _ in range(3):
        answer = await service.client.post("/graphs/chain/execute/stream")
        assert types(parse(answer.content))[-2:] == ["execution_completed", "stream_end"]
    during = (await service.client.get(f"/executions/{asleep}")).json()["status"]
    awake.set()

    assert during == "running"
    assert types(await service.events(asleep))[-2:] == ["execution_completed", "stream_end"]
