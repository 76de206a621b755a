"""What is remembered of graphs, within one bound for all of it."""

from collections import OrderedDict
from typing import Any, Generic, TypeAlias, TypeVar

from graphwire.types import GraphId

T = TypeVar("T")
Key: TypeAlias = tuple[GraphId, int]


class Memory:
    """Bounds what its parts remember together: beyond it goes the version that was not asked for for longest.

    The version of which something was remembered last stays, however much that is: it is in use, and making it again
    at each use would cost more.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[Key, dict[Part[Any], tuple[Any, int]]] = OrderedDict()
        self._versions: dict[GraphId, set[int]] = {}
        self._weight = 0

    @property
    def weight(self) -> int:
        """What all that is remembered weighs."""
        return self._weight

    def __len__(self) -> int:
        """Return of how many versions something is remembered."""
        return len(self._kept)

    def get(self, part: "Part[Any]", key: Key) -> Any:
        """Return what is remembered, None where nothing is; that counts as a use."""
        found = self._kept.get(key)
        if found is None or part not in found:
            return None
        self._kept.move_to_end(key)
        return found[part][0]

    def keep(self, part: "Part[Any]", key: Key, value: Any, weight: int) -> None:
        """Remember instead of what was there."""
        found = self._kept.setdefault(key, {})
        self._versions.setdefault(key[0], set()).add(key[1])
        self._weight += weight - (found[part][1] if part in found else 0)
        found[part] = value, weight
        self._kept.move_to_end(key)
        while self._weight > self._most and len(self._kept) > 1:
            self.drop(next(iter(self._kept)))

    def drop(self, key: Key) -> None:
        """Forget a version, if anything is remembered of it."""
        found = self._kept.pop(key, None)
        if found is None:
            return
        self._weight -= sum(weight for _, weight in found.values())
        graph_id, version = key
        self._versions[graph_id].discard(version)
        if not self._versions[graph_id]:
            del self._versions[graph_id]

    def forget(self, graph_id: GraphId) -> None:
        """Forget all about a graph."""
        for version in list(self._versions.get(graph_id, ())):
            self.drop((graph_id, version))


class Part(Generic[T]):
    """One kind of what is remembered, by graph and version."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def get(self, key: Key) -> T | None:
        """Return what is remembered; None where nothing is."""
        found: T | None = self._memory.get(self, key)
        return found

    def keep(self, key: Key, value: T, weight: int) -> None:
        """Remember what weighs so much."""
        self._memory.keep(self, key, value, weight)
