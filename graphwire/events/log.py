"""Numbers what happens in an execution, dates it, and hands it to the hub."""

from typing import Final

from msgspec import UNSET

from graphwire.clock import Clock
from graphwire.events.encoding import (
    CR,
    LF,
    MAX_LINE_BYTES,
    Outgoing,
    decode_line,
    encode_envelope,
    encode_line,
    fit_line,
)
from graphwire.events.hub import Hub
from graphwire.events.ring import Published
from graphwire.events.timestamps import format_second, parse_timestamp
from graphwire.events.types import EventData
from graphwire.types import ExecutionId, GraphId

THREE_DIGITS: Final = tuple(f"{number:03d}" for number in range(1000))
"""Looking them up takes a third of the time that formatting them takes."""


class EventLog:
    """The one writer of an execution's events.

    Called on the thread of the hub. ``ts`` and ``mono_ns`` never go back, also where the execution went on in
    another process.
    """

    __slots__ = (
        "_correlation_id",
        "_counted",
        "_execution_id",
        "_graph_id",
        "_hub",
        "_milli_ns",
        "_milli_text",
        "_mono_now",
        "_mono_zero_ns",
        "_second",
        "_second_text",
        "_wall_now",
        "_wall_ns",
    )

    def __init__(
        self,
        execution_id: ExecutionId,
        graph_id: GraphId,
        clock: Clock,
        hub: Hub,
        *,
        correlation_id: str | None = None,
        last_line: bytes | None = None,
        events_before: int = 0,
    ) -> None:
        """Begin where the hub stands.

        Args:
            execution_id: Stands in every event.
            graph_id: Likewise.
            clock: Where the times come from.
            hub: Where the events go to; its next number is the log's.
            correlation_id: Stands in every event, if there is one.
            last_line: Where the execution goes on after a restart: its last stored event. Times go on from there,
                the time that it lay idle included.
            events_before: And how many events were stored.
        """
        self._execution_id: str = execution_id
        self._graph_id: str = graph_id
        self._wall_now = clock.wall_ns
        self._mono_now = clock.mono_ns
        self._hub = hub
        self._correlation_id = UNSET if correlation_id is None else correlation_id
        self._counted = events_before - hub.published
        self._wall_ns = 0
        self._milli_ns = 0
        self._second = 0
        self._second_text = format_second(0)
        self._milli_text = self._second_text + THREE_DIGITS[0]
        elapsed_ns = 0
        if last_line is not None:
            last = decode_line(last_line)
            self._wall_ns = parse_timestamp(last.ts)
            elapsed_ns = last.mono_ns + max(0, clock.wall_ns() - self._wall_ns)
        self._mono_zero_ns = clock.mono_ns() - elapsed_ns

    @property
    def hub(self) -> Hub:
        """Where the events go to."""
        return self._hub

    @property
    def next_seq(self) -> int:
        """The number that the next event gets."""
        return self._hub.published + 1

    @property
    def count(self) -> int:
        """How many events there are: the last number, unless a crash left a jump."""
        return self._counted + self._hub.published

    def elapsed_ns(self) -> int:
        """Return what ``mono_ns`` of an event would be now."""
        return self._mono_now() - self._mono_zero_ns

    def append(
        self,
        data: EventData,
        *,
        node_id: str | None = None,
        activation: str | None = None,
        pass_number: int | None = None,
        path: list[dict[str, str | int]] | None = None,
    ) -> int:
        """Publish an event and return its number. An event that cannot be encoded takes none.

        Args:
            data: What happened.
            node_id: Of a node's event.
            activation: The run of the node that it belongs to.
            pass_number: 1-based count of the node's activations in its scope.
            path: The enclosing scopes, outermost first; absent in the outermost.

        Raises:
            ValueError: The sentinel was published.
        """
        wall_ns = self._wall_now()
        if wall_ns < self._wall_ns:
            wall_ns = self._wall_ns
        else:
            self._wall_ns = wall_ns
        micros = (wall_ns - self._milli_ns) // 1000
        if micros >= 1000:
            self._turn_to(wall_ns)
            micros = (wall_ns - self._milli_ns) // 1000
        hub = self._hub
        seq = hub.published + 1
        outgoing = Outgoing(
            seq,
            data.type,
            data.code,
            self._execution_id,
            self._graph_id,
            UNSET if node_id is None else node_id,
            UNSET if activation is None else activation,
            UNSET if pass_number is None else pass_number,
            UNSET if path is None else path,
            self._correlation_id,
            f"{self._milli_text}{THREE_DIGITS[micros]}Z",
            self._mono_now() - self._mono_zero_ns,
            data,
        )
        whole = None
        try:
            line = encode_envelope(outgoing)
        except UnicodeEncodeError:
            line, whole = encode_line(outgoing)
        else:  # what most envelopes are, a short line of ASCII, is seen here without a call
            if LF in line or CR in line or len(line) >= MAX_LINE_BYTES or not line.isascii():
                line, whole = fit_line(outgoing, line)
        hub.publish(Published(seq, data.type, node_id, line, whole, data.is_barrier))
        return seq

    def _turn_to(self, wall_ns: int) -> None:
        """Keep the text of a millisecond: while much happens, many events have it in common."""
        second, millis = divmod(wall_ns // 1_000_000, 1000)
        if second != self._second:
            self._second = second
            self._second_text = format_second(second)
        self._milli_ns = (second * 1000 + millis) * 1_000_000
        self._milli_text = self._second_text + THREE_DIGITS[millis]
