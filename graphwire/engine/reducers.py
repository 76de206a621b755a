"""Reducers: how writes to a key are folded, on encoded values."""

from collections.abc import Callable, Mapping, Set as AbstractSet
from dataclasses import dataclass
from inspect import isawaitable, iscoroutine
from math import isfinite
from typing import Any, Final, TypeAlias

from graphwire.engine.policies.failure import message_of
from graphwire.errors import ReducerError, StateNotSerializable, quoted
from graphwire.json_text import MAX_WHOLE
from graphwire.values import DELETE, Deleted, Frozen, freeze, identity, thaw

ReducerFunction: TypeAlias = Callable[[Any, Any], Any]


class Grown:
    """A list as JSON that others were added to: joined when it is first read, so that adding copies nothing.

    Attributes:
        size: Length of the JSON in bytes.
    """

    __slots__ = ("_parts", "size")

    def __init__(self, below: "bytes | Grown", items: bytes) -> None:
        """Add ``items``, at least one, as JSON separated by commas, to a list."""
        held = below.size if isinstance(below, Grown) else len(below)
        self.size: int = held + len(items) + (held > 2)
        # One attribute, so that a thread that reads while another joins sees either all or nothing of it.
        self._parts: tuple[bytes | Grown | None, bytes] = (below, items)

    def to_bytes(self) -> bytes:
        """Return the JSON."""
        pieces: list[bytes] = []
        value: bytes | Grown | None = self
        while isinstance(value, Grown):
            below, items = value._parts
            if below is None:
                value = items
            else:
                pieces.append(items)
                value = below
        assert value is not None
        if not pieces:
            return value
        if len(value) > 2:
            pieces.append(value[1:-1])
        pieces.reverse()
        joined = b"[" + b",".join(pieces) + b"]"
        self._parts = (None, joined)
        return joined


Value: TypeAlias = bytes | Grown
"""A value in a state."""


@dataclass(frozen=True, slots=True)
class Operations:
    """In an update: what a child scope wrote to a key that has a reducer there.

    Attributes:
        writes: In order, to be folded one by one.
        value: What they made of the key in the scope; stands for them where the key has no reducer.
    """

    writes: tuple[Frozen, ...]
    value: Frozen


Update: TypeAlias = Mapping[str, bytes | Deleted | Operations]
"""What a commit changes, by key. Also takes plain mappings of ``Frozen``."""


class _Unfit(Exception):
    """A reducer cannot fold this; the message is a sentence's end."""


class Reducers:
    """The reducers of a graph by key, the reserved key ``errors`` included."""

    __slots__ = ("_builtins", "_functions", "keys")

    def __init__(self, mapping: Mapping[str, str | ReducerFunction]) -> None:
        """Take each key's reducer: a built-in's name, or a function ``(old, written) -> new``.

        Raises:
            ValueError: There is no built-in of that name.
        """
        self._builtins: dict[str, Callable[[Value | None, bytes], Value]] = {"errors": _append}
        self._functions: dict[str, ReducerFunction] = {}
        for key, reducer in mapping.items():
            if not isinstance(reducer, str):
                self._functions[key] = reducer
            elif reducer in BUILTINS:
                self._builtins[key] = BUILTINS[reducer]
            else:
                raise ValueError(f"there is no reducer {reducer!r}; there are {', '.join(BUILTINS)}")
        self.keys = frozenset(self._builtins) | frozenset(self._functions)

    def calls_code(self, key: str) -> bool:
        """Say whether the key's reducer is a function."""
        return key in self._functions

    def fold(self, key: str, old: Value | None, written: Frozen) -> Value | None:
        """Return what a write makes of a key that has a reducer; None is absent.

        On a missing key the written value stands (for ``append`` in a list); ``DELETE`` makes the key absent.

        Raises:
            ReducerError: The values do not fit the reducer, or the function failed.
        """
        if isinstance(written, Deleted):
            return None
        function = self._functions.get(key)
        try:
            if function is None:
                return self._builtins[key](old, written)
            return written if old is None else _call(function, to_bytes(old), written)
        except _Unfit as error:
            raise ReducerError(f"the reducer of key {quoted(key)} {error}", key=key) from error.__cause__


def to_bytes(value: Value) -> bytes:
    """Return a value's JSON."""
    return value if isinstance(value, bytes) else value.to_bytes()


