"""The line of an event of the service: the envelope around its data, as everybody shares it."""

from typing import Any, Final

from msgspec import UNSET, Raw, Struct, UnsetType, ValidationError
from msgspec.json import Decoder, decode, encode

from graphwire.events.encoding import on_one_line, without_surrogates
from graphwire.events.ring import Published
from graphwire.events.service_types import SERVICE_EVENTS_BY_TOPIC, ServiceEvent, ServiceEventData
from graphwire.events.timestamps import format_timestamp

_CODES: Final = {topic: kind.code for topic, kind in SERVICE_EVENTS_BY_TOPIC.items()}


class ServiceEnvelope(Struct, frozen=True, kw_only=True):
    """An event of the service as a client sees it.

    Attributes:
        type: Its topic.
        code: None where the version that told it did not know it.
        data: An instance of the topic's class; a plain object where the topic is unknown to this version.
    """

    seq: int
    type: str
    code: int | None = None
    topic: str
    execution_id: str | None = None
    graph_id: str | None = None
    ts: str
    data: ServiceEvent | dict[str, Any]


class _Incoming(Struct, frozen=True, kw_only=True):
    seq: int
    type: str
    code: int | None = None
    topic: str
    execution_id: str | None = None
    graph_id: str | None = None
    ts: str
    data: Raw


_read_incoming: Final = Decoder(_Incoming).decode


class _Envelope(Struct, frozen=True, gc=False):
    seq: int
    type: str
    code: int | UnsetType
    topic: str
    execution_id: str | UnsetType
    graph_id: str | UnsetType
    correlation_id: str | UnsetType
    ts: str
    data: Raw


def encode_data(data: ServiceEventData) -> bytes:
    """Encode the ``data`` of an event. Lone surrogates in its texts become U+FFFD."""
    try:
        return encode(data)
    except UnicodeEncodeError:
        return encode(without_surrogates(data))


def service_event(
    seq: int,
    topic: str,
    *,
    execution_id: str | None = None,
    graph_id: str | None = None,
    correlation_id: str | None = None,
    at_us: int,
    data: bytes,
) -> Published:
    """Return an event of the service in the form in which everybody shares it: the same bytes each time.

    Args:
        seq: Its number.
        topic: Also its type. One that a later version wrote has no code.
        execution_id: None where it is about none; likewise ``graph_id``.
        correlation_id: The execution's, where it has one.
        at_us: When it happened, in microseconds since the Unix epoch.
        data: JSON.
    """
    line = encode(
        _Envelope(
            seq,
            topic,
            _CODES.get(topic, UNSET),
            topic,
            UNSET if execution_id is None else execution_id,
            UNSET if graph_id is None else graph_id,
            UNSET if correlation_id is None else correlation_id,
            format_timestamp(at_us * 1000),
            Raw(data),
        )
    )
    return Published(seq, topic, None, line if line.isascii() else on_one_line(line))


def decode_service_line(line: bytes) -> ServiceEnvelope:
    """Read an event of the service.

    Raises:
        msgspec.ValidationError: It is JSON, but no such event.
        msgspec.DecodeError: It is no JSON.
    """
    incoming = _read_incoming(line)
    return ServiceEnvelope(
        seq=incoming.seq,
        type=incoming.type,
        code=incoming.code,
        topic=incoming.topic,
        execution_id=incoming.execution_id,
        graph_id=incoming.graph_id,
        ts=incoming.ts,
        data=_read_data(incoming.topic, incoming.data),
    )


def _read_data(topic: str, data: Raw) -> ServiceEvent | dict[str, Any]:
    known = SERVICE_EVENTS_BY_TOPIC.get(topic)
    if known is not None:
        try:
            return decode(data, type=known)
        except ValidationError:
            pass  # a later version has a value here that this one does not know
    return decode(data, type=dict[str, Any])
