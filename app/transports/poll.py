"""One page of events as a JSON document."""

import json

from app.services.streams import EventPage


def encode_page(page: EventPage, *, status: str | None = None) -> bytes:
    """Encode a page; the events are the bytes that every other reader gets.

    Args:
        page: What was found.
        status: Of the execution; None where it is of none.
    """
    return b'{"events":[%b],"last_seq":%d,"next":%d,"ended":%b,%b"lagged":%b}' % (
        b",".join([item.line for item in page.events]),
        page.last_seq,
        page.next,
        b"true" if page.ended else b"false",
        b"" if status is None else b'"status":%b,' % json.dumps(status).encode(),
        page.lagged or b"null",
    )
