"""The latest events in a list, for tests and notebooks."""

from collections import deque
from collections.abc import Sequence

from graphwire.events.encoding import Envelope, decode_line
from graphwire.events.hub import Published


class Memory:
    """Keeps the latest events.

    Args:
        limit: How many; older ones go.
        name: What it is called.
    """

    def __init__(self, limit: int = 10_000, *, name: str = "memory") -> None:
        self.name = name
        self._events: deque[Published] = deque(maxlen=limit)

    def events(self) -> list[Envelope]:
        """Return what is kept, oldest first."""
        return [decode_line(event.whole or event.line) for event in list(self._events)]

    def clear(self) -> None:
        """Forget what is kept."""
        self._events.clear()

    async def handle(self, events: Sequence[Published]) -> None:
        """See ``Sink``."""
        self._events.extend(events)

    async def close(self) -> None:
        """See ``Sink``; what is kept stays."""
