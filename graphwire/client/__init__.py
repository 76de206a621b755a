"""A client of a Graphwire service: ``AsyncClient`` for asyncio, and ``Client``, the same without it."""

from graphwire.client.answers import Breakpoint
from graphwire.client.asynchronous import AsyncClient
from graphwire.client.backoff import Retry
from graphwire.client.blocking import Client
from graphwire.client.blocking_stream import (
    BlockingEvents,
    BlockingEventStream,
    BlockingEventView,
    BlockingServiceStream,
)
from graphwire.client.choice import Transport
from graphwire.client.consuming import consume
from graphwire.client.errors import (
    ClientError,
    ConnectionFailed,
    GaveUp,
    NothingYet,
    ProblemError,
    StreamClosedError,
    StreamOver,
    UnexpectedAnswer,
)
from graphwire.client.status import StreamStatus
from graphwire.client.stream import Events, EventStream, EventView, ServiceStream
from graphwire.client.timing import Timing

__all__ = [
    "AsyncClient",
    "BlockingEventStream",
    "BlockingEventView",
    "BlockingEvents",
    "BlockingServiceStream",
    "Breakpoint",
    "Client",
    "ClientError",
    "ConnectionFailed",
    "EventStream",
    "EventView",
    "Events",
    "GaveUp",
    "NothingYet",
    "ProblemError",
    "Retry",
    "ServiceStream",
    "StreamClosedError",
    "StreamOver",
    "StreamStatus",
    "Timing",
    "Transport",
    "UnexpectedAnswer",
    "consume",
]
