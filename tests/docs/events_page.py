"""The page of events and notices, written from their classes."""

import json
from collections.abc import Iterator
from typing import Any, get_args

from graphwire.events.notices import Notice
from graphwire.events.schema import stream_schema
from graphwire.events.service_types import ServiceEvent
from graphwire.events.types import Event
from tests.docs.schema_words import kind, prose
from tests.docs.tables import REFERENCE
from tests.events.samples import EVENTS, NOTICES, SERVICE_EVENTS

PAGE = REFERENCE / "events.md"

_HEAD = """\
# Events and notices

Written from the code by `make docs`; a test compares the two.

What an event is, its envelope and the order of events: [the wire](wire.md#events).
A running service has the same as JSON Schema at `/schemas/events`.
Consumers key on `type` and ignore types and fields that they do not know.

A field marked *optional* is absent where it does not apply.
In place of a member that is too large for a line stands `{"$ref": …, "bytes": n}`, see [the wire](wire.md#events).
The examples show `data`.

## Events
"""
_NOTICES = """
## Notices

Notices concern one reader or one moment: they have no `seq` and are never stored, see [the wire](wire.md#notices).
"""
_SERVICE = """
## Events of the service

`GET /events` tells them; their `type` is their topic, see [the wire](wire.md#the-stream-of-the-service).
"""
_PART = """
## {name}

{meaning}

| field | value | meaning |
| --- | --- | --- |
{fields}
"""


def page() -> str:
    """Return the page as it has to be."""
    definitions = stream_schema()["$defs"]
    shown: dict[str, Any] = {event.type: json.loads(data) for event, data in EVENTS}
    shown |= {notice.type: data for notice, _, data in NOTICES}
    events = "".join(_section(event, definitions, shown[event.type]) for event in get_args(Event))
    notices = "".join(_section(notice, definitions, shown[notice.type]) for notice in get_args(Notice))
    told = {data.topic: json.loads(text) for data, text in SERVICE_EVENTS}
    service = "".join(_section(event, definitions, told[event.topic]) for event in get_args(ServiceEvent))
    parts = "".join(_part(name, definitions[name]) for name in ("Failure", "ForkedFrom"))
    return _HEAD + events + _NOTICES + notices + _SERVICE + service + parts


def _section(kind_of: Any, definitions: dict[str, Any], example: Any) -> str:
    schema = definitions[kind_of.__name__]
    name = kind_of.topic if hasattr(kind_of, "topic") else kind_of.type
    barrier = ""
    if getattr(kind_of, "is_barrier", False):
        barrier = "It is a *barrier*: neither it nor anything after it is visible before it is stored.\n"
    fields = "\n".join(_rows(schema))
    table = f"\n| field | value | meaning |\n| --- | --- | --- |\n{fields}\n" if fields else "\nIts `data` is empty.\n"
    shown = f"\n```json\n{json.dumps(example, ensure_ascii=False)}\n```\n" if fields else ""
    return f"\n### `{name}` ({kind_of.code})\n\n{prose(schema['description'])}\n{barrier}{table}{shown}"


def _part(name: str, schema: dict[str, Any]) -> str:
    return _PART.format(name=name, meaning=prose(schema["description"]), fields="\n".join(_rows(schema)))


def _rows(schema: dict[str, Any]) -> Iterator[str]:
    for name, shape in schema.get("properties", {}).items():
        optional = "" if name in schema.get("required", ()) else ", optional"
        yield f"| `{name}` | {kind(shape)}{optional} | {shape['description']} |"
