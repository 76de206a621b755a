"""The WebSockets described for programs and for their page: an AsyncAPI document made of the table of methods."""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from app.api import refusals
from app.api.methods import METHODS
from app.api.negotiation import JSON
from app.api.rpc import Method
from app.api.schemas import bodies
from app.api.schemas.examples import EXECUTION_ID
from app.api.schemas.service_events import SERVICE_EVENT_SCHEMA
from app.api.schemas.sockets import EXAMPLES
from app.api.schemas.streams import EVENT_SCHEMA, EVENTS, NOTICE_SCHEMA
from app.transports.jsonrpc import Code
from app.transports.websocket.connection import ABUSED, COMPLETED, FAILED, RESTARTS, TRY_LATER

DESCRIPTION: Final = """\
Start executions, follow any number of them live, and steer them, over one WebSocket with JSON-RPC 2.0 and the \
subprotocol `graphwire.v1`.

`/docs/websocket` explains it and lets each method be tried. Where the service asks for a key, the handshake carries \
it as `Authorization: Bearer <key>`, or as the further subprotocol `bearer.<key>` where a browser opens the socket.
"""

_SCHEMA: Final = "#/components/schemas/{name}"
_ADDRESSES: Final[Mapping[str, tuple[str, str]]] = {
    "everything": ("/ws", "Any number of executions. It stays open until the client closes it."),
    "execution": (
        "/executions/{execution_id}/ws",
        "One execution: its events come without being asked for, as the subscription `s1`, with the query as for "
        "`GET /executions/{execution_id}/events`. It closes with 1000 after the last one.",
    ),
    "graph": (
        "/graphs/{graph_id}/ws",
        "Executions of one graph: `execution.start` needs no `graph_id`. It closes with 1000 after the last event of "
        "the last execution that it follows.",
    ),
}
_PARAMETERS: Final[Mapping[str, Any]] = {
    "execution_id": {"description": "The id of an execution.", "examples": [EXECUTION_ID]},
    "graph_id": {"description": "The id of a graph.", "examples": ["ticker"]},
}
_HEARTBEAT: Final = {
    "type": "number",
    "minimum": 1,
    "maximum": 60,
    "description": "Seconds of silence before a subscription sends a heartbeat.",
}
_ERRORS: Final[Mapping[Code, str]] = {
    Code.UNREADABLE: "The message is no JSON, or not within its limits; `data` is the problem.",
    Code.INVALID_REQUEST: "The message is no request: a batch, binary, or without what a request has.",
    Code.UNKNOWN_METHOD: "There is no such method.",
    Code.INVALID_PARAMS: "`params` are not as the method has them; `data` is the problem.",
    Code.PROBLEM: "The request was refused; `data` is the problem, as over HTTP.",
    Code.INTERNAL: "A fault of the service; `data` is the problem.",
}
_CLOSE_CODES: Final[Mapping[int, str]] = {
    COMPLETED: "The last event was sent, or the client has closed it.",
    1002: "A frame is not as RFC 6455 has it.",
    1007: "A text is no UTF-8.",
    ABUSED: "Too many bad messages within a minute.",
    1009: "A message is too large.",
    FAILED: "A fault of the service, or what is stored cannot be read any further.",
    RESTARTS: "The service stops; come back.",
    TRY_LATER: "`at_capacity`, `too_slow` or `storage_unavailable`; come back later.",
    4401: "The key does not open the service any more.",
    4404: "The execution was deleted.",
}
_TEXT: Final = {"type": "string"}
_ID: Final = {"type": ["string", "number", "null"], "description": "The request's."}


def describe_sockets(version: str) -> dict[str, Any]:
    """Return the AsyncAPI document (3.0) for this version of the service; ``x-close-codes`` is a member of ours."""
    messages = _messages()
    references = {name: {"$ref": f"#/components/messages/{name}"} for name in messages}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Graphwire: the WebSocket", "version": version, "description": DESCRIPTION},
        "defaultContentType": JSON,
        "channels": {name: _channel(*about, references) for name, about in _ADDRESSES.items()},
        "operations": {
            **{method.name: _operation(method) for method in METHODS.values()},
            **{name: {"action": "send", **_at_everything(name)} for name in ("event", "notice")},
        },
        "components": {"messages": messages, "schemas": _schemas()},
        "x-close-codes": {str(int(code)): text for code, text in _CLOSE_CODES.items()},
    }


