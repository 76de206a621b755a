"""The state that an execution starts with: a graph's initial values, replaced key by key."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from graphwire.engine.plan import Plan
from graphwire.engine.state import State
from graphwire.errors import Problem, StateInvalid, StateNotSerializable
from graphwire.graphs.definition import ERRORS_KEY
from graphwire.json_text import pointer
from graphwire.values import freeze, thaw

_DETAIL: Final = "the state cannot be taken as it is"


def freeze_start(given: Mapping[str, Any], plan: Plan) -> dict[str, bytes]:
    """Return the values that a start gives, encoded.

    Raises:
        StateInvalid: It names a reserved key, cannot be encoded, is too large, or does not fit the graph's schema;
            pointers begin with ``/state``.
    """
    frozen, problems = _freeze(given)
    size = sum(len(key) + len(value) for key, value in {**plan.initial, **frozen}.items())
    problems += _misfits(plan, size, problems, lambda: {**{k: thaw(v) for k, v in plan.initial.items()}, **given})
    return _checked(frozen, problems)


def freeze_fork(given: Mapping[str, Any], plan: Plan, before: State) -> dict[str, bytes]:
    """Return the values that a fork gives, encoded; they replace those of the state before, key by key.

    Raises:
        StateInvalid: As ``freeze_start``.
    """
    if not given:
        return {}
    frozen, problems = _freeze(given)
    after = before.edited(frozen)
    problems += _misfits(plan, after.size, problems, lambda: dict(after.view()))
    return _checked(frozen, problems)


def _freeze(given: Mapping[str, Any]) -> tuple[dict[str, bytes], list[Problem]]:
    frozen: dict[str, bytes] = {}
    problems: list[Problem] = []
    if ERRORS_KEY in given:
        problems.append(Problem(pointer("state", ERRORS_KEY), "reserved_key", "only the engine writes this key"))
    for key, value in given.items():
        try:
            frozen[key] = freeze(value)
        except StateNotSerializable as error:
            problems.append(Problem(pointer("state", key), error.code, error.detail))
    return frozen, problems


def _misfits(
    plan: Plan, size: int, problems: Sequence[Problem], whole: Callable[[], Mapping[str, Any]]
) -> Sequence[Problem]:
    if size > plan.max_state_bytes:
        detail = f"the state has {size:,} bytes; the limit is {plan.max_state_bytes:,} (limits.max_state_bytes)"
        return [Problem("/state", "state_too_large", detail)]
    # What cannot be kept, or is too large, is not shown to a schema.
    if not problems and plan.schema is not None:
        return plan.schema.problems(whole(), at="/state")
    return []


def _checked(frozen: dict[str, bytes], problems: Sequence[Problem]) -> dict[str, bytes]:
    if problems:
        raise StateInvalid(problems[0].detail if len(problems) == 1 else _DETAIL, problems)
    return frozen
