"""What each problem's code means for its reader: an example of it, and what to do next."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

_NONE: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do about a code.

    Attributes:
        next: What to do next, in a sentence or two; names of members, headers and settings in backticks.
        detail: The ``detail`` of an example. Empty for what is no answer: it happens inside an execution only.
        facts: Further members of the example.
    """

    next: str
    detail: str = ""
    facts: Mapping[str, Any] = field(default_factory=lambda: _NONE)


def _at(pointer: str, code: str, detail: str, *, line: int | None = None, column: int | None = None) -> dict[str, Any]:
    entry: dict[str, Any] = {"pointer": pointer, "code": code, "detail": detail}
    if line is not None:
        entry |= {"line": line, "column": column}
    return {"errors": [entry]}


_AGAIN = "Send the same request again after `Retry-After` seconds; nothing of it was carried out."

_OF_REQUESTS: Mapping[str, Advice] = {
    "bad_request": Advice(
        "Look at `detail`, and at what stands between you and the service: most clients cannot send such a request.",
        "the header Host is missing, or names no host",
    ),
    "misplaced_key": Advice(
        "Send the key once, as `Authorization: Bearer <key>`; change one that stood in an address.",
        "the address has the parameter api_key; a key belongs into the header Authorization",
    ),
    "invalid_idempotency_key": Advice(
        "Take a random name for each request that is to be carried out once, a UUID for example.",
        "an Idempotency-Key is 1 to 255 printable ASCII characters",
        {"limit": 255},
    ),
    "websocket_required": Advice(
        "Open the address with a WebSocket client, as `ws://` or `wss://`; `python -m websockets` is one.",
        "this address is a WebSocket's; open it with ws:// or wss://",
    ),
    "not_available": Advice(
        "Leave it to a later version of the service; `GET /docs/websocket` has what there is.",
        "the command fork is not there yet",
    ),
    "too_many_subscriptions": Advice(
        "End subscriptions that are not needed with `execution.unsubscribe`, or open another socket.",
        "this socket has 1,000 subscriptions (GRAPHWIRE_MAX_SUBSCRIPTIONS)",
        {"limit": 10_000},
    ),
    "unauthorized": Advice(
        "Send `Authorization: Bearer <key>` with a key that the operator set in `GRAPHWIRE_API_KEY`.",
        "this service asks for a key, which is missing or wrong",
    ),
    "origin_not_allowed": Advice(
        "Have the operator add the origin of your page, exactly as the browser sends it, to `GRAPHWIRE_CORS_ORIGINS`.",
        "pages of that origin may not use this service (GRAPHWIRE_CORS_ORIGINS)",
    ),
    "not_found": Advice(
        "Check the ids in the address: `GET /graphs` and `GET /executions` list those that there are.",
        'there is no graph "helo"',
    ),
    "method_not_allowed": Advice(
        "Use one of the methods in `allowed`, which the header `Allow` names too.",
        "this address does not take the method",
        {"allowed": ["GET", "HEAD", "POST"]},
    ),
    "not_acceptable": Advice(
        "Accept one of the media types in `offered`, or leave the header `Accept` out.",
        "none of the accepted media types is offered",
        {"offered": ["application/json"]},
    ),
    "use_location": Advice(
        "Follow the execution that you started: `GET` the `Location` of its answer with `/events` behind it. Where "
        "that answer was lost, repeat the start with its `Idempotency-Key`.",
        "a start with Last-Event-ID would begin a second execution; resume at Location instead",
    ),
    "body_too_large": Advice(
        "Send less, or have the operator raise the setting that `detail` names; large values belong into a store of "
        "their own, with only their address in the state.",
        "the body is larger than 10,485,760 bytes (GRAPHWIRE_MAX_BODY_BYTES)",
        {"limit": 10_485_760},
    ),
    "address_too_long": Advice(
        "Shorten the query: long lists of filters are better split into several requests.",
        "the address is longer than 8,192 bytes",
    ),
    "headers_too_large": Advice(
        "Send fewer or shorter headers; cookies of other services are the usual reason, and none is needed here.",
        "the request has a header of more than 16,384 bytes or more than 100 of them",
    ),
    "unsupported_media_type": Advice(
        "Set `Content-Type` to one of the types in `allowed`, and send the body in UTF-8.",
        "the body must be application/json in UTF-8",
        {"allowed": ["application/json"]},
    ),
    "unsupported_compression": Advice(
        "Send the body as it is, without `Content-Encoding`.", "bodies are taken as they are, without compression"
    ),
    "misdirected_request": Advice(
        "Use the name that the service is known by, or have the operator add yours to `GRAPHWIRE_ALLOWED_HOSTS`.",
        "this service does not answer for that host (GRAPHWIRE_ALLOWED_HOSTS)",
    ),
    "too_many_failures": Advice(
        "Wait for `Retry-After` seconds, and then send the right key: a wrong one begins the wait again.",
        "too many wrong keys came from this address",
        {"retry_after_s": 42},
    ),
    "idempotency_mismatch": Advice(
        "Take a new key for a new request; only a repetition, with the same route and body, has the key of the first.",
        "this Idempotency-Key came with another request before; take a new one",
    ),
}

