"""Events with the lines that they were read from, for output that is passed on as it is."""

import msgspec
from msgspec import Raw, Struct

from graphwire.events.encoding import Envelope, decode_line


class _Data(Struct):
    data: Raw


class Lined(Envelope, frozen=True, kw_only=True):
    """An event, and its line."""

    line: bytes

    def data_text(self) -> str:
        """Return its data as JSON."""
        return bytes(msgspec.json.decode(self.line, type=_Data).data).decode()


def read_lined(line: bytes) -> Lined:
    """Read an event, and keep its line. Raises as ``decode_line``."""
    event = decode_line(line)
    return Lined(**{name: getattr(event, name) for name in event.__struct_fields__}, line=line)
