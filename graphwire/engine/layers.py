"""A persistent map whose changes cost the same at any size; the hot keys of a chain stay in a small dict."""

from collections.abc import Iterator, Mapping
from typing import Final, Generic, TypeVar

from rpds import HashTrieMap

V = TypeVar("V")

MAX_RECENT: Final = 64


class Layers(Generic[V]):
    """An immutable map from text to values: a small dict over a persistent map over a dict that never changes.

    A change copies the small dict, which costs a tenth of a change of a persistent map; when it is full, it settles
    into the layer below, once for all maps that are made from this one. None in an upper layer hides a key.
    Safe to read from other threads.
    """

    __slots__ = ("_first", "_middle", "_recent")

    def __init__(
        self, first: Mapping[str, V], middle: "HashTrieMap[str, V | None] | None", recent: dict[str, V | None]
    ) -> None:
        self._first = first
        self._middle = middle
        self._recent = recent

    def get(self, key: str) -> V | None:
        """Return the value of a key; None if it is absent."""
        recent = self._recent  # read before the middle: settling fills the middle before it replaces this
        value = recent.get(key)
        if value is not None:
            return value
        if key in recent:
            return None
        middle = self._middle
        if middle is not None and key in middle:
            return middle[key]
        return self._first.get(key)

    def set(self, changes: Mapping[str, V | None]) -> "Layers[V]":
        """Return a map with these values; None removes a key."""
        if len(self._recent) >= MAX_RECENT:
            self._settle()
        recent = self._recent.copy()
        recent.update(changes)
        return Layers(self._first, self._middle, recent)

    def items(self) -> Iterator[tuple[str, V]]:
        """Iterate over keys and values, in the order of the keys."""
        merged: dict[str, V | None] = {**self._first}
        recent = self._recent
        if self._middle is not None:
            merged.update(self._middle.items())
        merged.update(recent)
        for key in sorted(merged):
            value = merged[key]
            if value is not None:
                yield key, value

    def _settle(self) -> None:
        middle = HashTrieMap() if self._middle is None else self._middle
        hidden = {key for key, value in self._recent.items() if value is None and key not in self._first}
        middle = middle.update({key: value for key, value in self._recent.items() if key not in hidden})
        for key in hidden:
            middle = middle.discard(key)
        self._middle = middle
        self._recent = {}
