"""Events in batches that grow with throughput, while none waits longer than it may."""

from typing import Generic, TypeVar

T = TypeVar("T")

_WEIGHT = 0.2  # of the newest gap in the average


class Batching(Generic[T]):
    """Collects items. Knows no clock: its times are seconds of any clock that never goes back.

    A batch is full at ``n`` items. Before that it is given out as soon as waiting cannot be worth it: the oldest item
    has waited for ``max_wait_s``, or the next one is not to be expected before then. So items that come seldom come
    at once and alone, and those that come fast come in large batches.
    """

    def __init__(self, n: int, max_wait_s: float) -> None:
        if n < 1 or max_wait_s < 0:
            raise ValueError("a batch has at least one event, and waits for no negative time")
        self._n = n
        self._max_wait_s = max_wait_s
        self._items: list[T] = []
        self._first_at = 0.0
        self._last_at: float | None = None
        self._gap_s = 2 * max_wait_s

    def add(self, item: T, now: float) -> list[T] | None:
        """Take an item that came now; return the batch if that makes it full."""
        if self._last_at is not None:
            gap_s = min(now - self._last_at, 2 * self._max_wait_s)  # a long silence says nothing of what comes next
            self._gap_s += _WEIGHT * (gap_s - self._gap_s)
        self._last_at = now
        if not self._items:
            self._first_at = now
        self._items.append(item)
        return self.flush() if len(self._items) >= self._n else None

    def patience(self, now: float) -> float | None:
        """Return how long to wait for the next item before ``flush``; None: for ever, since there is nothing.

        Zero still takes what is there already.
        """
        if not self._items:
            return None
        left_s = self._first_at + self._max_wait_s - now
        return left_s if left_s > 0 and self._gap_s <= left_s else 0.0

    def flush(self) -> list[T]:
        """Return what there is, and begin anew."""
        items, self._items = self._items, []
        return items