def _channel(address: str, description: str, messages: Mapping[str, Any]) -> dict[str, Any]:
    query = {"type": "object", "properties": {"heartbeat": _HEARTBEAT}}
    parameters = {name: _PARAMETERS[name] for name in re.findall(r"{(\w+)}", address)}
    return {
        "address": address,
        "description": description,
        **({"parameters": parameters} if parameters else {}),
        "messages": messages,
        "bindings": {"ws": {"method": "GET", "query": query, "bindingVersion": "0.1.0"}},
    }


def _operation(method: Method) -> dict[str, Any]:
    later = {} if method.is_available else {"description": "Not there yet: it is refused with `not_available`."}
    reply = _at_everything(f"{method.name}.result", "error")
    return {"action": "receive", **_at_everything(method.name), "summary": method.summary, **later, "reply": reply}


def _at_everything(*messages: str) -> dict[str, Any]:
    # Each address takes and sends them all; to say so of each of them would make three documents of one.
    there = "#/channels/everything"
    return {"channel": {"$ref": there}, "messages": [{"$ref": f"{there}/messages/{name}"} for name in messages]}


def _messages() -> dict[str, Any]:
    either = {"anyOf": [_ref("Event"), _ref("ServiceEvent")]}
    found = {
        "event": _notification("event", "What happened, byte for byte as on every other stream.", either, EVENTS[1]),
        "notice": _notification("notice", "What concerns this subscription only.", _ref("Notice"), EVENTS[4]),
        "error": _message("A request was refused.", id=_ID, error=_error()),
    }
    for method in METHODS.values():
        found[method.name] = _request(method)
        found[f"{method.name}.result"] = _reply(method)
    return {name: {"name": name, **message} for name, message in found.items()}


def _request(method: Method) -> dict[str, Any]:
    params = {"type": "object"} if method.params is None else _ref(method.params.__name__)
    id = {**_ID, "description": "Stands in the reply; without it there is none."}
    message = _message(method.summary, id=id, method={"const": method.name}, params=params)
    message["payload"]["required"] = ["jsonrpc", "method"]
    params_shown = EXAMPLES.get(method.name, {}).get("params", {"execution_id": EXECUTION_ID})
    return {**message, **_shown(id=1, method=method.name, params=params_shown)}


def _reply(method: Method) -> dict[str, Any]:
    message = _message(f"What {method.name} results in.", id=_ID, result=_ref(method.result.__name__))
    shown = EXAMPLES.get(method.name)
    return message if shown is None else {**message, **_shown(id=1, result=shown["result"])}


def _notification(name: str, title: str, schema: Mapping[str, Any], example: Mapping[str, Any]) -> dict[str, Any]:
    params = {
        "type": "object",
        "required": ["subscription", name],
        "properties": {"subscription": _TEXT, name: schema},
    }
    shown = _shown(method=name, params={"subscription": "s1", name: example})
    return {**_message(title, method={"const": name}, params=params), **shown}


def _error() -> dict[str, Any]:
    codes = [{"const": int(code), "description": text} for code, text in _ERRORS.items()]
    return {
        "type": "object",
        "required": ["code", "message"],
        "properties": {"code": {"oneOf": codes}, "message": _TEXT, "data": _ref("Problem")},
    }


def _message(title: str, **members: Mapping[str, Any]) -> dict[str, Any]:
    properties = {"jsonrpc": {"const": "2.0"}, **members}
    correlated = {"correlationId": {"location": "$message.payload#/id"}} if "id" in members else {}
    payload = {"type": "object", "required": list(properties), "properties": properties}
    return {"title": title, **correlated, "payload": payload}


def _shown(**members: Any) -> dict[str, Any]:
    return {"examples": [{"payload": {"jsonrpc": "2.0", **members}}]}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": _SCHEMA.format(name=name)}


def _schemas() -> dict[str, Any]:
    results = {method.name: method.result for method in METHODS.values()}
    _, made = msgspec.json.schema_components(results.values(), ref_template=_SCHEMA)
    params = [method.params for method in METHODS.values() if method.params is not None]
    return {
        **made,
        **bodies.schemas(*params),
        "Event": dict(EVENT_SCHEMA),
        "ServiceEvent": dict(SERVICE_EVENT_SCHEMA),
        "Notice": dict(NOTICE_SCHEMA),
        "Problem": dict(refusals.SCHEMA),
    }
