"""What a stream is doing."""

from typing import Literal, TypeAlias

from msgspec import Struct

from graphwire.client.choice import Transport
from graphwire.client.errors import ClientError

StatusName: TypeAlias = Literal["connecting", "live", "reconnecting", "ended", "failed"]


class StreamStatus(Struct, frozen=True, kw_only=True):
    """A stream's status, as callbacks get it whenever it changes.

    Attributes:
        name: ``connecting`` at first, ``live`` while it is connected, ``reconnecting`` while it waits before an
            attempt and makes it, ``ended`` after the last event, ``failed`` when it is given up.
        transport: What it is connected by, or tries; None before and after.
        attempt: Of ``reconnecting``: its number, from 1, since the stream last worked.
        delay_s: Of ``reconnecting``: how long it waits before the attempt.
        error: Of ``reconnecting`` and ``failed``: why.
    """

    name: StatusName
    transport: Transport | None = None
    attempt: int | None = None
    delay_s: float | None = None
    error: ClientError | None = None