_OF_INPUT: Mapping[str, Advice] = {
    "malformed_json": Advice(
        "Mend the text at the line and the column of `errors`.",
        "line 1, column 12: expecting property name enclosed in double quotes",
        _at("", "malformed_json", "expecting property name enclosed in double quotes", line=1, column=12),
    ),
    "malformed_yaml": Advice(
        "Mend the text at the line and the column of `errors`; a key that is no text has to stand in quotes.",
        "line 4, column 1: a tab cannot indent; use spaces",
        _at("/nodes", "malformed_yaml", "a tab cannot indent; use spaces", line=4, column=1),
    ),
    "yaml_tag": Advice(
        "Leave the tag out, and write the value as plain YAML.",
        'line 1, column 5: the tag "!name" is not of the core schema; leave it out, or quote the text',
        _at(
            "/id",
            "yaml_tag",
            'the tag "!name" is not of the core schema; leave it out, or quote the text',
            line=1,
            column=5,
        ),
    ),
    "duplicate_key": Advice(
        "Remove one of the two; `errors` says where the second one stands.",
        "an object names a key twice",
        _at("/state/name", "duplicate_key", "the key is there twice", line=1, column=27),
    ),
    "invalid_text": Advice(
        "Send whole characters: a text was cut in the middle of one, or encoded twice.",
        "a text holds a lone surrogate, which is no character",
        _at("/state/name", "invalid_text", "holds a lone surrogate", line=1, column=20),
    ),
    "invalid_cursor": Advice(
        "In a stream, resume with the `id` of the last event that you have, or without any from the start. In a list, "
        "use `next` of the page before, with the same order.",
        'a cursor is the number of an event, not "x"',
    ),
    "invalid_request": Advice(
        "Change what the pointers in `errors` lead to: into the body, or into `/query/…`, `/path/…`, `/header/…`.",
        "/seed: must be a whole number",
        _at("/seed", "invalid_value", "must be a whole number", line=1, column=10),
    ),
    "too_deep": Advice(
        "Make the value flatter: lists and objects inside each other count a level each.",
        "nested 101 deep; the limit is 100",
        {"limit": 100} | _at("", "too_deep", "nested 101 deep; the limit is 100", line=1, column=230),
    ),
    "yaml_alias_limit": Advice(
        "Write the values out instead of repeating them by aliases, or send the definition as JSON.",
        "line 3, column 33: more than 1,000 values are made through aliases",
        {"limit": 1_000}
        | _at("/nodes/3", "yaml_alias_limit", "more than 1,000 values are made through aliases", line=3, column=33),
    ),
    "graph_invalid": Advice(
        "Mend every place in `errors`; `POST /graphs/validate` says the same and stores nothing.",
        '/edges/0/target: there is no node "ofer"; did you mean "offer"?',
        _at("/edges/0/target", "unknown_node", 'there is no node "ofer"; did you mean "offer"?', line=8, column=30),
    ),
    "unknown_node_type": Advice(
        "Use a type that `GET /node-types` lists, or have the operator install the one that is missing.",
        '/nodes/0/type: there is no node type "transfrom"; did you mean "transform"?',
        _at(
            "/nodes/0/type",
            "unknown_node_type",
            'there is no node type "transfrom"; did you mean "transform"?',
            line=1,
            column=46,
        ),
    ),
    "code_not_allowed": Advice(
        "Put graphs with Python code into a folder that the service loads (`GRAPHWIRE_GRAPHS`); over HTTP use nodes "
        "that need no code.",
        "/nodes/0/config/function: names code, which only a graph from a graph folder may do",
        _at(
            "/nodes/0/config/function",
            "code_not_allowed",
            "names code, which only a graph from a graph folder may do",
            line=1,
            column=81,
        ),
    ),
    "state_invalid": Advice(
        "Change the values that `errors` points to; `GET /graphs/{graph_id}` shows the state's schema and limits.",
        "only the engine writes this key",
        _at("/state/errors", "reserved_key", "only the engine writes this key", line=1, column=22),
    ),
    "expression_invalid": Advice("Mend the expression at the place that the message names."),
}

