"""The JSON Schema of what a stream carries, made from the classes of events and notices."""

from typing import Any

from msgspec.json import schema_components

from graphwire.events.notices import NOTICES_BY_TYPE
from graphwire.events.service_types import SERVICE_EVENTS_BY_TOPIC, ServiceEvent
from graphwire.events.types import EVENTS_BY_TYPE

_TEXT = {"type": "string"}
_NUMBER = {"type": "integer", "minimum": 0}
_REFERENCE = {
    "title": "Reference",
    "description": "Stands for a member that is too large for a line; the address gives the whole event.",
    "type": "object",
    "properties": {"$ref": _TEXT, "bytes": _NUMBER},
    "required": ["$ref", "bytes"],
    "additionalProperties": False,
}
_STEP = {
    "type": "object",
    "properties": {"node": _TEXT, "activation": _TEXT, "index": _NUMBER},
    "required": ["node", "activation"],
}
_EVENT = {
    "seq": {"type": "integer", "minimum": 1},
    "execution_id": _TEXT,
    "graph_id": _TEXT,
    "node_id": _TEXT,
    "activation": _TEXT,
    "pass": {"type": "integer", "minimum": 1},
    "path": {"type": "array", "items": _STEP},
    "correlation_id": _TEXT,
    "ts": {"type": "string", "format": "date-time"},
    "mono_ns": _NUMBER,
}
_SERVICE_EVENT = {
    "seq": {"type": "integer", "minimum": 1},
    "execution_id": _TEXT,
    "graph_id": _TEXT,
    "correlation_id": _TEXT,
    "ts": {"type": "string", "format": "date-time"},
}
_NOTICE = {"execution_id": _TEXT, "ts": {"type": "string", "format": "date-time"}, "after": _NUMBER}


def stream_schema() -> dict[str, Any]:
    """Return the schema (2020-12) of one event or notice of this version.

    Consumers ignore types and fields that they do not know: new ones may be added at any time.
    """
    classes = [*EVENTS_BY_TYPE.values(), *NOTICES_BY_TYPE.values(), *SERVICE_EVENTS_BY_TOPIC.values()]
    _, definitions = schema_components(classes, ref_template="#/$defs/{name}")
    for event in EVENTS_BY_TYPE.values():
        properties = definitions[event.__name__]["properties"]
        for name, shape in properties.items():
            described = {"description": shape.pop("description", "")}
            properties[name] = described | ({"anyOf": [shape, {"$ref": "#/$defs/Reference"}]} if shape else {})
    events = [
        _envelope(event, _EVENT, ["seq", "execution_id", "graph_id", "ts", "mono_ns"])
        for event in EVENTS_BY_TYPE.values()
    ]
    notices = [_envelope(notice, _NOTICE, ["ts"]) for notice in NOTICES_BY_TYPE.values()]
    service = [_service_envelope(event) for event in SERVICE_EVENTS_BY_TOPIC.values()]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Events and notices of an execution, and events of the service",
        "oneOf": events + notices + service,
        "$defs": {**definitions, "Reference": _REFERENCE},
    }


def _envelope(data: Any, properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    described = {
        "type": {"const": data.type},
        "code": {"const": data.code},
        **properties,
        "data": {"$ref": f"#/$defs/{data.__name__}"},
    }
    return {"type": "object", "properties": described, "required": ["type", "code", *required, "data"]}


def _service_envelope(event: type[ServiceEvent]) -> dict[str, Any]:
    described = {
        "type": {"const": event.topic},
        "code": {"const": event.code},
        "topic": {"const": event.topic},
        **_SERVICE_EVENT,
        "data": {"$ref": f"#/$defs/{event.__name__}"},
    }
    return {"type": "object", "properties": described, "required": ["seq", "type", "code", "topic", "ts", "data"]}
