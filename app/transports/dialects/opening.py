"""Readers and pages in the dialect that was asked for."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from app.services.readers import EventReader
from app.services.states import States
from app.services.streams import EventPage, StreamService, check_cursor
from app.transports.cursor import Place, parse_cursor, parse_place
from app.transports.dialects.folding import FoldingReader
from app.transports.dialects.names import DIALECTS, FOLDING, DialectName
from app.transports.dialects.reader import DialectReader, as_events
from graphwire.events.filters import Filter
from graphwire.events.hub import Hub, Page, Published
from graphwire.types import ExecutionId

STORED_S = 5.0
"""How long a page waits until a commit that may be seen is stored."""


Told: TypeAlias = EventReader | DialectReader | FoldingReader
"""A reader in any dialect."""


@dataclass(frozen=True, slots=True)
class Telling:
    """How a reader is told the events of an execution.

    Attributes:
        states: Finds the states of the execution; None where they cannot be made again.
    """

    streams: StreamService
    dialect: DialectName
    states: Callable[[ExecutionId], Awaitable[States | None]]

    def open(self, execution_id: ExecutionId, hub: Hub, *, place: Place, filter: Filter | None) -> Told:
        """Open a reader. Raises as ``StreamService.open``."""
        if self.dialect not in FOLDING:
            reader = self.streams.open(execution_id, hub, after=place.after, filter=filter)
            native = self.dialect == "native"
            return reader if native else DialectReader(reader, DIALECTS[self.dialect](), had=place.had)
        check_cursor(place.after, hub)
        reader = self.streams.open(execution_id, hub, after=None, filter=None)
        if is_end(hub, place):
            place = place._replace(goes_on=True)  # there is nothing to join
        return self._folding(reader, execution_id, place, filter)

    async def page(
        self, execution_id: ExecutionId, hub: Hub, *, place: Place, filter: Filter | None, limit: int, wait_s: float
    ) -> EventPage:
        """Return a page of at most so many events. Raises as ``StreamService.page``."""
        passing = None if self.dialect in FOLDING else filter
        page = await self.streams.page(
            execution_id, hub, after=place.after or 0, filter=passing, limit=limit, wait_s=wait_s
        )
        if self.dialect in FOLDING:
            reader = self.streams.look(execution_id, hub)
            await self._fold(self._folding(reader, execution_id, place._replace(goes_on=True), filter), page, place)
        elif self.dialect != "native":
            dialect = DIALECTS[self.dialect]()
            parts = [part for event in page.events for part in as_events(event, dialect.frames(event))]
            page.events = parts[place.had :]
        return page

    async def _fold(self, folding: FoldingReader, page: EventPage, place: Place) -> None:
        told: list[Published] = []
        seen = -1
        try:
            while seen < folding.seen < page.next:
                seen = folding.seen
                item = await folding.next(STORED_S)
                if isinstance(item, Page):
                    told += item.items
        finally:
            folding.close()
        reached = max(place.after or 0, min(page.next, folding.seen))
        page.ended = page.ended and reached == page.next
        page.next = reached
        page.events = [part for part in told if part.seq <= reached]

    def _folding(
        self, reader: EventReader, execution_id: ExecutionId, place: Place, filter: Filter | None
    ) -> FoldingReader:
        return FoldingReader(
            reader, FOLDING[self.dialect], partial(self.states, execution_id), place=place, filter=filter
        )


def is_end(hub: Hub, place: Place) -> bool:
    """Return whether nothing follows behind a place."""
    return place.after is not None and hub.closed and place.after >= hub.visible


def place_for(dialect: DialectName, last_event_id: str | None, after: str | None) -> Place:
    """Return the place that a request names.

    Raises:
        InvalidCursor: It is none in this dialect.
    """
    if dialect == "native":
        return Place(parse_cursor(last_event_id, after), 0, bool(last_event_id))
    return parse_place(last_event_id, after)
