"""Streams in the description of the API: what they look like on the wire, and how they are resumed."""

import json
from collections.abc import Mapping
from typing import Any, Final

from app.api.negotiation import JSON, NDJSON, SSE
from app.api.schemas.examples import EXECUTION_ID
from app.api.schemas.headers import described

SCHEMA_ADDRESS: Final = "/schemas/events"

FORMS: Final = """\
`Accept` says in which form the events come:

- `text/event-stream` (the default): server-sent events, as `EventSource` reads them. Each block is `event:` with the \
type, `data:` with the event as one line of JSON, and `id:` with its number. The first block of a connection also has \
`retry:`. A line with a colon alone is a heartbeat.
- `application/x-ndjson`: an event a line, for `curl -N` and programs.

With `Accept-Encoding: gzip` (or `zstd`, where the server has it) a stream is compressed, and every event can still be \
read when it comes."""

RESUMING: Final = """\
**Nothing is lost.** Every event has a number, `seq`, which counts from 1. A reader that lost its connection asks \
`GET /executions/{execution_id}/events` again with the last number that it has, as the header `Last-Event-ID` (a \
browser does so by itself) or as `after`, and goes on where it was.

**It ends** with the event `stream_end`; then the server closes. Whoever asks again with its number gets 204, which \
tells a browser to stop. A stream that ends without it was cut: resume. Where the service stops, the notice \
`stream_closed` says so.

**Notices** (`execution_progress`, `heartbeat`, `stream_lagged`, `stream_closed`) have no `seq` and belong to this \
reader only. Take no notice of types that you do not know. `GET /schemas/events` has the JSON Schema of all of them."""

_ENVELOPE: Final = {"execution_id": EXECUTION_ID, "graph_id": "ticker"}
_NODE: Final = {"node_id": "tick", "activation": "a0610f249c291666", "pass": 1}
_OPTIONS: Final = {
    "version": 1,
    "durability": "async",
    "detail": "standard",
    "ordering": "as_finished",
    "on_disconnect": "continue",
    "limits": {},
    "metadata": {},
}


def _event(seq: int, type: str, code: int, micros: int, data: Mapping[str, Any], **place: Any) -> dict[str, Any]:
    ts = f"2026-11-21T18:34:53.{219_669 + micros:06}Z"
    head = {"seq": seq, "type": type, "code": code, **_ENVELOPE, **place}
    return {**head, "ts": ts, "mono_ns": micros * 1_000, "data": data}


EVENTS: Final[tuple[Mapping[str, Any], ...]] = (
    _event(1, "execution_started", 0, 250, {"entry": ["tick"], "seed": 2658426988553082, "options": _OPTIONS}),
    _event(2, "node_started", 1, 26_460, {"node_type": "function", "attempt": 1}, **_NODE),
    _event(3, "node_message", 34, 46_628, {"scope": "yield", "message": {"tick": 1, "of": 1}, "metadata": {}}, **_NODE),
    _event(
        4,
        "node_completed",
        2,
        48_226,
        {"attempt": 1, "duration_ms": 21.6, "edges": [], "result": {"ticks": 1}},
        **_NODE,
    ),
    {
        "type": "execution_progress",
        "code": 23,
        "execution_id": EXECUTION_ID,
        "ts": "2026-11-21T18:34:53.267990Z",
        "after": 4,
        "data": {"percent": 100.0, "completed": 1, "total": 1, "running": []},
    },
    _event(
        5,
        "execution_completed",
        4,
        48_405,
        {
            "outcome": "success",
            "duration_ms": 22.1,
            "steps": 1,
            "state": {"count": 1, "interval_ms": 20, "ticks": 1},
        },
    ),
    _event(6, "stream_end", 21, 48_426, {"status": "completed", "total_events": 6, "duration_ms": 22.1}),
)
"""What a reader gets of an execution of the graph ``ticker`` that ticks once."""


def as_line(event: Mapping[str, Any]) -> str:
    """Return an event or a notice as NDJSON has it."""
    return json.dumps(event, separators=(",", ":")) + "\n"


def as_block(event: Mapping[str, Any]) -> str:
    """Return an event or a notice as a stream of server-sent events has it."""
    number = event.get("seq", event.get("after"))
    return f"event: {event['type']}\ndata: {as_line(event)}id: {number}\n\n"


AS_BLOCKS: Final = "retry: 3141\n" + "".join(map(as_block, EVENTS))
AS_LINES: Final = "".join(map(as_line, EVENTS))
PAGE: Final[Mapping[str, Any]] = {
    "events": [EVENTS[0], EVENTS[1]],
    "last_seq": 6,
    "next": 2,
    "ended": False,
    "status": "completed",
    "lagged": None,
}

