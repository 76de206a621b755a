"""A peer that is gone without a word costs nothing for long."""

import asyncio
import sys
from pathlib import Path

import pytest

from tests.live.control import gates
from tests.live.promises.following import Follower
from tests.live.promises.forms import FORMS, Poll, Session, Sse
from tests.live.promises.silence import fall_silent
from tests.live.serving import Service, serving
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the filter of a socket that drops all is Linux's")


def peers(service: Service) -> set[tuple[str, int]]:
    """Return the addresses from which there are connections."""
    connections = service.server.server_state.connections
    return {connection.transport.get_extra_info("peername") for connection in connections}


@pytest.mark.bad_input(72)
@pytest.mark.parametrize("form", [form for form in FORMS.values() if form is not Poll])
async def test_a_peer_whose_machine_is_gone_is_let_go_and_others_stay(tmp_path: Path, form: type[Session]) -> None:
    async with serving(tmp_path, heartbeat_s=0.4, ping_s=0.4, pong_s=2.0) as service:
        execution = await service.start("gated")
        await gates["gate"].reached.wait()
        gone, there = (Follower(form, service.port, execution) for _ in range(2))
        async with gone.connected() as silent, there.connected() as connection:
            await silent.until_event(2)
            await connection.until_event(2)

            fall_silent(silent.plain)
            async with asyncio.timeout(PATIENCE_S):
                while silent.plain.getsockname() in peers(service):
                    assert await connection.step()

            gates["gate"].opened.set()
            assert await connection.end() == "end"
        assert await gone.follow() == "end"

    assert gone.seqs == there.seqs == [1, 2, 3, 4, 5]


@pytest.mark.bad_input(71, 72)
async def test_a_reader_that_rests_for_longer_than_a_heartbeat_is_not_taken_for_gone(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    async with serving(tmp_path, heartbeat_s=0.5, write_timeout_s=4.0 / 3) as service:
        execution = (await service.run("talk", state={"count": 1_000, "text": "x" * 1_000}))["id"]
        follower = Follower(Sse, service.port, execution)
        async with follower.connected(receive_buffer=4_096) as connection:
            await connection.until_event(2)
            rested = loop.time()
            while loop.time() < rested + 1.0:
                await service.client.get("/health/live")
            assert await connection.end() == "end"

    assert follower.seqs == list(range(1, 1_006))
