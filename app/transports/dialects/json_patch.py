"""What changed between two states, as a JSON Patch (RFC 6902)."""

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Raw
from msgspec.json import decode, encode

from graphwire.values import json_equal


def changes(old: Mapping[str, bytes], new: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """Return the operations that make one state of another; states are encoded value by value.

    A list that only grew is added to; any other value that is neither equal nor an object is replaced.
    """
    found: list[dict[str, Any]] = [{"op": "remove", "path": _joined("", key)} for key in old.keys() - new.keys()]
    found.sort(key=lambda operation: str(operation["path"]))
    for key, value in new.items():
        before = old.get(key)
        if before is None:
            found.append({"op": "add", "path": _joined("", key), "value": Raw(value)})
        elif before is not value and not json_equal(before, value):
            found += _changed(_joined("", key), decode(before), decode(value))
    return found


def _changed(path: str, old: Any, new: Any) -> Iterator[dict[str, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old:
            if key not in new:
                yield {"op": "remove", "path": _joined(path, key)}
        for key, value in new.items():
            if key not in old:
                yield {"op": "add", "path": _joined(path, key), "value": value}
            elif not _equal(old[key], value):
                yield from _changed(_joined(path, key), old[key], value)
    elif isinstance(old, list) and isinstance(new, list) and 0 < len(old) < len(new) and _equal(old, new[: len(old)]):
        for value in new[len(old) :]:
            yield {"op": "add", "path": f"{path}/-", "value": value}
    else:
        yield {"op": "replace", "path": path, "value": new}


def _equal(one: Any, other: Any) -> bool:
    return json_equal(encode(one), encode(other))


def _joined(path: str, key: str) -> str:
    return f"{path}/{key.replace('~', '~0').replace('/', '~1')}"
