"""What runs short is told once, and once when it is enough again."""

import asyncio
from pathlib import Path

import pytest

from app.services.resources import Gauge, Resources, gauges, memory_in_use, memory_limit
from graphwire.events.service_types import ServiceEventData, SystemResourceWarning


def told(gauge: Gauge, values: list[int]) -> list[tuple[int, bool]]:
    """Return what is told of measurements: each with whether it is short then."""
    warnings = [gauge.judge(value) for value in values]
    return [(each.value_bytes, each.is_short) for each in warnings if each is not None]


@pytest.mark.capability("PRF-13")
def test_memory_is_short_from_its_limit_on_and_enough_well_below_it() -> None:
    gauge = Gauge("memory", 1_000, lambda: 0)

    assert told(gauge, [999, 1_000, 1_500, 999, 951, 1_001, 949, 999, 1_000]) == [
        (1_000, True),
        (949, False),
        (1_000, True),
    ]


def test_room_is_short_below_its_limit_and_enough_well_above_it() -> None:
    gauge = Gauge("disk", 1_000, lambda: 0)

    assert told(gauge, [1_001, 1_000, 0, 1_001, 1_049, 1_051, 2_000]) == [(1_000, True), (1_051, False)]


async def test_what_changes_is_told_and_what_cannot_be_measured_is_passed_over() -> None:
    values = iter([1, 5, 5])
    said: list[ServiceEventData] = []
    has_said = asyncio.Event()

    def broken() -> int:
        raise OSError("gone")

    def announce(data: ServiceEventData) -> None:
        said.append(data)
        has_said.set()

    measured = [Gauge("disk", 3, broken), Gauge("memory", 3, lambda: next(values))]
    async with Resources(measured, announce, every_s=0.001):
        await has_said.wait()

    assert said == [SystemResourceWarning(resource="memory", is_short=True, value_bytes=5, limit_bytes=3)]


def test_real_measurements_are_taken(tmp_path: Path) -> None:
    found = gauges(memory_bytes=0, disk_bytes=1, folder=tmp_path)

    assert [gauge.resource for gauge in found] == ["memory", "disk"]
    assert all(gauge.measure() > 1_000_000 for gauge in found)
    assert 10_000_000 < memory_in_use() < memory_limit()
    assert gauges(memory_bytes=1, disk_bytes=0, folder=tmp_path)[0].limit_bytes == 1
    assert [gauge.resource for gauge in gauges(memory_bytes=1, disk_bytes=1, folder=None)] == ["memory"]
