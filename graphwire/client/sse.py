"""Event streams, byte by byte: HTML Standard, §9.2.6 "Interpreting an event stream".

``httpx-sse`` is not up to what a client of unknown servers needs: its lines have no limit, a byte order mark stays
in the first field, a block without data is given out as an event, ``id`` counts before its block has ended, and after
a lone CR a block waits for the next byte to come.
"""

import re
from typing import Final

from msgspec import Struct

from graphwire.client.errors import UnexpectedAnswer

MAX_BLOCK_BYTES: Final = 4 * 1024 * 1024
"""Of one event with all its lines. The service's own are shorter than 256 KiB."""

_BOM: Final = b"\xef\xbb\xbf"
_DIGITS: Final = re.compile(rb"[0-9]{1,9}")


class Block(Struct, frozen=True):
    """An event of a stream.

    Attributes:
        event: Its type; ``message`` where none was given.
        data: Its lines, joined by LF.
        id: The last event id as of this block; "" where none was given.
    """

    event: str
    data: bytes
    id: str


class SseParser:
    """Takes bytes as they come and gives whole blocks. One connection, one parser.

    Attributes:
        last_id: The last event id, for a resume; that of a block that broke off does not count.
        retry_ms: What the server last wished for as the time before a reconnect; None if it did not.
    """

    def __init__(self, *, max_block_bytes: int = MAX_BLOCK_BYTES) -> None:
        self._max_bytes = max_block_bytes
        self._partial: list[bytes] = []
        self._partial_bytes = 0
        self._skips_lf = False
        self._is_first_line = True
        self._event = b""
        self._data: list[bytes] = []
        self._block_bytes = 0
        self._id = ""
        self.last_id = ""
        self.retry_ms: int | None = None

    def feed(self, data: bytes) -> list[Block]:
        """Take bytes, split anywhere, and return the blocks that they complete.

        Raises:
            UnexpectedAnswer: A block is too large.
        """
        if self._skips_lf and data:
            data = data.removeprefix(b"\n")
            self._skips_lf = False
        if not data:
            return []
        if b"\r" in data:
            self._skips_lf = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        first, *more = data.split(b"\n")
        self._keep(first)
        if not more:
            return []
        lines = [b"".join(self._partial), *more[:-1]]
        self._partial, self._partial_bytes = [], 0
        self._keep(more[-1])
        if self._is_first_line:
            self._is_first_line = False
            lines[0] = lines[0].removeprefix(_BOM)
        return [block for line in lines if (block := self._take(line)) is not None]

    def _keep(self, part: bytes) -> None:
        if part:
            self._partial.append(part)
            self._partial_bytes += len(part)
            self._check(self._partial_bytes)

    def _take(self, line: bytes) -> Block | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        match name:
            case b"data":
                self._block_bytes += len(line) + 1
                self._check(self._block_bytes)
                self._data.append(value)
            case b"event":
                self._event = value
            case b"id" if b"\0" not in value:
                self._id = value.decode(errors="replace")
            case b"retry" if _DIGITS.fullmatch(value):
                self.retry_ms = int(value)
            case _:
                pass  # a comment, whose name is empty, or a field that means nothing
        return None

    def _dispatch(self) -> Block | None:
        self.last_id = self._id
        event, data = self._event, b"\n".join(self._data)
        has_data = bool(self._data)
        self._event, self._data, self._block_bytes = b"", [], 0
        if not has_data:
            return None
        return Block(event.decode(errors="replace") or "message", data, self.last_id)

    def _check(self, size: int) -> None:
        if size > self._max_bytes:
            raise UnexpectedAnswer(f"the server sent an event of more than {self._max_bytes:,} bytes")
