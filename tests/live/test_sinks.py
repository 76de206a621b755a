import asyncio
import json
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.settings import Settings
from graphwire.events.encoding import Envelope
from graphwire.events.hub import Published
from graphwire.sinks import Memory, callback
from tests.live.serving import serving


class Hanging:
    name = "hanging"

    def __init__(self) -> None:
        self.free = threading.Event()

    def handle(self, events: Sequence[Published]) -> None:
        self.free.wait()

    def close(self) -> None:
        """There is nothing to let go of."""


@pytest.mark.capability("SNK-09")
async def test_a_file_holds_what_readers_get_also_what_came_last_before_a_stop(tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"

    async with serving(tmp_path, sink_file=file) as service:
        first = await service.run("chain")
        second = await service.run("chain")
        streams = [
            (await service.client.get(f"/executions/{run['id']}/events", headers={"Accept": "application/x-ndjson"}))
            for run in (first, second)
        ]

    assert file.read_bytes() == b"".join(stream.content for stream in streams)


async def test_a_file_holds_the_types_that_were_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"

    async with serving(tmp_path, sink_file=file, sink_file_types="node_completed") as service:
        await service.run("chain")

    types = [json.loads(line)["type"] for line in file.read_text().splitlines()]
    assert set(types) == {"node_completed", "execution_completed", "stream_end"}


@pytest.mark.capability("SNK-01", "SNK-06")
async def test_a_sink_that_hangs_or_fails_delays_no_execution_and_stands_in_the_health_answer(tmp_path: Path) -> None:
    hanging, memory, failed = Hanging(), Memory(), asyncio.Event()

    async def fail(event: Envelope) -> None:
        failed.set()
        raise OSError("no room in /secret/place")

    async with serving(tmp_path, sinks=[hanging, callback(fail, name="failing"), memory]) as service:
        ended = await service.run("chain")
        await failed.wait()
        health = await service.client.get("/health/ready")
        page = await service.client.get(
            "/events?topics=system.diagnostic&wait=20", headers={"Accept": "application/json"}
        )
        hanging.free.set()

    assert ended["status"] == "completed"
    sinks = {sink["name"]: sink for sink in health.json()["sinks"]}
    assert list(sinks) == ["hanging", "failing", "memory"]
    assert (sinks["hanging"]["handled"], sinks["hanging"]["waiting"] > 0) == (0, True)
    assert "/secret" not in health.text
    told = page.json()["events"][0]["data"]
    assert (told["code"], told["severity"]) == ("sink_failed", "warning")
    assert told["message"] == "failing: OSError: no room in /secret/place"
    assert told["facts"]["sink"] == "failing"
    assert 1 <= told["facts"]["count"] <= ended["last_seq"]
    assert [event.seq for event in memory.events()] == list(range(1, ended["last_seq"] + 1))


def test_an_unknown_type_of_event_refuses_the_start() -> None:
    with pytest.raises(ValidationError, match="did you mean"):
        Settings(sink_log_types="node_complete")  # type: ignore[arg-type]  # as the environment gives it
