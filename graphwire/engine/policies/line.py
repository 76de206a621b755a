"""Who waits, and who is served first: by priority, then by arrival, and waiting raises the priority."""

from collections import OrderedDict
from collections.abc import Hashable, Iterator, Mapping
from typing import Final, Generic, NamedTuple, TypeVar

from graphwire.types import Priority

LEVELS: Final[Mapping[Priority, int]] = {"low": 0, "normal": 1, "high": 2, "critical": 3}
NORMAL: Final = 1
HIGHEST: Final = 3
AGEING_S: Final = 30.0

Key = TypeVar("Key", bound=Hashable)


class Place(NamedTuple):
    """Where one stands: the smaller it is, the sooner it is its turn.

    Attributes:
        above: How many levels there are above the one that it has reached.
        number: By arrival.
    """

    above: int
    number: int


class _Entry(NamedTuple):
    level: int
    number: int
    since_s: float


class Line(Generic[Key]):
    """Those that wait. Pure: the time is given with each call.

    Whoever has waited for ``ageing_s`` counts as one level higher, up to the highest, where only arrival decides: so
    nobody is overtaken for ever.

    Args:
        ageing_s: 0 raises nobody.
    """

    def __init__(self, *, ageing_s: float = AGEING_S) -> None:
        self._ageing_s = ageing_s
        # Of two with one priority the older one is never behind: each of these is in order at any time.
        self._levels: tuple[OrderedDict[Key, _Entry], ...] = tuple(OrderedDict() for _ in LEVELS)
        self._level_of: dict[Key, int] = {}

    def __len__(self) -> int:
        return len(self._level_of)

    def __contains__(self, key: Key) -> bool:
        return key in self._level_of

    def add(self, key: Key, priority: Priority, *, number: int, since_s: float) -> None:
        """Let one wait.

        Args:
            number: By arrival; larger than that of all who were added with this priority before.
            since_s: When it came; not before them.
        """
        level = LEVELS[priority]
        self._levels[level][key] = _Entry(level, number, since_s)
        self._level_of[key] = level

    def remove(self, key: Key) -> bool:
        """Let one go; whether it was there."""
        level = self._level_of.pop(key, None)
        if level is None:
            return False
        del self._levels[level][key]
        return True

    def first(self, now_s: float) -> tuple[Place, Key] | None:
        """Return whose turn it is, with its place; None where nobody waits."""
        best: tuple[Place, Key] | None = None
        for waiting in self._levels:
            if waiting:
                key = next(iter(waiting))
                place = self._place(waiting[key], now_s)
                if best is None or place < best[0]:
                    best = place, key
        return best

    def first_of(self, priority: Priority) -> Key | None:
        """Return the one that came first with a priority; None where nobody did."""
        return next(iter(self._levels[LEVELS[priority]]), None)

    def overdue(self, since_s: float) -> list[Key]:
        """Return those that came at this time or before."""
        return [key for waiting in self._levels for key, entry in waiting.items() if entry.since_s <= since_s]

    def place(self, key: Key, now_s: float) -> Place:
        """Return where one stands."""
        return self._place(self._levels[self._level_of[key]][key], now_s)

    def before(self, place: Place, now_s: float) -> int:
        """Return how many stand before a place."""
        count = 0
        for level, waiting in enumerate(self._levels):
            if HIGHEST - level < place.above:
                count += len(waiting)
                continue
            for entry in waiting.values():
                if self._place(entry, now_s) >= place:
                    break
                count += 1
        return count

    def in_order(self, now_s: float) -> Iterator[tuple[Place, Key]]:
        """Return all, whose turn is first at the front, each with its place."""
        placed = [(self._place(entry, now_s), key) for waiting in self._levels for key, entry in waiting.items()]
        placed.sort(key=_by_place)
        return iter(placed)

    def counts(self) -> dict[Priority, int]:
        """Return how many came with each priority, where somebody did."""
        return {name: len(self._levels[level]) for name, level in LEVELS.items() if self._levels[level]}

    def oldest_s(self, now_s: float) -> float:
        """Return how long the one has waited that came first; 0 where nobody waits."""
        heads = [next(iter(waiting.values())).since_s for waiting in self._levels if waiting]
        return max(0.0, now_s - min(heads)) if heads else 0.0

    def _place(self, entry: _Entry, now_s: float) -> Place:
        level = entry.level
        if self._ageing_s:
            level += max(0, int((now_s - entry.since_s) / self._ageing_s))
        return Place(max(0, HIGHEST - level), entry.number)


def _by_place(placed: tuple[Place, Hashable]) -> Place:
    return placed[0]
