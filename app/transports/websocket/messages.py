"""Frames of a WebSocket and the messages that they make up (RFC 6455 §5). Pure."""

import codecs
import struct

from websockets.frames import Frame, Opcode

_TEXT = 0x80 | Opcode.TEXT
_SHORT, _LONGER, _LONGEST = struct.Struct("!BB").pack, struct.Struct("!BBH").pack, struct.Struct("!BBQ").pack
_utf8_decoder = codecs.getincrementaldecoder("utf-8")


class Messages:
    """Puts the data frames of one connection together. Text is checked as it comes, not only at its end."""

    def __init__(self) -> None:
        self._parts: bytearray | None = None
        self._decoder: codecs.IncrementalDecoder | None = None

    def add(self, frame: Frame) -> str | bytes | None:
        """Return the message that ends with this frame; None where it does not.

        Raises:
            UnicodeDecodeError: The text is no UTF-8.
        """
        if frame.opcode is not Opcode.CONT:
            is_text = frame.opcode is Opcode.TEXT
            if frame.fin:
                return str(frame.data, "utf-8") if is_text else bytes(frame.data)
            self._parts = bytearray()
            self._decoder = _utf8_decoder() if is_text else None
        assert self._parts is not None, "the protocol refuses a continuation of nothing"
        self._parts += frame.data
        if self._decoder is not None:
            self._decoder.decode(frame.data, frame.fin)
        if not frame.fin:
            return None
        whole, self._parts = self._parts, None
        return bytes(whole) if self._decoder is None else whole.decode()


def text_frame(text: bytes) -> bytes:
    """Return a text in UTF-8 as an unmasked frame that is not compressed."""
    size = len(text)
    if size < 126:
        return _SHORT(_TEXT, size) + text
    if size < 65_536:
        return _LONGER(_TEXT, 126, size) + text
    return _LONGEST(_TEXT, 127, size) + text
