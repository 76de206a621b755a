"""The JSON Schemas of the frames of each dialect."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from app.transports.dialects.ag_ui import SOURCE
from app.transports.dialects.bus import name_of
from app.transports.dialects.scoped import DIAGNOSTIC, INVOCATION_END, STREAM_END
from graphwire.events.notices import NOTICES_BY_TYPE
from graphwire.events.schema import stream_schema
from graphwire.events.types import EVENTS_BY_TYPE

Schema = dict[str, Any]

_TEXT: Final[Schema] = {"type": "string"}
_ANY: Final[Schema] = {}
_SEQ: Final[Schema] = {"type": "integer", "minimum": 1}
_PLACE: Final[Schema] = {"type": "integer", "minimum": 0}
_TIME: Final[Schema] = {"type": "string", "format": "date-time"}
_NUMBER: Final[Schema] = {"type": "number"}
_OBJECT: Final[Schema] = {"type": "object"}
_SHORT: Final[Schema] = {"anyOf": [_TEXT, {"$ref": "#/$defs/Reference"}]}
"""A text that a reference may stand for."""


def streams_schema() -> Schema:
    """Return the schema of what streams carry, ``native`` at its top and each dialect under its name in ``$defs``."""
    schema = stream_schema()
    schema["$defs"] = {**schema["$defs"], "bus": _bus(), "scoped": _scoped(), "editor": _editor(), "ag-ui": _ag_ui()}
    return schema


def _bus() -> Schema:
    head = {"executionId": _TEXT, "timestamp": _TIME}
    event_head, notice_head = {**head, "workflowId": _TEXT, "sequence": _SEQ}, {**head, "after": _PLACE}
    events = [
        _frame({"type": {"const": name_of(event.type)}, **event_head, "data": _of(event)})
        for event in EVENTS_BY_TYPE.values()
    ]
    notices = [
        _frame({"type": {"const": name_of(notice.type)}, **notice_head, "data": _of(notice)}, optional=["after"])
        for notice in NOTICES_BY_TYPE.values()
    ]
    return _one_of("A frame of the dialect `bus`", [*events, *notices])


def _scoped() -> Schema:
    where = {"event": _TEXT, "seq": _SEQ, "execution_id": _TEXT, "graph_id": _TEXT, "after": _PLACE}
    metadata = {"type": "object", "properties": where, "required": ["event"]}
    rest = {"message": _ANY, "timestamp": _TIME, "metadata": metadata}
    engine = {"enum": [DIAGNOSTIC, INVOCATION_END, STREAM_END]}
    return _one_of(
        "A frame of the dialect `scoped`",
        [
            _frame({"type": {"const": "node"}, "scope": _SHORT, **rest}),
            _frame({"type": {"const": "llm"}, "scope": _SHORT, **rest}),
            _frame({"type": {"const": "diagnostic"}, "scope": engine, **rest}),
        ],
    )


def _editor() -> Schema:
    state = {"anyOf": [{"type": ["object", "null"]}, {"$ref": "#/$defs/Reference"}]}
    head = {"seq": _SEQ, "execution_id": _TEXT, "graph_id": _TEXT, "timestamp": _TIME}
    node = {"node_id": _TEXT, "node_name": _TEXT, "activation": _TEXT}
    status = {"enum": ["success", "error"]}
    ended: Schema = {**node, "status": status, "output_state": state, "duration_ms": _NUMBER, "error": _OBJECT}
    optional = {"node_complete": ["error"]}
    closing: Schema = {"final_state": state, "status": status, "duration_ms": _NUMBER, "message": _TEXT}
    frames: Mapping[str, Mapping[str, Schema]] = {
        "start": {"initial_state": state},
        "node_start": {**node, "input_state": state},
        "node_complete": ended,
        "error": {"error": {"type": ["string", "null"]}, "message": _ANY, "details": _OBJECT},
        "complete": closing,
    }
    events = [
        _frame({"event_type": {"const": name}, **head, **members}, optional=optional.get(name, ()))
        for name, members in frames.items()
    ]
    notices = [
        {
            "allOf": [
                _frame({"event_type": {"const": notice.type}, "execution_id": _TEXT, "timestamp": _TIME}),
                _of(notice),
            ]
        }
        for notice in NOTICES_BY_TYPE.values()
        if notice.type != "execution_progress"
    ]
    return _one_of("A frame of the dialect `editor`", [*events, *notices])


def _ag_ui() -> Schema:
    run = {"threadId": _TEXT, "runId": _TEXT}
    message, call, step = {"messageId": _TEXT}, {"toolCallId": _TEXT}, {"stepName": _TEXT}
    operation = _frame({"op": {"enum": ["add", "remove", "replace"]}, "path": _TEXT, "value": _ANY}, optional=["value"])
    frames: Mapping[str, Mapping[str, Schema]] = {
        "RUN_STARTED": run,
        "RUN_FINISHED": {**run, "outcome": _frame({"type": {"const": "success"}})},
        "RUN_ERROR": {"message": _TEXT, "code": _TEXT},
        "STEP_STARTED": step,
        "STEP_FINISHED": step,
        "TEXT_MESSAGE_START": {**message, "role": {"const": "assistant"}},
        "TEXT_MESSAGE_CONTENT": {**message, "delta": {"type": "string", "minLength": 1}},
        "TEXT_MESSAGE_END": message,
        "TOOL_CALL_START": {**call, "toolCallName": _TEXT},
        "TOOL_CALL_ARGS": {**call, "delta": _TEXT},
        "TOOL_CALL_END": call,
        "TOOL_CALL_RESULT": {**message, **call, "content": _TEXT, "role": {"const": "tool"}},
        "STATE_SNAPSHOT": {"snapshot": _OBJECT},
        "STATE_DELTA": {"delta": {"type": "array", "items": operation, "minItems": 1}},
        "CUSTOM": {"name": _TEXT, "value": _ANY},
        "RAW": {"event": {"$ref": "#"}, "source": {"const": SOURCE}},
    }
    common = {"timestamp": _PLACE, "rawEvent": _frame({"seq": _SEQ, "type": _TEXT}), "metadata": _OBJECT}
    return _one_of(
        "A frame of the dialect `ag-ui`",
        [
            _frame({"type": {"const": name}, **members, **common}, optional=["rawEvent", "metadata"])
            for name, members in frames.items()
        ],
    )


def _one_of(title: str, frames: Sequence[Schema]) -> Schema:
    return {"title": title, "oneOf": list(frames)}


def _of(kind: Any) -> Schema:
    return {"$ref": f"#/$defs/{kind.__name__}"}


def _frame(properties: Mapping[str, Schema], *, optional: Sequence[str] = ()) -> Schema:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": dict(properties), "required": required}
