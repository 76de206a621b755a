"""Points in time on the wire."""

import pytest
from hypothesis import given, settings, strategies as st

from graphwire.events.timestamps import format_timestamp, parse_timestamp


@pytest.mark.parametrize(
    ("wall_ns", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1_795_262_400_000_000_999, "2026-11-21T12:00:00.000000Z"),
        (1_795_262_400_123_456_789, "2026-11-21T12:00:00.123456Z"),
    ],
)
def test_a_timestamp_has_six_digits_and_z(wall_ns: int, text: str) -> None:
    assert format_timestamp(wall_ns) == text


@settings(deadline=None, max_examples=100)
@given(wall_us=st.integers(0, 4_000_000_000_000_000))
def test_a_timestamp_is_read_back(wall_us: int) -> None:
    assert parse_timestamp(format_timestamp(wall_us * 1000)) == wall_us * 1000


def test_a_timestamp_without_offset_is_refused() -> None:
    with pytest.raises(ValueError, match="offset"):
        parse_timestamp("2026-11-21T12:00:00")
