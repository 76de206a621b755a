"""Nodes that ask before they begin."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from app.settings import Settings
from tests.live.serving import Service, serving, types
from tests.waiting import PATIENCE_S

SLOW: dict[str, Any] = {
    "governance": "default",
    "governance_rate": 0.001,
    "governance_burst": 1.0,
    "governance_cpu_percent": 100.0,
}


async def status(service: Service) -> dict[str, Any]:
    answer = await service.client.get("/governance")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def until_waiting(service: Service, count: int) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE_S):
        while sum((seen := await status(service))["waiting"].values()) < count:
            pass  # nothing else tells of it
    return seen


async def test_by_default_nothing_is_governed(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        seen = await status(service)

    assert seen.pop("is_on") is False
    assert set(seen.values()) == {None}


@pytest.mark.capability("GOV-02", "GOV-03")
async def test_a_graph_runs_with_leave_and_nothing_is_held_afterwards(tmp_path: Path) -> None:
    async with serving(tmp_path, governance="performance", governance_memory_mb=0.0) as service:
        # Critical: however busy the machine of the tests is.
        assert (await service.run("chain", priority="critical"))["status"] == "completed"

        seen = await status(service)
        assert (seen["is_on"], seen["held"], seen["waiting"], seen["burst"]) == (True, 0, {}, 2_000)


@pytest.mark.capability("GOV-11")
async def test_those_that_wait_are_counted_and_leave_when_they_are_cancelled(tmp_path: Path) -> None:
    async with serving(tmp_path, **SLOW, governance_memory_mb=0.0) as service:
        low = await service.start("chain", priority="low")
        normal = await service.start("chain")

        seen = await until_waiting(service, 2)
        assert seen["waiting"] in ({"low": 1, "normal": 1}, {"normal": 1, "low": 1})
        assert seen["exhausted"] >= 2
        for id in (low, normal):
            await service.client.post(f"/executions/{id}/cancel")
            assert types(await service.events(id))[-2:] == ["execution_cancelled", "stream_end"]
        seen = await status(service)
        assert (seen["waiting"], seen["held"]) == ({}, 0)


@pytest.mark.capability("GOV-06")
async def test_a_node_that_waits_too_long_fails(tmp_path: Path) -> None:
    async with serving(tmp_path, **SLOW, governance_memory_mb=0.0, governance_max_wait_s=0.05) as service:
        ended = await service.run("chain")

    assert (ended["status"], ended["error"]["code"]) == ("failed", "budget_exhausted")


async def test_where_the_order_must_not_depend_on_the_load_nothing_is_governed(tmp_path: Path) -> None:
    async with serving(tmp_path, **SLOW, governance_memory_mb=0.0) as service:
        assert (await service.run("chain", ordering="deterministic"))["status"] == "completed"


@pytest.mark.capability("GOV-01")
def test_limits_that_contradict_each_other_are_refused_at_the_start() -> None:
    with pytest.raises(ValidationError, match="lower limit of the CPU"):
        Settings(governance="default", governance_cpu_percent=50)
