"""The ways in which events are read, whatever they are events of."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from enum import Enum
from typing import Final, Generic, TypeVar

from graphwire.client.batching import Batching
from graphwire.client.errors import NothingYet, StreamOver

E = TypeVar("E")


class Missing(Enum):
    """Why there is no event."""

    NOT_YET = "not yet"
    OVER = "over"


NOT_YET: Final = Missing.NOT_YET
OVER: Final = Missing.OVER


class Reading(ABC, Generic[E]):
    """Events as they come, in order, each once. One reader at a time.

    Whoever is slow is the only one who waits: what is not asked for is not read, so the service holds it back, and a
    stream that the service has cut meanwhile goes on behind the last event.

    Raises where events are read:
        ProblemError: The service refused, for good.
        StreamClosedError: It ended the stream for good, since what it follows was deleted or the key is void.
        GaveUp: It could not be reached in as many attempts as there may be.
    """

    @abstractmethod
    async def next(self, timeout_s: float | None) -> E | Missing:
        """Return the next event; wait so long for it, for ever without a time. Cancelling loses nothing."""

    @abstractmethod
    def now(self) -> float:
        """Return the time by the clock of the client."""

    async def __aiter__(self) -> AsyncIterator[E]:
        while not isinstance(event := await self.next(None), Missing):
            yield event

    async def recv(self) -> E:
        """Return the next event.

        Raises:
            StreamOver: There is none any more.
        """
        event = await self.next(None)
        if isinstance(event, Missing):
            raise StreamOver("the stream has ended")
        return event

    async def try_recv(self) -> E:
        """Return the next event if it is there already.

        Raises:
            NothingYet: It is not.
            StreamOver: There is none any more.
        """
        event = await self.next(0.0)
        if isinstance(event, Missing):
            raise StreamOver("the stream has ended") if event is OVER else NothingYet("no event has come yet")
        return event

    async def next_timeout(self, timeout_s: float) -> E | None:
        """Return the next event; None when none came within so many seconds, or when the stream has ended."""
        event = await self.next(timeout_s)
        return None if isinstance(event, Missing) else event

    async def batches(self, n: int = 100, *, max_wait_s: float = 0.1) -> AsyncIterator[list[E]]:
        """Give events in lists of at most ``n``; no event waits for longer than ``max_wait_s`` for others to come.

        Lists grow with throughput: an event that comes alone is given at once.
        """
        batching = Batching[E](n, max_wait_s)
        while True:
            event = await self.next(batching.patience(self.now()))
            if not isinstance(event, Missing):
                if (full := batching.add(event, self.now())) is not None:
                    yield full
            elif rest := batching.flush():
                yield rest
            if event is OVER:
                return
