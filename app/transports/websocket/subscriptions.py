"""What one socket is subscribed to, and how often its client may be wrong. Pure."""

from collections import deque
from dataclasses import dataclass, field

from app.transports.dialects.opening import Told
from app.transports.websocket.protocol import SocketOutlet
from graphwire.errors import GraphwireError, NotFound, quoted
from graphwire.events.filters import Filter

ABUSE_S = 60.0


class TooManySubscriptions(GraphwireError):
    """A socket has as many subscriptions as it may have. Unsubscribe from one, or open another socket."""

    code, title = "too_many_subscriptions", "Too many subscriptions"


@dataclass(slots=True)
class Subscription:
    """One reader of a socket.

    Attributes:
        credit: How many more events the client takes; None is any number.
        outlet: The way to the client past the task that reads; None where the server has none.
    """

    id: str
    reader: Told
    credit: int | None = None
    outlet: SocketOutlet | None = None

    def refilter(self, filter: Filter | None) -> int:
        """Show what this filter lets pass, from the number on that is returned."""
        if self.outlet is not None:
            self.outlet.stop()  # the reader stands where it stood before others were served with it
        return self.reader.refilter(filter)

    def grant(self, events: int) -> None:
        """Add to the credit. One that had none to count begins to count."""
        self.credit = (self.credit or 0) + events
        self.reader.wake()


class Subscriptions:
    """The subscriptions of a socket, by their names, which are never given twice.

    Args:
        limit: How many there may be at once.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._number = 0
        self._open: dict[str, Subscription] = {}

    def __len__(self) -> int:
        return len(self._open)

    def require_room(self) -> None:
        """Refuse one more than there may be.

        Raises:
            TooManySubscriptions: There are as many as there may be.
        """
        if len(self._open) >= self._limit:
            detail = f"this socket has {self._limit:,} subscriptions (GRAPHWIRE_MAX_SUBSCRIPTIONS)"
            raise TooManySubscriptions(detail, limit=self._limit)

    def add(self, reader: Told, credit: int | None) -> Subscription:
        """Name a subscription."""
        self._number += 1
        made = Subscription(f"s{self._number}", reader, credit)
        self._open[made.id] = made
        return made

    def get(self, id: str) -> Subscription:
        """Return a subscription.

        Raises:
            NotFound: There is none with this name, or it has ended.
        """
        found = self._open.get(id)
        if found is None:
            raise NotFound(f"this socket has no subscription {quoted(id)}")
        return found

    def remove(self, id: str) -> None:
        """Forget a subscription. Idempotent."""
        self._open.pop(id, None)


@dataclass(slots=True)
class Patience:
    """Counts the bad messages of the last minute.

    Attributes:
        limit: With the one that makes so many it is over.
    """

    limit: int
    _at: deque[float] = field(default_factory=deque)

    def is_over(self, now_s: float) -> bool:
        """Count one more; whether it was one too many."""
        self._at.append(now_s)
        while self._at[0] <= now_s - ABUSE_S:
            self._at.popleft()
        return len(self._at) >= self.limit
