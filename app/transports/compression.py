"""Content codings of streams (RFC 9110 §8.4.1): what is written can be read at once, and pieces can be shared.

A body is a beginning, then *pieces*, then an end. A piece holds one write, ends on a byte, and can be decoded as soon
as it is there. It may refer back to the pieces that its compressor made before it, but to nothing from before the
compressor was made or restarted. So a reader whose body holds all pieces of a compressor since its last restart can
take the next one, whatever came before: the same bytes serve any number of readers.

The windows are small: events repeat what the few before them said, and a compressor takes 30 KiB (gzip) or 60 (zstd).
"""

import sys
import zlib
from collections.abc import Mapping
from struct import pack
from typing import Final, Protocol

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    try:
        from backports import zstd
    except ImportError:  # the extra ``zstd`` is not installed
        zstd = None  # type: ignore[assignment]  # what a missing module is


class Compressor(Protocol):
    """Makes pieces of writes."""

    def piece(self, data: bytes) -> bytes:
        """Return the piece that holds this write."""
        ...

    def restart(self) -> None:
        """Let the next piece refer to none before it. It costs no memory until then."""
        ...


class Coder(Compressor, Protocol):
    """The body of one answer, as it goes on."""

    @property
    def has_begun(self) -> bool:
        """Whether pieces of another compressor may be sent: those stand in no body's beginning."""
        ...

    def piece(self, data: bytes) -> bytes:
        """Return the piece that holds this write, after the beginning if it is the first."""
        ...

    def took(self, data: bytes) -> None:
        """Note that a piece of another compressor was sent that holds this write."""
        ...

    def end(self) -> bytes:
        """Return what makes the body whole. Nothing may follow; an answer that was cut must not have it."""
        ...


class Coding(Protocol):
    """A way to encode bodies."""

    def compressor(self) -> Compressor:
        """Return what makes pieces for several bodies that have begun."""
        ...

    def coder(self) -> Coder:
        """Return a body that has not begun."""
        ...


class Identity:
    """No compression: a piece is what was written."""

    has_begun = True

    def compressor(self) -> Compressor:
        return self

    def coder(self) -> Coder:
        return self

    def piece(self, data: bytes) -> bytes:
        return data

    def restart(self) -> None:
        """There is nothing to refer to."""

    def took(self, data: bytes) -> None:
        """There is nothing to note."""

    def end(self) -> bytes:
        return b""


class _Deflate:
    """Pieces of blocks that are not the last, ended by an empty stored block (RFC 1951 §3.2)."""

    _LEVEL = 6
    _WINDOW_BITS = 12
    _MEMORY_LEVEL = 5

    def __init__(self) -> None:
        self._compressor: zlib._Compress | None = None

    def piece(self, data: bytes) -> bytes:
        compressor = self._compressor
        if compressor is None:
            # A new one for a restart: Z_FULL_FLUSH would forget as much, and keep the memory.
            compressor = zlib.compressobj(self._LEVEL, zlib.DEFLATED, -self._WINDOW_BITS, self._MEMORY_LEVEL)
            self._compressor = compressor
        return compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)

    def restart(self) -> None:
        self._compressor = None


class _GzipCoder(_Deflate):
    """One gzip member (RFC 1952)."""

    _HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
    _LAST_BLOCK = b"\x03\x00"

    def __init__(self) -> None:
        super().__init__()
        self._crc = 0
        self._size = 0

    @property
    def has_begun(self) -> bool:
        return self._size > 0

    def piece(self, data: bytes) -> bytes:
        head = b"" if self._size else self._HEAD
        self.took(data)
        return head + super().piece(data)

    def took(self, data: bytes) -> None:
        self._crc = zlib.crc32(data, self._crc)
        self._size += len(data)

    def end(self) -> bytes:
        return self._LAST_BLOCK + pack("<II", self._crc, self._size & 0xFFFF_FFFF) if self._size else b""


class Gzip:
    """gzip; one member, whoever made the pieces."""

    def compressor(self) -> Compressor:
        return _Deflate()

    def coder(self) -> Coder:
        return _GzipCoder()


class _Frames:
    """Pieces of flushed blocks of a frame that stays open; a restart ends it and begins the next (RFC 8878 §3.1)."""

    LAST_BLOCK = b"\x01\x00\x00"

    def __init__(self) -> None:
        self._compressor: zstd.ZstdCompressor | None = None

    def piece(self, data: bytes) -> bytes:
        compressor = self._compressor
        if compressor is not None:
            return compressor.compress(data, compressor.FLUSH_BLOCK)
        key = zstd.CompressionParameter
        options: dict[int, int] = {key.compression_level: 3, key.window_log: 12, key.hash_log: 11, key.chain_log: 11}
        compressor = self._compressor = zstd.ZstdCompressor(options=options)
        return self.LAST_BLOCK + compressor.compress(data, compressor.FLUSH_BLOCK)

    def restart(self) -> None:
        self._compressor = None


class _ZstdCoder(_Frames):
    has_begun = False

    def piece(self, data: bytes) -> bytes:
        piece = super().piece(data)
        if self.has_begun:
            return piece
        self.has_begun = True
        return piece.removeprefix(self.LAST_BLOCK)

    def took(self, data: bytes) -> None:
        """A frame without a checksum says nothing of what it holds."""

    def end(self) -> bytes:
        return self.LAST_BLOCK if self.has_begun else b""


class Zstd:
    """zstd; a frame after the other, the end of one in the same piece as the beginning of the next."""

    def compressor(self) -> Compressor:
        return _Frames()

    def coder(self) -> Coder:
        return _ZstdCoder()


IDENTITY: Final = Identity()
CODINGS: Final[Mapping[str, Coding]] = {"gzip": Gzip()} if zstd is None else {"gzip": Gzip(), "zstd": Zstd()}
"""What can be asked for, the first between equals: gzip takes half the memory, and its body is one member, where many
clients stumble over the second frame of zstd."""
