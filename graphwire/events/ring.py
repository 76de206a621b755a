"""The latest events of an execution in memory, for its readers and its store."""

from collections import deque

from msgspec import Struct


class Published(Struct, eq=False, gc=False):
    """An event as everybody shares it: encoded once.

    Attributes:
        line: The event as one line of JSON, without LF; large members of ``data`` stand as ``$ref``.
        whole: The full text, where ``line`` is not all of it.
        is_barrier: Neither it nor anything after it is visible before it is stored.
        frame: Spare, for a transport to keep the bytes that it makes of ``line``.
    """

    seq: int
    type: str
    node_id: str | None
    line: bytes
    whole: bytes | None = None
    is_barrier: bool = False
    frame: bytes | None = None

    @property
    def size(self) -> int:
        """Bytes that the event takes in memory and in the store."""
        return len(self.line) if self.whole is None else len(self.line) + len(self.whole)


class Ring:
    """Consecutive events, bounded in count and in bytes; what is still to be stored is kept beyond the bounds.

    Attributes:
        first: Number of the oldest event; of the next one when there is none.
        items: The events from ``first`` on.
        size: Their bytes.
    """

    __slots__ = ("_max_bytes", "_max_events", "_wholes", "first", "items", "size")

    def __init__(self, first: int, *, max_events: int, max_bytes: int) -> None:
        self.first = first
        self.items: list[Published] = []
        self.size = 0
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._wholes: deque[int] = deque()

    def append(self, published: Published) -> int:
        """Add the next event and return its bytes."""
        self.items.append(published)
        size = len(published.line)
        if published.whole is not None:
            size += len(published.whole)
            self._wholes.append(published.seq)
        self.size += size
        return size

    def after(self, seq: int) -> list[Published]:
        """Return the events above ``seq``, which must not lie before the ring."""
        return self.items[seq + 1 - self.first :]

    def read(self, *, after: int, upto: int, limit: int, max_bytes: int) -> list[Published]:
        """Return the events with ``after < seq <= upto``, at least one if there is any.

        ``after`` must not lie before the ring. Stops at ``limit`` events and at ``max_bytes`` of lines.
        """
        start = after + 1 - self.first
        items = self.items[start : min(start + limit, upto + 1 - self.first)]
        if len(items) > 1:
            size = 0
            for index, item in enumerate(items):
                size += len(item.line)
                if size > max_bytes and index:
                    return items[:index]
        return items

    def get(self, seq: int) -> Published | None:
        """Return an event if it is here."""
        index = seq - self.first
        return self.items[index] if 0 <= index < len(self.items) else None

    def shrink(self, *, stored: int, shown: int) -> None:
        """Shrink to the bounds, oldest first.

        Args:
            stored: Everything up to here can be read elsewhere.
            shown: Everything up to here could be read from the ring for a while. What is newer stays until the
                next time, however much it is: else readers that are up to date would need the store for it.
        """
        if self._wholes:
            self._drop_wholes(stored)
        excess = len(self.items) - self._max_events
        if excess <= 0 and self.size <= self._max_bytes:
            return
        evicted = 0
        last = min(stored, shown)
        for item in self.items:
            if item.seq > last or (evicted >= excess and self.size <= self._max_bytes):
                break
            self.size -= item.size
            evicted += 1
        del self.items[:evicted]
        self.first += evicted

    def restart(self, first: int) -> None:
        """Drop everything; the next event is ``first``."""
        self.items.clear()
        self._wholes.clear()
        self.size = 0
        self.first = first

    def cut(self, last: int) -> int:
        """Drop the events above ``last`` and return their bytes."""
        dropped = sum(item.size for item in self.after(last))
        del self.items[last + 1 - self.first :]
        self.size -= dropped
        self._wholes.clear()
        return dropped

    def _drop_wholes(self, stored: int) -> None:
        while self._wholes and self._wholes[0] <= stored:
            index = self._wholes.popleft() - self.first
            item = self.items[index]
            self.size -= len(item.whole or b"")
            # A new object: the store may keep the one that it was given.
            self.items[index] = Published(
                item.seq, item.type, item.node_id, item.line, None, item.is_barrier, item.frame
            )
