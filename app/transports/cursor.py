"""Positions in a stream, as clients write them."""

from typing import Final, NamedTuple

from graphwire.errors import InvalidCursor, quoted

_MOST_DIGITS = 19


class Place(NamedTuple):
    """What a reader has: all events up to ``after``, and so many frames of the next one.

    Attributes:
        after: None where the request names no place.
        goes_on: The place is where the same stream was cut (``Last-Event-ID``).
    """

    after: int | None
    had: int
    goes_on: bool


START: Final = Place(None, 0, goes_on=False)


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


def parse_place(last_event_id: str | None, after: str | None) -> Place:
    """Return the place in a stream of a dialect that a request names.

    There ``Last-Event-ID`` may also be ``<number>.<frames>``: so many frames of that event were had.

    Raises:
        InvalidCursor: It is neither.
    """
    place = last_event_id or ""
    number, point, frames = place.partition(".")
    if not point:
        return Place(parse_cursor(last_event_id, after), 0, bool(last_event_id))
    seq, had = parse_cursor(number, None), parse_cursor(frames, None)
    if not seq or not had:
        raise InvalidCursor(f"a place is the number of an event, or <number>.<frames>, not {quoted(place)}")
    return Place(seq - 1, had, goes_on=True)
