"""The requests about executions."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, TypedDict, Unpack

import msgspec
from msgspec import Raw, Struct

from graphwire.client.answers import Breakpoint, Checkpoint, Execution, ExecutionSummary, Page, Result, Started, State
from graphwire.client.call import JSON, Answer, Call, T, body, once, path, query, read_nothing, reads, several
from graphwire.client.errors import UnexpectedAnswer
from graphwire.events.encoding import Envelope, decode_line
from graphwire.events.notices import NoticeEnvelope, decode_notice
from graphwire.types import Detail, Durability, Ordering

MAX_WAIT_S: Final = 30.0
"""A long poll waits so long at most."""

_FINISHED: Final = reads(Result)
_STARTED: Final = reads(Started)


class StartOptions(TypedDict, total=False):
    """How an execution starts; what is left out is as the service has it.

    Attributes:
        state: Replaces initial values of the graph, key by key.
        version: Of the graph; else the newest.
        entry: Begin at these nodes instead.
        seed: Of all randomness; else drawn.
        limits: Those that are given replace the graph's.
        durability: ``sync``: events are shown when they are stored.
        detail: ``full`` adds conditions, data flow and written keys.
        ordering: ``deterministic``: the same inputs give the same events in the same order.
        on_disconnect: ``cancel``: the execution ends when its last reader has left.
        breakpoints: Where it pauses by itself.
        priority: What it waits for its turn with, and its nodes run with.
        metadata: Kept with the execution.
    """

    state: Mapping[str, Any]
    version: int | None
    entry: Sequence[str] | None
    seed: int | None
    limits: Mapping[str, Any]
    durability: Durability
    detail: Detail
    ordering: Ordering
    on_disconnect: Literal["continue", "cancel"]
    breakpoints: Sequence[Breakpoint]
    priority: Literal["low", "normal", "high", "critical"]
    metadata: Mapping[str, Any]


class EventPage(Struct, frozen=True):
    """Some events of an execution.

    Attributes:
        next: The cursor to go on with; it moves past what a filter left out.
        ended: Whether nothing follows.
        lagged: The notice ``stream_lagged`` where events that were asked for are gone.
    """

    events: list[Envelope]
    last_seq: int
    next: int
    ended: bool
    status: str
    lagged: NoticeEnvelope | None = None


class RawPage(Struct, frozen=True):
    """``EventPage`` as it stands on the wire; one of the service has no status."""

    events: list[Raw]
    last_seq: int
    next: int
    ended: bool
    status: str = ""
    lagged: Raw = Raw(b"null")


def start_execution(
    graph_id: str, *, idempotency_key: str | None = None, **options: Unpack[StartOptions]
) -> Call[Started]:
    """Start an execution and return at once.

    It has an ``Idempotency-Key`` always, so where the answer gets lost it is sent again, and starts one execution.
    """
    return _start(path("graphs", graph_id, "execute"), _STARTED, idempotency_key, options)


def start_and_wait(
    graph_id: str, *, timeout_s: float, idempotency_key: str | None = None, **options: Unpack[StartOptions]
) -> Call[Result | Started]:
    """Start an execution and wait for its result, but no longer than 1 to 600 seconds: then ``Started``."""
    place = path("graphs", graph_id, "execute", "wait")
    return _start(place, _read_finished, idempotency_key, options, query(timeout=timeout_s), wait_s=timeout_s)


def get_execution(execution_id: str) -> Call[Execution]:
    """Return all about an execution but its events and its state.

    Raises:
        ProblemError: ``not_found``.
    """
    return Call("GET", path("executions", execution_id), reads(Execution), is_repeatable=True)


def list_executions(
    *,
    status: Sequence[str] = (),
    graph: Sequence[str] = (),
    forked_from: Sequence[str] = (),
    waiting: bool | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    search: str | None = None,
    sort: str | None = None,
    limit: int | None = None,
    after: str | None = None,
) -> Call[Page[ExecutionSummary]]:
    """Return a page of executions, newest first unless ``sort`` says otherwise.

    Args:
        status: Any of these.
        graph: Of any of these graphs.
        forked_from: Forks of any of these executions.
        waiting: Paused while a node waits for input, or not.
        since: Started then or later; with a time zone.
        until: Started before.
        search: A part of the id, the graph's id, the reason or the error.
        sort: ``started_at``, ``ended_at`` or ``duration_ms``, falling with ``-`` before it.
        limit: Items of a page, at most 1,000.
        after: The ``next`` of the page before.
    """
    asked = query(
        status=several(status),
        graph=several(graph),
        forked_from=several(forked_from),
        waiting=waiting,
        since=None if since is None else since.isoformat(),
        until=None if until is None else until.isoformat(),
        q=search,
        sort=sort,
        limit=limit,
        after=after,
    )
    return Call("GET", "/executions", reads(Page[ExecutionSummary]), asked, is_repeatable=True)


def get_state(execution_id: str, *, at: int | None = None) -> Call[State]:
    """Return the merged state of an execution, running or ended.

    Args:
        execution_id: The execution.
        at: As of the last commit at or before this event; else as of now.

    Raises:
        ProblemError: ``not_found``; ``checkpoint_corrupt``, whose ``facts["usable"]`` is the newest place before.
    """
    return Call("GET", path("executions", execution_id, "state"), reads(State), query(at=at), is_repeatable=True)


def list_checkpoints(
    execution_id: str, *, limit: int | None = None, after: str | None = None
) -> Call[Page[Checkpoint]]:
    """Return a page of the places in its past at which its state changed, newest first."""
    place = path("executions", execution_id, "checkpoints")
    return Call("GET", place, reads(Page[Checkpoint]), query(limit=limit, after=after), is_repeatable=True)


def delete_execution(execution_id: str) -> Call[None]:
    """Delete an execution that has ended.

    Raises:
        ProblemError: ``command_not_allowed`` while it runs; ``not_found``.
    """
    return Call("DELETE", path("executions", execution_id), read_nothing)


def get_events(
    execution_id: str,
    *,
    after: int = 0,
    types: Sequence[str] = (),
    nodes: Sequence[str] = (),
    limit: int | None = None,
    wait_s: float = 0.0,
) -> Call[EventPage]:
    """Return events after a place, once; ``follow`` goes on by itself.

    Args:
        execution_id: The execution.
        after: The ``seq`` of the last event that is not wanted.
        types: Events of these types only, and what ends the execution.
        nodes: Of these nodes only, and those of no node.
        limit: At most so many, and 1,000.
        wait_s: Wait so long for the first one, at most 30 seconds.
    """
    raw = get_raw_events(execution_id, after=after, types=types, nodes=nodes, limit=limit, wait_s=wait_s)
    return Call("GET", raw.path, _read_page, raw.query, raw.headers, is_repeatable=True, wait_s=wait_s)


def get_raw_events(
    execution_id: str,
    *,
    after: int = 0,
    types: Sequence[str] = (),
    nodes: Sequence[str] = (),
    limit: int | None = None,
    wait_s: float = 0.0,
) -> Call[RawPage]:
    """As ``get_events``, with the events as they are."""
    asked = query(after=after, types=several(types), nodes=several(nodes), limit=limit, wait=wait_s or None)
    place = path("executions", execution_id, "events")
    return Call("GET", place, reads(RawPage), asked, {"Accept": JSON}, is_repeatable=True, wait_s=wait_s)


def get_event(execution_id: str, seq: int) -> Call[Envelope]:
    """Return one event, whole, also where a stream shows ``$ref`` for a large part of it."""
    return Call("GET", path("executions", execution_id, "events", seq), _read_event, is_repeatable=True)


def _start(
    place: str,
    read: Callable[[Answer], T],
    idempotency_key: str | None,
    options: StartOptions,
    asked: Mapping[str, str] | None = None,
    wait_s: float = 0.0,
) -> Call[T]:
    content = body(**options)
    return Call("POST", place, read, asked or {}, once(idempotency_key), content, is_repeatable=True, wait_s=wait_s)


def _read_finished(answer: Answer) -> Result | Started:
    return _STARTED(answer) if answer.status == 202 else _FINISHED(answer)


def _read_page(answer: Answer) -> EventPage:
    raw = reads(RawPage)(answer)
    try:
        events = [decode_line(bytes(event)) for event in raw.events]
        lagged = None if bytes(raw.lagged) == b"null" else decode_notice(raw.lagged)
    except (msgspec.DecodeError, RecursionError) as error:
        raise UnexpectedAnswer(f"the page holds what is no event ({error})", status=answer.status) from None
    return EventPage(events, raw.last_seq, raw.next, raw.ended, raw.status, lagged)


def _read_event(answer: Answer) -> Envelope:
    try:
        return decode_line(answer.body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise UnexpectedAnswer(f"the answer is no event ({error})", status=answer.status) from None
