"""Positions in a stream, as clients write them."""

from graphwire.errors import InvalidCursor, quoted

_MOST_DIGITS = 19


def parse_cursor(last_event_id: str | None, after: str | None) -> int | None:
    """Return the position that a request names; None if it names none.

    ``Last-Event-ID`` wins, since a browser's ``EventSource`` repeats its first address; an empty one is none.

    Raises:
        InvalidCursor: It is no whole number in plain digits.
    """
    text = last_event_id or after
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise InvalidCursor(f"a cursor is the number of an event, not {quoted(text)}")
    return int(text)