_OF_STATES: Mapping[str, Advice] = {
    "command_not_allowed": Advice(
        "Look at `current`, the execution's status: `allowed` lists the commands that fit it. One that has ended "
        "takes none.",
        "cannot cancel: the execution is completed",
        {"current": "completed", "allowed": []},
    ),
    "nothing_ready": Advice(
        "Answer what the execution waits for (`interrupts`), or `resume` it; a step runs what is ready.",
        "there is nothing that a step could run",
        {"current": "paused"},
    ),
    "interrupt_closed": Advice(
        "Look at `interrupts` of the execution: those are open. This one was answered, has expired, or its node was "
        "ended.",
        'the interrupt "k3v9d0f1a2b3c4d5.1" is closed',
        {"interrupt_id": "k3v9d0f1a2b3c4d5.1"},
    ),
    "already_running": Advice(
        "Wait for the end of those that `executions` names, or cancel them. `on_overlap` of the graph says what "
        "becomes of such a start: it may also wait (`queue`), or take their place (`replace`).",
        "1 execution of this graph has not ended, and it lets no more start (on_overlap)",
        {"executions": ["0199a7f3-5f1c-7cc0-8000-2f6d1c1f9b11"]},
    ),
    "graph_in_use": Advice(
        "Wait until its executions have ended, or delete with `?force=true`, which cancels them first.",
        "2 executions of this graph have not ended",
        {"executions": 2},
    ),
    "graph_exists": Advice(
        "Store it as a new version with `PUT /graphs/{graph_id}` and `If-Match`, or give it another id.",
        'there is a graph "discount"; PUT makes a new version of it',
    ),
    "execution_exists": Advice(
        "Report to the one that there is, or declare with another id; without `id` the service makes one.",
        'there is an execution "01a1ff63-ccdc-754a-9525-3c87d1892412" already; take another id, or none',
    ),
    "graph_read_only": Advice(
        "Change the file in its folder: the service loads it again. Or store the definition under another id.",
        'graph "hello" comes from a folder and is changed there',
    ),
    "code_changed": Advice(
        "Start the newest version, or bring back the code that belongs to the one you asked for.",
        "the code of version 1 is not what it was",
        {"version": 1},
    ),
    "revision_conflict": Advice(
        "Read the graph again, make your change to what it is now, and send it with the new `ETag`.",
        "the graph is at version 3, which is not what the change was made for",
        {"current": 3},
    ),
    "precondition_required": Advice(
        "Send `If-Match` with the `ETag` of the version that you changed, or `*` to replace whatever there is.",
        "the graph is at version 2; say with If-Match which version is to be replaced",
        {"current": 2},
    ),
    "at_capacity": Advice(
        "Wait for `Retry-After` seconds, and try again; the operator can raise a setting that `detail` names.",
        "10,000 executions are alive (GRAPHWIRE_MAX_EXECUTIONS)",
        {"limit": 10_000},
    ),
    "shutting_down": Advice(_AGAIN, "the service stops; try again"),
    "storage_unavailable": Advice(
        f"{_AGAIN} `GET /health/ready` says when the service is whole again, and its log says why it is not.",
        "The database cannot be used: the disk is full.",
    ),
    "checkpoint_corrupt": Advice(
        "Repeat the request with `usable` as `at`, or restore the database from a backup.",
        "what is stored from event 120 on is not what was written",
        {"usable": 118},
    ),
    "history_damaged": Advice(
        "Restore the database from a backup if the execution matters; all others can be read. Its start can be "
        "repeated. Of the service's own events, those behind `seq` can be read: go on after it.",
        "What is stored from event 2 on is not what was written.",
        {"seq": 2},
    ),
    "internal": Advice(
        "Look for the `request_id` in the service's log, and report what stands there: this is a fault of the service.",
        "Something went wrong here; the log has the details under this request id.",
    ),
}

