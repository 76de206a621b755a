"""A page of stored events, put together from chunks or rows."""

from collections.abc import Iterable
from typing import Any

from msgspec import DecodeError, Raw
from msgspec.json import Decoder

from app.storage.chunks import decode_events, split
from graphwire.errors import HistoryDamaged
from graphwire.events.hub import Published
from graphwire.events.service_encoding import service_event
from graphwire.types import ExecutionId

_read_object = Decoder(dict[str, Raw]).decode


class Page:
    """Events with ``after < seq <= upto``, at most ``limit``, of at most ``max_bytes``, but never without the first.

    Attributes:
        events: In order.
        is_full: Nothing more belongs to it.
    """

    def __init__(self, execution_id: ExecutionId, *, after: int, upto: int, limit: int, max_bytes: int) -> None:
        self.events: list[Published] = []
        self.is_full = False
        self._execution_id = execution_id
        self._after = after
        self._upto = upto
        self._limit = limit
        self._max_bytes = max_bytes
        self._size = 0

    def add(self, first_seq: int, last_seq: int, format: int, checksum: int, body: bytes) -> None:
        """Add what belongs to it of the next chunk.

        Raises:
            HistoryDamaged: The first event cannot be read; a later one only ends the page.
        """
        try:
            lines = split(self._execution_id, first_seq, format, checksum, body)
            for event in decode_events(lines, first_seq=first_seq, last_seq=last_seq, after=self._after):
                self._size += len(event.line)
                is_too_large = bool(self.events) and self._size > self._max_bytes
                if event.seq > self._upto or len(self.events) == self._limit or is_too_large:
                    self.is_full = True
                    return
                self.events.append(event)
        except HistoryDamaged:
            if not self.events:
                raise
            self.is_full = True


def service_page(rows: Iterable[tuple[Any, ...]], max_bytes: int) -> list[Published]:
    """Return events of the service, whose rows have the order of the table: so many bytes of them, but at least one.

    Raises:
        HistoryDamaged: The first event cannot be read; a later one only ends the page.
    """
    events: list[Published] = []
    size = 0
    for seq, topic, execution_id, graph_id, correlation_id, at_us, data in rows:
        try:
            _read_object(data)
            event = service_event(
                seq,
                topic,
                execution_id=execution_id,
                graph_id=graph_id,
                correlation_id=correlation_id,
                at_us=at_us,
                data=data,
            )
        except (DecodeError, OverflowError, TypeError, ValueError):
            if events:
                break
            raise HistoryDamaged(f"What is stored of the service's event {seq} is no event.", seq=seq) from None
        size += len(event.line)
        if events and size > max_bytes:
            break
        events.append(event)
    return events
