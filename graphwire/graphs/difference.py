"""What one definition has that another has not."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from graphwire.json_text import pointer


class _Absent:
    """Stands where there is no value, not even null."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()


@dataclass(frozen=True, slots=True)
class Change:
    """One place where two values differ.

    Attributes:
        pointer: JSON Pointer into the value that has it.
        before: The JSON value there; ``ABSENT`` if there was none. Likewise ``after``.
    """

    pointer: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class ItemChange:
    """A node or an edge that is in both definitions, and differs."""

    id: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class ItemsDifference:
    """How the nodes, or the edges, of two definitions differ.

    Attributes:
        added: As they stand in the second definition, in its order.
        removed: As they stand in the first one, in its order.
        changed: In the order of the second one.
        is_reordered: Whether those that are in both stand in another order.
    """

    added: tuple[Any, ...] = ()
    removed: tuple[Any, ...] = ()
    changed: tuple[ItemChange, ...] = ()
    is_reordered: bool = False

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.is_reordered)


@dataclass(frozen=True, slots=True)
class Difference:
    """How two definitions differ. ``settings`` is everything that is neither a node nor an edge."""

    nodes: ItemsDifference = field(default_factory=ItemsDifference)
    edges: ItemsDifference = field(default_factory=ItemsDifference)
    settings: tuple[Change, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.nodes or self.edges or self.settings)


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> Difference:
    """Compare two definitions in their canonical form as JSON values, in time linear in their size.

    Nodes and edges are the same by their ids, wherever they stand; an edge without an id has its default one. Objects
    are compared member by member, lists of one length item by item; lists of two lengths are one change. ``1``,
    ``1.0`` and ``true`` are three values. The definitions need not be valid any more.
    """
    rest = [{key: value for key, value in each.items() if key not in ("nodes", "edges")} for each in (before, after)]
    return Difference(
        _items(_by_node(before.get("nodes", ())), _by_node(after.get("nodes", ()))),
        _items(_by_edge(before.get("edges", ())), _by_edge(after.get("edges", ()))),
        tuple(_changes(*rest)),
    )


def _by_node(nodes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {node["id"]: node for node in nodes}


def _by_edge(edges: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    counts: Counter[str] = Counter()
    found: dict[str, Any] = {}
    for edge in edges:
        name = f"{edge['source']}>{edge['target']}"
        counts[name] += 1
        default = name if counts[name] == 1 else f"{name}#{counts[name]}"
        found[edge.get("id", default)] = edge
    return found


def _items(before: dict[str, Any], after: dict[str, Any]) -> ItemsDifference:
    changed = (ItemChange(id, tuple(_changes(before[id], item))) for id, item in after.items() if id in before)
    return ItemsDifference(
        added=tuple(item for id, item in after.items() if id not in before),
        removed=tuple(item for id, item in before.items() if id not in after),
        changed=tuple(each for each in changed if each.changes),
        is_reordered=[id for id in before if id in after] != [id for id in after if id in before],
    )


def _changes(before: Any, after: Any) -> Iterator[Change]:
    """Give the changes in document order: what was there before first, then what is new."""
    waiting: list[tuple[tuple[str | int, ...], Any, Any]] = [((), before, after)]
    while waiting:
        place, old, new = waiting.pop()
        if isinstance(old, dict) and isinstance(new, dict):
            keys = [*old, *(key for key in new if key not in old)]
            inner = [((*place, key), old.get(key, ABSENT), new.get(key, ABSENT)) for key in keys]
            waiting += reversed(inner)
        elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
            inner = [((*place, index), *pair) for index, pair in enumerate(zip(old, new, strict=True))]
            waiting += reversed(inner)
        elif type(old) is not type(new) or old != new:
            yield Change(pointer(*place), old, new)
