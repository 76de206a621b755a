"""Decompression that no server can turn against its client."""

import zlib
from collections.abc import Iterator
from typing import Final

from graphwire.client.errors import UnexpectedAnswer

MAX_RATIO: Final = 1_000
FREE_BYTES: Final = 16 * 1024 * 1024
"""So much may come out whatever went in."""
_SLICE: Final = 64 * 1024

ACCEPTED: Final = "gzip"
"""What a request asks for, as ``Accept-Encoding``."""


class Inflating:
    """Decodes a body as it comes, in slices of at most 64 KiB. One body, one of these."""

    def __init__(self, coding: str) -> None:
        """Take what ``Content-Encoding`` says.

        Raises:
            UnexpectedAnswer: It was not asked for.
        """
        coding = coding.strip().lower()
        if coding not in ("", "identity", "gzip", "x-gzip"):
            raise UnexpectedAnswer(f"the answer is compressed with {coding[:64]!r}, which was not asked for")
        self._gzip = zlib.decompressobj(wbits=31) if coding in ("gzip", "x-gzip") else None
        self._taken = 0
        self._given = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take bytes and give what can be decoded so far.

        Raises:
            UnexpectedAnswer: It is broken, or more than a thousand times as large as what was sent, beyond 16 MiB.
        """
        if self._gzip is None:
            yield data
            return
        self._taken += len(data)
        while True:
            try:
                piece = self._gzip.decompress(data, _SLICE)
            except zlib.error as error:
                raise UnexpectedAnswer(f"the compressed answer is broken: {error}") from None
            self._given += len(piece)
            if self._given > max(FREE_BYTES, MAX_RATIO * self._taken):
                raise UnexpectedAnswer("the compressed answer grows beyond all measure")
            if piece:
                yield piece
            data = self._gzip.unconsumed_tail
            if self._gzip.eof:
                data = self._gzip.unused_data
                self._gzip = zlib.decompressobj(wbits=31)
            if not data and len(piece) < _SLICE:  # a full slice may leave some more inside
                return
