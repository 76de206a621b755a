"""The service's own stream in the description of the API."""

from collections.abc import Mapping
from typing import Any, Final

from app.api.negotiation import JSON, NDJSON, SSE
from app.api.schemas.examples import EXECUTION_ID
from app.api.schemas.streams import PAGE_SCHEMA, SCHEMA_ADDRESS, as_block, as_line


def _event(seq: int, topic: str, code: int, second: int, data: Mapping[str, Any], **about: str) -> dict[str, Any]:
    ts = f"2026-11-21T18:34:{second:02}.219669Z"
    return {"seq": seq, "type": topic, "code": code, "topic": topic, **about, "ts": ts, "data": data}


_EXECUTION: Final = {"execution_id": EXECUTION_ID, "graph_id": "ticker"}
_COMPLETED: Final = {"outcome": "success", "duration_ms": 22.1, "steps": 1, "last_seq": 6}
EVENTS: Final[tuple[Mapping[str, Any], ...]] = (
    _event(1, "system.startup", 68, 50, {"version": "0.1.0", "previous": "none"}),
    _event(2, "graph.created", 60, 50, {"version": 1, "source": "folder"}, graph_id="ticker"),
    _event(3, "execution.started", 63, 53, {"graph_version": 1}, **_EXECUTION),
    _event(4, "execution.completed", 64, 53, _COMPLETED, **_EXECUTION),
)
"""What a reader gets of a service that has one graph, which ran once."""

AS_BLOCKS: Final = "retry: 3141\n" + "".join(map(as_block, EVENTS))
AS_LINES: Final = "".join(map(as_line, EVENTS))
PAGE: Final[Mapping[str, Any]] = {
    "events": [EVENTS[0], EVENTS[1]],
    "last_seq": 4,
    "next": 2,
    "ended": False,
    "lagged": None,
}

SERVICE_PAGE_SCHEMA: Final[Mapping[str, Any]] = {
    **PAGE_SCHEMA,
    "title": "ServiceEventPage",
    "description": "Some events of the service. Ask again with `after` = `next`.",
    "required": [name for name in PAGE_SCHEMA["required"] if name != "status"],
    "properties": {
        **{name: shape for name, shape in PAGE_SCHEMA["properties"].items() if name != "status"},
        "events": {"type": "array", "items": {"$ref": "#/components/schemas/ServiceEvent"}},
        "ended": {"const": False, "description": "The service's events go on."},
    },
}
SERVICE_EVENT_SCHEMA: Final[Mapping[str, Any]] = {
    "title": "ServiceEvent",
    "description": f"What happened to a graph, an execution or the system. `{SCHEMA_ADDRESS}` has the schema of each "
    "`type`; members that do not apply are absent, and more may come.",
    "type": "object",
    "required": ["seq", "type", "code", "topic", "ts", "data"],
    "properties": {
        "seq": {"type": "integer", "minimum": 1, "description": "Its number in the service's events, for ever."},
        "type": {"type": "string", "description": "What readers go by; the same as `topic`."},
        "code": {"type": "integer", "description": "Informative."},
        "topic": {"type": "string", "description": "What it is filtered by."},
        "execution_id": {"type": "string"},
        "graph_id": {"type": "string"},
        "correlation_id": {"type": "string"},
        "ts": {"type": "string", "format": "date-time", "description": "When it happened; `seq` orders."},
        "data": {"type": "object", "description": "What belongs to the type."},
    },
}


def followed() -> dict[int | str, dict[str, Any]]:
    """Describe the stream, or a page of it."""
    blocks = {"schema": {"type": "string"}, "example": AS_BLOCKS}
    lines = {"schema": {"type": "string"}, "example": AS_LINES}
    page = {"schema": {"$ref": "#/components/schemas/ServiceEventPage"}, "example": PAGE}
    description = "The events after the cursor: as a stream, live, as long as the service runs; or as a page of JSON."
    # The page first: what takes the first one on offer may wait for the end of an answer.
    return {200: {"description": description, "content": {JSON: page, SSE: blocks, NDJSON: lines}}}