_OF_EXECUTIONS: Mapping[str, Advice] = {
    "exception": Advice("Mend the node's code; `type` and `message` of the error are those of the exception."),
    "budget_exhausted": Advice(
        "The machine is busy: start less at once, give the node a higher `priority` or a lower `cost`, or have the "
        "operator raise `GRAPHWIRE_GOVERNANCE_RATE`. `GET /governance` shows how things stand."
    ),
    "timeout": Advice(
        "Raise `timeout_s` of the node, or `limits.timeout_s` of the start; or make the work smaller. `on_error` and "
        "an error edge say how the graph goes on."
    ),
    "interrupt_expired": Advice(
        "Answer sooner, raise `timeout_s` of the interrupt, or give the node an error edge for when nobody does."
    ),
    "routing_error": Advice("Mend the expression of the edge, or the targets of the `Goto`, that the message names."),
    "no_route": Advice("Give the `switch` a `default`, or handle the failure with an error edge."),
    "loop_limit_exceeded": Advice(
        "Let the body of the `while` write what makes its condition false, or raise `max_iterations`."
    ),
    "input_error": Advice("Give the state key that the message names, in the start's `state` or by an earlier node."),
    "reducer_error": Advice("Let the nodes write values of the kind that the key's reducer takes."),
    "merge_conflict": Advice("Choose a reducer or another merge policy for the key, or let one node alone write it."),
    "state_too_large": Advice(
        "Keep large values outside of the state, or raise `limits.max_state_bytes` of the start or of the graph."
    ),
    "state_not_serializable": Advice(
        "Let the node return JSON values, or one of the types that are converted to them."
    ),
    "circuit_breaker_open": Advice(
        "Wait until what the node calls works again: the breaker then lets attempts through by itself. An error edge, "
        "a `fallback` or a `retry` whose `on` names this code say how the graph goes on meanwhile."
    ),
    "node_quarantined": Advice(
        "Look at the failures before: the node runs again when its quarantine is over. An error edge or a `fallback` "
        "say how the graph goes on meanwhile."
    ),
    "expression_error": Advice(
        "Mend the expression, or see that the state has what it reads; `has(…)` asks for a key."
    ),
    "expression_cost": Advice("Do large work in a node with code: expressions are for small decisions."),
}

WITHOUT_A_CLASS: Mapping[str, tuple[str, str, Advice]] = {
    "recovery_limit_exceeded": (
        "Recovery limit exceeded",
        "The execution was taken up three times after its process had ended, and nothing was committed in between: "
        "a node of it seems to end the process.",
        Advice(
            "Look which node was running (`node_cancelled` with the reason `interrupted`), mend it, and start again."
        ),
    ),
    "network": (
        "Network error",
        "A connection failed, or nothing came back.",
        Advice("See that what the node calls can be reached; `retry` of the node tries again by itself."),
    ),
    "rate_limit": (
        "Rate limit",
        "What the node calls has been called too often (HTTP status 429).",
        Advice("Let the node `retry`: it waits as long as the answer's `Retry-After` asks."),
    ),
    "service_unavailable": (
        "Service unavailable",
        "What the node calls cannot answer now (HTTP status 425, 500, 502, 503, 504 or 529).",
        Advice("Let the node `retry`: it waits as long as the answer's `Retry-After` asks."),
    ),
    "authentication": (
        "Authentication",
        "What the node calls refuses its credentials (HTTP status 401 or 403).",
        Advice("Give the node credentials that are good for what it calls."),
    ),
    "resource_exhaustion": (
        "Resource exhaustion",
        "The node asked for more memory than there is.",
        Advice("Let the node work on smaller parts, or give the process more memory."),
    ),
    "producer_lost": (
        "Producer lost",
        "Nothing was heard for too long of the engine elsewhere that carried the execution out.",
        Advice(
            "Look after that engine. One that has nothing to report for long sends an empty list now and then; the "
            "operator sets the time in `GRAPHWIRE_FOREIGN_IDLE_S`."
        ),
    ),
    "max_steps_exceeded": (
        "Too many steps",
        "A step beyond the limit was due. The usual reason is a loop whose way out never comes.",
        Advice("See that the loop ends, or raise `limits.max_steps` of the start or of the graph."),
    ),
}
"""Title, explanation and advice of codes that only the engine gives, inside an execution."""

ADVICE: Mapping[str, Advice] = {**_OF_REQUESTS, **_OF_INPUT, **_OF_STATES, **_OF_EXECUTIONS}
"""By code. Every code has one."""
