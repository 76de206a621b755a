"""The requests that steer executions, and that start others from their past.

Each has an ``Idempotency-Key`` always, so where the answer gets lost it is sent again, and carried out once. A command
that is refused raises ``ProblemError``: ``command_not_allowed``, with ``facts["allowed"]``, where it does not fit what
the execution does; ``not_found``; ``storage_unavailable``.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal

import msgspec

from graphwire.client.answers import Applied, Breakpoint, Forked, Many
from graphwire.client.call import Call, body, once, path, reads, several

_APPLIED: Final = reads(Applied)
_FORKED: Final = reads(Forked)
_MANY: Final = reads(Many)


def cancel_execution(
    execution_id: str, *, reason: str | None = None, idempotency_key: str | None = None
) -> Call[Applied]:
    """Ask for cancellation; the end comes as ``execution_cancelled``."""
    return _command(execution_id, "cancel", body(reason=reason), idempotency_key)


def pause_execution(execution_id: str, *, idempotency_key: str | None = None) -> Call[Applied]:
    """Have nothing more begin. What runs goes on to its end; then comes ``execution_paused``."""
    return _command(execution_id, "pause", b"{}", idempotency_key)


def resume_execution(execution_id: str, *, idempotency_key: str | None = None) -> Call[Applied]:
    """Go on after a pause, however it came about."""
    return _command(execution_id, "resume", b"{}", idempotency_key)


def step_execution(
    execution_id: str, *, mode: Literal["over", "into", "out"] = "over", idempotency_key: str | None = None
) -> Call[Applied]:
    """Let the first ready activation of a paused execution run, and pause again; ``step_completed`` says so.

    Args:
        execution_id: The execution.
        mode: ``over``: to its commit. ``into``: until it has opened its scopes, if it opens any. ``out``: to the
            commit of the activation whose scope it is in.
        idempotency_key: Names the command; else it has a new name.

    Raises:
        ProblemError: ``nothing_ready`` where nothing could run.
    """
    return _command(execution_id, "step", body(mode=mode), idempotency_key)


def answer_interrupt(
    execution_id: str, interrupt_id: str, value: Any, *, idempotency_key: str | None = None
) -> Call[Applied]:
    """Give a node what it waits for; ``interrupts`` of an execution lists what is open.

    Args:
        execution_id: The execution.
        interrupt_id: As ``node_suspended`` names it.
        value: Any JSON value that fits the interrupt's schema.
        idempotency_key: Names the command; else it has a new name.

    Raises:
        ProblemError: ``invalid_request`` where the value does not fit, with ``errors``; ``interrupt_closed`` where
            somebody has answered, or its time is over.
    """
    content = msgspec.json.encode({"interrupt_id": interrupt_id, "value": value})
    return _command(execution_id, "input", content, idempotency_key)


def set_breakpoints(
    execution_id: str, breakpoints: Sequence[Breakpoint], *, idempotency_key: str | None = None
) -> Call[Applied]:
    """Say where an execution pauses by itself. These take the place of those before."""
    content = msgspec.json.encode(list(breakpoints))
    return _command(execution_id, "breakpoints", content, idempotency_key, method="PUT")


def edit_state(execution_id: str, patch: Mapping[str, Any], *, idempotency_key: str | None = None) -> Call[Applied]:
    """Change the state of a paused execution by a JSON Merge Patch (RFC 7396): None removes a key.

    Raises:
        ProblemError: ``state_invalid`` where the graph's schema has no place for it.
    """
    return _command(execution_id, "state", msgspec.json.encode(patch), idempotency_key, method="PATCH")


def fork_execution(
    execution_id: str,
    *,
    at: int | None = None,
    state: Mapping[str, Any] | None = None,
    version: int | None = None,
    entry: Sequence[str] | None = None,
    idempotency_key: str | None = None,
) -> Call[Forked]:
    """Start an execution from a place in the past of another one.

    Args:
        execution_id: The other one; it is left as it is.
        at: As of the last commit at or before this event; else as of the last one.
        state: Replaces values of the state there, key by key.
        version: Another version of the graph.
        entry: Begin anew at these nodes, with the state there.
        idempotency_key: Names the start; else it has a new name.
    """
    content = body(at=at, state=state, version=version, entry=entry)
    return _start(path("executions", execution_id, "fork"), content, idempotency_key)


def retry_execution(execution_id: str, *, idempotency_key: str | None = None) -> Call[Forked]:
    """Start an execution that goes on from the last place before another one failed: nothing is done twice."""
    return _start(path("executions", execution_id, "retry"), b"{}", idempotency_key)


def cancel_executions(
    *,
    status: Sequence[str] = (),
    graph: Sequence[str] = (),
    forked_from: Sequence[str] = (),
    since: datetime | None = None,
    until: datetime | None = None,
    search: str | None = None,
    limit: int | None = None,
    reason: str | None = None,
    idempotency_key: str | None = None,
) -> Call[Many]:
    """Ask for the cancellation of all executions for which these conditions hold, the oldest first.

    Args:
        status: Any of these; else all that have not ended.
        graph: Of any of these graphs.
        forked_from: Forks of any of these executions.
        since: Started then or later; with a time zone.
        until: Started before.
        search: A part of the id, the graph's id, the reason or the error.
        limit: So many at most; 100 unless given, and 1,000 at most.
        reason: Shown with each.
        idempotency_key: Names the command; else it has a new name.
    """
    conditions = _conditions(status, graph, forked_from, since, until, search, limit)
    return _many("/executions/cancel", body(**conditions, reason=reason), idempotency_key)


def retry_executions(
    *,
    graph: Sequence[str] = (),
    forked_from: Sequence[str] = (),
    since: datetime | None = None,
    until: datetime | None = None,
    search: str | None = None,
    limit: int | None = None,
    idempotency_key: str | None = None,
) -> Call[Many]:
    """Retry all executions that failed and for which these conditions hold. The rest is as ``cancel_executions``."""
    conditions = _conditions((), graph, forked_from, since, until, search, limit)
    return _many("/executions/retry", body(**conditions), idempotency_key)


def _conditions(
    status: Sequence[str],
    graph: Sequence[str],
    forked_from: Sequence[str],
    since: datetime | None,
    until: datetime | None,
    search: str | None,
    limit: int | None,
) -> dict[str, object]:
    return {
        "status": several(status) or None,
        "graph": several(graph) or None,
        "forked_from": several(forked_from) or None,
        "since": None if since is None else since.isoformat(),
        "until": None if until is None else until.isoformat(),
        "q": search,
        "limit": limit,
    }


def _command(
    execution_id: str, name: str, content: bytes, idempotency_key: str | None, *, method: str = "POST"
) -> Call[Applied]:
    place = path("executions", execution_id, name)
    return Call(method, place, _APPLIED, headers=once(idempotency_key), content=content, is_repeatable=True)


def _start(place: str, content: bytes, idempotency_key: str | None) -> Call[Forked]:
    return Call("POST", place, _FORKED, headers=once(idempotency_key), content=content, is_repeatable=True)


def _many(place: str, content: bytes, idempotency_key: str | None) -> Call[Many]:
    return Call("POST", place, _MANY, headers=once(idempotency_key), content=content, is_repeatable=True)