PAGE_SCHEMA: Final[Mapping[str, Any]] = {
    "title": "EventPage",
    "description": "Some events of an execution. Ask again with `after` = `next`.",
    "type": "object",
    "required": ["events", "last_seq", "next", "ended", "status", "lagged"],
    "properties": {
        "events": {
            "type": "array",
            "items": {"anyOf": [{"$ref": "#/components/schemas/Event"}, {"$ref": "#/components/schemas/Frame"}]},
        },
        "last_seq": {"type": "integer", "minimum": 0, "description": "The newest event that there is."},
        "next": {"type": "integer", "minimum": 0, "description": "The cursor to go on with."},
        "ended": {"type": "boolean", "description": "Whether `next` is the end: nothing follows."},
        "status": {"type": "string", "description": "The execution's."},
        "lagged": {
            "type": ["object", "null"],
            "description": "The notice `stream_lagged`, where events that were asked for are gone.",
        },
    },
}
NOTICE_SCHEMA: Final[Mapping[str, Any]] = {
    "title": "Notice",
    "description": f"What concerns one reader or one moment, and is no part of the history. `{SCHEMA_ADDRESS}` has the "
    "schema of each `type`.",
    "type": "object",
    "required": ["type", "code", "ts", "data"],
    "properties": {
        "type": {"type": "string", "description": "What readers go by."},
        "code": {"type": "integer", "description": "Informative."},
        "execution_id": {"type": "string"},
        "ts": {"type": "string", "format": "date-time"},
        "after": {"type": "integer", "minimum": 0, "description": "The reader's cursor."},
        "data": {"type": "object", "description": "What belongs to the type."},
    },
}
EVENT_SCHEMA: Final[Mapping[str, Any]] = {
    "title": "Event",
    "description": f"What happened. `{SCHEMA_ADDRESS}` has the schema of each `type`; members that do not apply are "
    "absent, and more may come.",
    "type": "object",
    "required": ["seq", "type", "code", "execution_id", "graph_id", "ts", "mono_ns", "data"],
    "properties": {
        "seq": {"type": "integer", "minimum": 1, "description": "Its number in its execution, for ever."},
        "type": {"type": "string", "description": "What readers go by."},
        "code": {"type": "integer", "description": "Informative."},
        "execution_id": {"type": "string"},
        "graph_id": {"type": "string"},
        "node_id": {"type": "string"},
        "activation": {"type": "string", "description": "Names the run of the node."},
        "pass": {"type": "integer", "minimum": 1, "description": "Counts the node's runs, for display."},
        "path": {"type": "array", "items": {"type": "object"}, "description": "The enclosing scopes, outermost first."},
        "correlation_id": {"type": "string"},
        "ts": {"type": "string", "format": "date-time"},
        "mono_ns": {"type": "integer", "minimum": 0, "description": "Nanoseconds since the start."},
        "data": {"type": "object", "description": "What belongs to the type."},
    },
}

FRAME_SCHEMA: Final[Mapping[str, Any]] = {
    "title": "Frame",
    "description": f"What an event is told as in a `dialect`. `{SCHEMA_ADDRESS}` has the schemas of each.",
    "type": "object",
    "not": {"required": ["mono_ns"]},
}

_BLOCKS: Final = {"schema": {"type": "string"}, "example": AS_BLOCKS}
_COMPRESSION: Final = ("Content-Encoding", "Vary")
_LINES: Final = {"schema": {"type": "string"}, "example": AS_LINES}


def started() -> dict[int | str, dict[str, Any]]:
    """Describe the stream that answers a start."""
    description = "The events from the first one on, live, until `stream_end`. `Location` comes before the first byte."
    names = ("Location", "Idempotent-Replayed")
    return {
        200: {
            "description": description,
            "content": {SSE: _BLOCKS, NDJSON: _LINES},
            "headers": described(*names, *_COMPRESSION),
        },
        204: {
            "description": "A start was repeated with its `Idempotency-Key`, and `Last-Event-ID` is the last event's.",
            "headers": described(*names),
        },
    }


def followed() -> dict[int | str, dict[str, Any]]:
    """Describe a stream or a page of an execution that was started before."""
    page = {"schema": {"$ref": "#/components/schemas/EventPage"}, "example": PAGE}
    description = "The events after the cursor: as a stream, live, until `stream_end`; or as a page of JSON."
    return {
        200: {
            "description": description,
            "content": {SSE: _BLOCKS, NDJSON: _LINES, JSON: page},
            "headers": described(*_COMPRESSION),
        },
        204: {"description": "The cursor is the last event's, and nothing follows: stop asking."},
    }
