"""The state that an execution starts with: a graph's initial values, replaced key by key."""

from collections.abc import Mapping
from typing import Any, Final

from graphwire.engine.plan import Plan
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
    frozen: dict[str, bytes] = {}
    problems: list[Problem] = []
    if ERRORS_KEY in given:
        problems.append(Problem(pointer("state", ERRORS_KEY), "reserved_key", "only the engine writes this key"))
    for key, value in given.items():
        try:
            frozen[key] = freeze(value)
        except StateNotSerializable as error:
            problems.append(Problem(pointer("state", key), error.code, error.detail))
    size = sum(len(key) + len(value) for key, value in {**plan.initial, **frozen}.items())
    if size > plan.max_state_bytes:
        detail = f"the state has {size:,} bytes; the limit is {plan.max_state_bytes:,} (limits.max_state_bytes)"
        problems.append(Problem("/state", "state_too_large", detail))
    # What cannot be kept, or is too large, is not shown to a schema.
    if not problems and plan.schema is not None:
        whole = {**{key: thaw(value) for key, value in plan.initial.items()}, **given}
        problems += plan.schema.problems(whole, at="/state")
    if problems:
        raise StateInvalid(problems[0].detail if len(problems) == 1 else _DETAIL, problems)
    return frozen
