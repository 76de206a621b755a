"""What a stream follows, and what it wants to see of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from graphwire.client.call import JSON, Call, path, query, reads, several
from graphwire.client.connection import ReadEvent
from graphwire.client.execution_calls import MAX_WAIT_S, RawPage
from graphwire.events.encoding import Envelope, decode_line
from graphwire.events.service_encoding import decode_service_line

HEARTBEAT_S: Final = 15
SILENCE_S: Final = 2.5 * HEARTBEAT_S
"""A stream on which nothing comes for so long, though it asked for signs of life, is dead."""
POLL_WAIT_S: Final = 25.0

_PAGE: Final = reads(RawPage)


@dataclass(frozen=True, slots=True)
class Target:
    """An execution's log, or the service's own.

    Attributes:
        path: Where its events are.
        socket_path: Where its WebSocket is.
        method: The request that subscribes to it there; None where the address does so by itself.
        chosen: What the service shows of it: lists of names, by the name of the parameter.
        read_event: Reads one of its lines.
    """

    path: str
    socket_path: str
    method: str | None
    chosen: dict[str, list[str]]
    read_event: ReadEvent

    def stream_query(self, after: int) -> dict[str, str]:
        """Return the query of an event stream from a place on."""
        return query(after=after, heartbeat=HEARTBEAT_S, **self.chosen)

    def page(self, after: int, *, limit: int, waits: bool) -> Call[RawPage]:
        """Return the request for so many events after a place; perhaps it waits for the first."""
        wait_s = min(POLL_WAIT_S, MAX_WAIT_S) if waits else None
        asked = query(after=after, limit=limit, wait=wait_s, **self.chosen)
        return Call("GET", self.path, _PAGE, asked, {"Accept": JSON}, wait_s=wait_s or 0.0)

    def subscription(self, after: int) -> dict[str, Any]:
        """Return the parameters of a subscription from a place on."""
        return {"after": after, **{name: values for name, values in self.chosen.items() if values}}


def execution(
    execution_id: str,
    *,
    types: Sequence[str] = (),
    nodes: Sequence[str] = (),
    decode: Callable[[bytes], Envelope] = decode_line,
) -> Target:
    """Return an execution as what is followed."""
    return Target(
        path("executions", execution_id, "events"),
        path("executions", execution_id, "ws"),
        None,
        {"types": several(types), "nodes": several(nodes)},
        decode,
    )


def service(*, topics: Sequence[str] = ()) -> Target:
    """Return the service as what is followed."""
    return Target("/events", "/ws", "service.subscribe", {"topics": several(topics)}, decode_service_line)
