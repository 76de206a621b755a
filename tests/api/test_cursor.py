import pytest

from app.transports.cursor import parse_cursor
from graphwire.errors import InvalidCursor


@pytest.mark.bad_input(64)
@pytest.mark.parametrize(
    "text", ["x", "-1", "+1", "1e3", "1.0", "1\x00", "0x10", "1_000", " 1", "\uff19", "²", "9" * 9_000]
)
def test_what_is_no_plain_whole_number_is_no_cursor(text: str) -> None:
    with pytest.raises(InvalidCursor):
        parse_cursor(text, None)
    with pytest.raises(InvalidCursor):
        parse_cursor(None, text)


@pytest.mark.bad_input(64)
def test_last_event_id_wins_over_after() -> None:
    assert parse_cursor("7", "3") == 7


@pytest.mark.bad_input(64)
def test_an_empty_last_event_id_is_none() -> None:
    assert parse_cursor("", "3") == 3
    assert parse_cursor("", None) is None
    assert parse_cursor(None, "") is None
