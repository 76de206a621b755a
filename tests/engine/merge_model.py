"""The rules of state written down literally: slow, every write named, nothing ever forgotten."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from graphwire.engine.merge import Conflict, Policies
from graphwire.values import DELETE

ABSENT = object()
BASE = "base"

FOLDS: dict[str, Callable[[Any, Any], Any]] = {
    "append": lambda old, new: [*old, new],
    "extend": lambda old, new: [*old, *new],
    "add": lambda old, new: old + new,
    "merge": lambda old, new: deep(old, new),
    "union": lambda old, new: old + [x for i, x in enumerate(new) if not any(same(x, y) for y in old + new[:i])],
    "min": lambda old, new: new if new < old else old,
    "max": lambda old, new: new if new > old else old,
    "first": lambda old, new: old,
}


@dataclass
class ModelState:
    """Values with the ids of their last writes, the past as a set, and each operation ever made."""

    values: dict[str, Any]
    ids: dict[str, str] = field(default_factory=dict)
    past: frozenset[str] = frozenset()
    operations: dict[str, list[tuple[str, Any]]] = field(default_factory=dict)


def same(one: Any, other: Any) -> bool:
    """Equal as JSON, written out."""
    if one is ABSENT or other is ABSENT:
        return one is other
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) not in (list, dict) and type(other) not in (list, dict) and bool(one == other)


def deep(old: Any, new: Any) -> Any:
    """Merge objects deeply."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return new
    return {**old, **{key: deep(old[key], new[key]) if key in old else new[key] for key in new}}


def fold(reducer: str, old: Any, written: Any) -> Any:
    """Fold one write as engine.md says."""
    if written is DELETE:
        return ABSENT
    if old is ABSENT:
        return [written] if reducer == "append" else written
    return FOLDS[reducer](old, written)


def commit(state: ModelState, update: Mapping[str, Any], write: str, reducers: Mapping[str, str]) -> ModelState:
    """Write an update."""
    new = ModelState(dict(state.values), dict(state.ids), state.past | {write}, dict(state.operations))
    for key, value in update.items():
        if key in reducers:
            new.operations[key] = [*state.operations.get(key, []), (write, value)]
            new.values[key] = fold(reducers[key], state.values.get(key, ABSENT), value)
        else:
            new.ids[key] = write
            new.values[key] = ABSENT if value is DELETE else value
    return new


def merge(
    start: Mapping[str, Any],
    sides: Sequence[tuple[ModelState, str]],
    write: str,
    policies: Policies,
    reducers: Mapping[str, str],
) -> tuple[ModelState, list[Conflict]]:
    """Merge by the letter: every key, every side against every other."""
    states = [state for state, _ in sides]
    merged = ModelState({}, {}, frozenset().union(*(state.past for state in states)))
    conflicts: list[Conflict] = []
    for key in sorted({key for state in states for key in [*state.values, *reducers]}):
        if key in reducers:
            operations: list[tuple[str, Any]] = []
            merged.operations[key] = operations
            merged.values[key] = start.get(key, ABSENT)
            for state in states:
                for operation in state.operations.get(key, []):
                    if operation[0] not in [name for name, _ in operations]:
                        operations.append(operation)
                        merged.values[key] = fold(reducers[key], merged.values[key], operation[1])
            continue
        standing = [side for side in sides if not _is_dropped(key, side[0], states)] or list(sides)
        ids = [state.ids.get(key, BASE) for state, _ in standing]
        values = [state.values.get(key, ABSENT) for state, _ in standing]
        merged.ids[key], merged.values[key] = ids[-1], values[-1]
        if len(set(ids)) > 1 and not all(same(values[0], value) for value in values):
            policy = policies.of(key)
            merged.values[key] = values[0] if policy == "first_write_wins" else values[-1]
            if policy == "merge" and all(isinstance(value, dict) for value in values):
                merged.values[key] = values[0]
                for value in values[1:]:
                    merged.values[key] = deep(merged.values[key], value)
            merged.ids[key] = write
            merged.past |= {write}
            nodes = [node for _, node in standing]
            conflicts.append(Conflict(key, nodes, [as_json(v) for v in values], policy, as_json(merged.values[key])))
    return merged, conflicts


def as_json(value: Any) -> bytes | None:
    """A value's JSON in the form of the state; None is absent."""
    return None if value is ABSENT else json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def whole(state: ModelState) -> bytes:
    """The whole state as JSON, its keys sorted."""
    present = {key: value for key, value in sorted(state.values.items()) if value is not ABSENT}
    return as_json(present) or b""


def _is_dropped(key: str, side: ModelState, states: Sequence[ModelState]) -> bool:
    held = side.ids.get(key, BASE)
    return any(
        other is not side and (held == BASE or held in other.past) and other.ids.get(key, BASE) != held
        for other in states
    )
