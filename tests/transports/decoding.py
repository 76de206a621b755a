"""What a client decodes from a body of which it may have a part only."""

import zlib

from backports import zstd


def decoded(coding: str, body: bytes) -> bytes:
    """Return what can be decoded from the beginning of a body, as it comes.

    Raises:
        zlib.error, zstd.ZstdError: It is no beginning of a body.
    """
    if coding == "gzip":
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(body)
    parts = []
    while body:
        frame = zstd.ZstdDecompressor()
        parts.append(frame.decompress(body))
        body = frame.unused_data if frame.eof else b""
    return b"".join(parts)


def is_whole(coding: str, body: bytes) -> bool:
    """Return whether a body has its end; the checksum of gzip is right then.

    Raises:
        zlib.error, zstd.ZstdError: It is no beginning of a body.
    """
    if coding == "gzip":
        member = zlib.decompressobj(zlib.MAX_WBITS | 16)
        member.decompress(body)
        return member.eof and not member.unused_data
    frame = zstd.ZstdDecompressor()
    while True:
        frame.decompress(body)
        if not frame.eof or not frame.unused_data:
            return frame.eof
        body, frame = frame.unused_data, zstd.ZstdDecompressor()