def merge_mappings(old: dict[str, Any], written: dict[str, Any]) -> dict[str, Any]:
    """Return ``old`` with the members of ``written``; where both hold an object, it is merged likewise."""
    merged = dict(old)
    for name, value in written.items():
        held = merged.get(name)
        both = isinstance(held, dict) and isinstance(value, dict)
        merged[name] = merge_mappings(held, value) if both else value  # type: ignore[arg-type]  # both are dicts
    return merged


def _call(function: ReducerFunction, old: bytes, written: bytes) -> bytes | None:
    try:
        result = function(thaw(old), thaw(written))
        if iscoroutine(result):
            result.close()
        if isawaitable(result):
            raise _Unfit("returned an awaitable; a reducer must be a plain function")
        return None if result is DELETE else freeze(result)
    except _Unfit:
        raise
    except StateNotSerializable as error:
        raise _Unfit(f"returned what is not JSON: {error.detail}") from error
    except BaseException as error:  # border: a reducer is code of the graph's author and may raise SystemExit too
        raise _Unfit(f"raised {type(error).__name__}: {quoted(message_of(error), 200)}") from error


def _append(old: Value | None, written: bytes) -> Value:
    return Grown(b"[]" if old is None else _list(old), written)


def _extend(old: Value | None, written: bytes) -> Value:
    _list(written)
    if old is None:
        return written
    return Grown(_list(old), written[1:-1]) if len(written) > 2 else _list(old)


def _add(old: Value | None, written: bytes) -> Value:
    new = _of_kind(written, "numbers or text", _NUMBER | {str})
    if old is None:
        return written
    held = _of_kind(old, "numbers or text", _NUMBER | {str})
    if isinstance(held, str) != isinstance(new, str):
        raise _Unfit("cannot add text and numbers")
    total = held + new
    if isinstance(total, float) and not isfinite(total):
        raise _Unfit("made a number that is too large")
    if isinstance(total, int) and not -MAX_WHOLE <= total <= MAX_WHOLE:
        raise _Unfit("made a whole number beyond ±2^63")
    return freeze(total)


def _merge(old: Value | None, written: bytes) -> Value:
    new = _of_kind(written, "objects", {dict})
    return written if old is None else freeze(merge_mappings(_of_kind(old, "objects", {dict}), new))


def _union(old: Value | None, written: bytes) -> Value:
    _list(written)
    if old is None:
        return written
    held = _list(old)
    seen = set(map(identity, thaw(to_bytes(held))))
    added = []
    for item in thaw(written):
        if (name := identity(item)) not in seen:
            seen.add(name)
            added.append(item)
    return Grown(held, freeze(added)[1:-1]) if added else held


def _min(old: Value | None, written: bytes) -> Value:
    return _extreme(old, written, lambda new, held: bool(new < held))


def _max(old: Value | None, written: bytes) -> Value:
    return _extreme(old, written, lambda new, held: bool(new > held))


def _extreme(old: Value | None, written: bytes, is_better: Callable[[Any, Any], bool]) -> Value:
    new = _of_kind(written, "numbers or text", _NUMBER | {str})
    if old is None:
        return written
    held = _of_kind(old, "numbers or text", _NUMBER | {str})
    if isinstance(held, str) != isinstance(new, str):
        raise _Unfit("cannot compare text and numbers")
    return written if is_better(new, held) else old


def _first(old: Value | None, written: bytes) -> Value:
    return written if old is None else old


def _list(value: Value) -> Value:
    if isinstance(value, bytes) and not value.startswith(b"["):
        raise _Unfit(f"needs lists, not {_kind(thaw(value))}")
    return value


def _of_kind(value: Value, needed: str, kinds: AbstractSet[type]) -> Any:
    plain = thaw(to_bytes(value))
    if type(plain) not in kinds:
        raise _Unfit(f"needs {needed}, not {_kind(plain)}")
    return plain


def _kind(value: object) -> str:
    return _KINDS[type(value)]


_NUMBER: Final = frozenset({int, float})
_KINDS: Final[Mapping[type, str]] = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "an object",
}
BUILTINS: Final[Mapping[str, Callable[[Value | None, bytes], Value]]] = {
    "append": _append,
    "extend": _extend,
    "add": _add,
    "merge": _merge,
    "union": _union,
    "min": _min,
    "max": _max,
    "first": _first,
}
"""The built-in reducers by name."""
