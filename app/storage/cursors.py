"""Opaque cursors of lists: where the last item of a page stood in its order."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error

import msgspec

from graphwire.errors import InvalidCursor


class Cursor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A place in a list.

    Attributes:
        order: The name of the order that it belongs to.
        value: What the order compares first.
        id: What it compares last.
    """

    order: str
    value: int | float
    id: str


def encode_cursor(cursor: Cursor) -> str:
    """Return a cursor as text that is safe in a URL."""
    return urlsafe_b64encode(msgspec.json.encode(cursor)).rstrip(b"=").decode()


def decode_cursor(text: str, *, order: str) -> Cursor:
    """Return the cursor in a text.

    Raises:
        InvalidCursor: It is none, or one of another order.
    """
    try:
        raw = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        cursor = msgspec.json.decode(raw, type=Cursor)
    except (Base64Error, UnicodeError, msgspec.DecodeError) as error:
        raise InvalidCursor("`after` is not the `next` of a page.") from error
    if cursor.order != order or not -(2**63) <= cursor.value < 2**63:
        raise InvalidCursor("`after` belongs to a list in another order.")
    return cursor
