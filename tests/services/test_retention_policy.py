"""What is to be deleted next, and how much of the time that may take."""

from datetime import UTC, datetime, timedelta

import pytest

from app.services.retention_policy import Limits, first_of, pause_s
from app.storage.repositories.retention import EndedExecution
from app.storage.sqlite_room import spare_pages
from graphwire.types import ExecutionId

NOW = datetime(2026, 11, 20, tzinfo=UTC)
MIB_IN_PAGES = 256


@pytest.mark.parametrize(("executions", "ended", "excess"), [(10, 9, 0), (10, 10, 0), (10, 13, 3), (0, 1_000_000, 0)])
def test_what_is_above_the_count_is_too_many_and_zero_is_no_limit(executions: int, ended: int, excess: int) -> None:
    assert Limits.of(days=1, executions=executions).excess(ended) == excess


def test_what_ended_before_the_days_that_are_kept_is_too_old_and_zero_is_no_limit() -> None:
    assert Limits.of(days=1.5, executions=1).ended_before(NOW) == NOW - timedelta(hours=36)
    assert Limits.of(days=0, executions=1).ended_before(NOW) is None


def test_a_step_takes_what_fits_and_one_at_least() -> None:
    found = [EndedExecution(ExecutionId(f"e{size}"), size) for size in (60, 30, 20)]

    assert first_of(found, 100) == ["e60", "e30"]
    assert first_of(found, 110) == ["e60", "e30", "e20"]
    assert first_of(found, 1) == ["e60"]
    assert first_of([], 100) == []


def test_nine_tenths_of_the_time_are_for_others() -> None:
    assert pause_s(0.01) == pytest.approx(0.09)
    assert pause_s(0.0) > 0
    assert pause_s(1_000.0) <= 5.0


@pytest.mark.parametrize(
    ("free", "total", "spare"),
    [
        (15 * MIB_IN_PAGES, 20 * MIB_IN_PAGES, 0),
        (100 * MIB_IN_PAGES, 120 * MIB_IN_PAGES, 84 * MIB_IN_PAGES),
        (1_000 * MIB_IN_PAGES, 4_000 * MIB_IN_PAGES, 500 * MIB_IN_PAGES),
    ],
)
def test_a_file_keeps_some_of_its_free_pages(free: int, total: int, spare: int) -> None:
    assert spare_pages(free, total, 4_096) == spare
