"""Changes that a person makes to the state of a paused execution."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET

from graphwire.engine.attempt import below
from graphwire.engine.joining import shown_state, sides_of
from graphwire.engine.plan import ERRORS
from graphwire.engine.records import Recorder
from graphwire.engine.report import Reporter
from graphwire.engine.state import State
from graphwire.errors import Problem, StateInvalid, StateNotSerializable
from graphwire.events import types
from graphwire.json_text import pointer
from graphwire.values import DELETE, Frozen, freeze, thaw

if TYPE_CHECKING:
    from graphwire.engine.execution import Execution

_DETAIL: Final = "the state cannot be changed so"


def patched(execution: "Execution", patch: Mapping[str, Any]) -> dict[str, Frozen]:
    """Return what a merge patch (RFC 7396) makes of the top-level keys that it touches.

    It is applied to the merge of all live and ended states, as ``GET …/state`` shows it.

    Raises:
        StateInvalid: It writes a reserved key, or the state would not fit the graph's schema or be too large;
            pointers lead into the patch.
    """
    problems = []
    if ERRORS in patch:
        problems.append(Problem(pointer(ERRORS), "reserved_key", "only the engine writes this key"))
    plan, state = execution.plan, shown(execution)
    update: dict[str, Frozen] = {}
    for key, change in patch.items():
        old = state.get(key)
        try:
            update[key] = DELETE if change is None else freeze(_merged(None if old is None else thaw(old), change))
        except StateNotSerializable as error:
            problems.append(Problem(pointer(key), error.code, error.detail))
    after = state.edited(update)
    limit = execution.max_state_bytes
    if after.size > limit:
        detail = f"the state would have {after.size:,} bytes; the limit is {limit:,} (limits.max_state_bytes)"
        problems.append(Problem("", "state_too_large", detail))
    if not problems and plan.schema is not None:
        problems += plan.schema.problems(dict(after.view()))
    if problems:
        raise StateInvalid(problems[0].detail if len(problems) == 1 else _DETAIL, problems)
    return update


def shown(execution: "Execution") -> State:
    """Return the merge of all live and ended states of an execution."""
    root = execution.root
    return shown_state(root.plan, sides_of(root.plan, root.scheduler, root.start)).state


def edit(
    execution: "Execution",
    update: Mapping[str, Frozen],
    reporter: Reporter | None,
    recorder: Recorder | None,
    *,
    write_id: str,
    by: str | None = None,
) -> None:
    """Set top-level keys, whole, and remove others; tell and record it."""
    if recorder is not None:
        recorder.begin()
    if reporter is not None:
        reporter.execution(types.VariableChanged(keys=list(update), by=UNSET if by is None else by))
    if recorder is not None:
        recorder.edited(write_id, update)
    set_values(execution, update)


def set_values(execution: "Execution", update: Mapping[str, Frozen]) -> None:
    """Set top-level keys, whole, in every state of an execution: live and ended ones, those of child scopes too.

    Also for restoring. What was recorded of these keys for merges is dropped: what the person set is what stands.
    """
    changed: dict[int, tuple[State, State]] = {}

    def change(state: State) -> State:
        known = changed.get(id(state))
        if known is None:
            known = changed[id(state)] = (state, state.edited(update))
        return known[1]

    for scope in below(execution.root):
        scope.start = change(scope.start)
        scope.scheduler.map_states(change)
        for attempt in scope.attempts:
            attempt.state = change(attempt.state)
            if attempt.opened is not None:
                attempt.opened.edit(change, update.keys())
            if attempt.folded:
                attempt.folded = {key: value for key, value in attempt.folded.items() if key not in update} or None
    for attempt in execution.ready:
        attempt.state = change(attempt.state)


def _merged(old: Any, change: Any) -> Any:
    """RFC 7396 §2."""
    if not isinstance(change, dict):
        return change
    merged = dict(old) if isinstance(old, dict) else {}
    for key, value in change.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(merged.get(key), value)
    return merged
