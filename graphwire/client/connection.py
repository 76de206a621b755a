"""What a stream asks of a transport, and what comes over it."""

from collections.abc import Callable
from typing import Final, Protocol, TypeAlias

import msgspec
from msgspec import Raw, Struct

from graphwire.client.errors import UnexpectedAnswer
from graphwire.events.encoding import Envelope
from graphwire.events.notices import NoticeEnvelope, decode_notice
from graphwire.events.service_encoding import ServiceEnvelope


class Position(Struct, frozen=True):
    """The cursor moved without an event: what was looked at was left out by a filter."""

    after: int


AnyEvent: TypeAlias = Envelope | ServiceEnvelope
Arrival: TypeAlias = AnyEvent | NoticeEnvelope | Position
ReadEvent: TypeAlias = Callable[[bytes], AnyEvent]
"""Reads the line of an event; raises ``msgspec.DecodeError``."""


class Connection(Protocol):
    """An open stream over one transport, from one place on."""

    async def read(self) -> list[Arrival] | None:
        """Wait for something; None when nothing will follow, for good. Empty where it was but a sign of life.

        Raises:
            ClientError: The stream broke, or what came is none.
        """
        ...

    async def handed(self, events: int) -> None:
        """Say that so many more events were handed to their reader.

        Raises:
            ClientError: The stream broke.
        """
        ...

    async def close(self) -> None:
        """End it, whatever its state. Raises nothing."""
        ...


class _Number(Struct):
    seq: int | None = None


_read_number: Final = msgspec.json.Decoder(_Number).decode


def read_arrival(line: bytes | Raw, read_event: ReadEvent) -> AnyEvent | NoticeEnvelope:
    """Read an event, or what has no number and so is a notice.

    Raises:
        UnexpectedAnswer: It is neither.
    """
    text = bytes(line)
    try:
        return decode_notice(text) if _read_number(text).seq is None else read_event(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise UnexpectedAnswer(f"the server sent what is neither event nor notice ({error})") from None
