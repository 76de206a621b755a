"""A stream made of long polls."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from graphwire.client.call import Call
from graphwire.client.connection import Arrival, Position, read_arrival
from graphwire.client.errors import ConnectionFailed
from graphwire.client.execution_calls import RawPage
from graphwire.client.target import Target

LARGEST_PAGE: Final = 1_000
SMALLEST_PAGE: Final = 10

Ask: TypeAlias = Callable[[Call[RawPage]], Awaitable[RawPage]]


class Pages:
    """The pages of a log, as large as the way to it lets through.

    A page that breaks off is no use at all, so after each such one the next is smaller.

    Attributes:
        target: The log.
    """

    def __init__(self, ask: Ask, target: Target) -> None:
        self._ask = ask
        self.target = target
        self._limit = LARGEST_PAGE

    async def open(self, after: int) -> "PollConnection":
        """Ask for what there is.

        Raises:
            ClientError: There is no answer.
        """
        return PollConnection(self, await self.page(after, waits=False))

    async def page(self, after: int, *, waits: bool) -> RawPage:
        """Return the page after a place; perhaps it waits for the first event. Raises as ``open``."""
        try:
            page = await self._ask(self.target.page(after, limit=self._limit, waits=waits))
        except ConnectionFailed as failure:
            if failure.was_open:
                self._limit = max(SMALLEST_PAGE, self._limit // 4)
            raise
        self._limit = min(LARGEST_PAGE, self._limit * 2)
        return page


class PollConnection:
    """Asks for a page after the other. Made by ``Pages``."""

    def __init__(self, pages: Pages, first: RawPage) -> None:
        self._pages = pages
        self._page: RawPage | None = first
        self._after = first.next
        self._is_over = False

    async def read(self) -> list[Arrival] | None:
        """See ``Connection``."""
        if self._is_over:
            return None
        page, self._page = self._page or await self._pages.page(self._after, waits=True), None
        self._after = page.next
        self._is_over = page.ended
        read_event = self._pages.target.read_event
        lagged = [] if bytes(page.lagged) == b"null" else [page.lagged]
        return [*(read_arrival(each, read_event) for each in (*lagged, *page.events)), Position(page.next)]

    async def handed(self, events: int) -> None:
        """See ``Connection``: nothing is asked for before it is wanted."""

    async def close(self) -> None:
        """See ``Connection``: nothing is open."""
