"""The description of the API (OpenAPI 3.1), written for readers: what the framework knows, and what it cannot know."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from app.api import guards, refusals
from app.api.routers import explanations
from app.api.schemas import answers, bodies, commands, forks, many, service_events, streams
from app.api.schemas.ag_ui import RunAgentInput
from app.api.schemas.foreign import DeclareRequest, ReportedEvent
from app.api.schemas.start import ForkRequest, RetryRequest, StartRequest
from graphwire.graphs.definition import GraphDefinition

DESCRIPTION: Final = """\
Run graphs, and watch them live.

**Begin here.** `GET /graphs` lists what can be run. `POST /graphs/{graph_id}/execute/stream` runs one and shows what
happens while it happens; in a terminal, with `curl -N`, you see each event as it comes:

    curl -N -X POST http://127.0.0.1:8000/graphs/hello/execute/stream

The buttons of this page run every example as it stands against this very service. An example that names an execution
is sent to the newest one that there is.

**Errors** are problems (RFC 9457, `application/problem+json`). Go by `code`; each answer below lists its codes, with an
example of each. The address in `type` explains the code and says what to do next, and `GET /problems` lists all. What
any request may be answered, whatever its route, is the answer *default*. Each answer has the header `X-Request-Id`, by
which the service's log names the request.

**HEAD** is answered wherever GET is, but for streams of events. Lists of values in a query are repeated or separated
by commas. Under `/graphs`, what is JSON is also YAML: by `Content-Type` and by `Accept`.
"""

_TAGS: Final[tuple[tuple[str, str], ...]] = (
    ("graphs", "Definitions of what can be run. A change makes a new version; a version never changes."),
    ("executions", "Runs of graphs: start one, wait for it, look at it, cancel it."),
    (
        "streams",
        "What happens in an execution, and to the service, as events: live, afterwards, and again from any place.",
    ),
    ("foreign engines", "Executions that another engine carries out, and that are followed here like any other."),
    ("sockets", "Streams and commands over one WebSocket, with JSON-RPC 2.0. A plain request cannot open one."),
    ("problems", "What the codes of errors mean, and what to do about them."),
    ("service", "Whether the service is there, and serves."),
)
_GENERAL: Final = "AnyRequest"
_FRAMEWORKS_OWN: Final = "HTTPValidationError"


def operation_id(route: APIRoute) -> str:
    """Name an operation after its function: short, and stable for generated clients."""
    return route.name


def describe(app: FastAPI, *, asks_for_key: bool) -> dict[str, Any]:
    """Return the description of an application, whose ``state.routes`` are all there are; made once."""
    if app.openapi_schema is None:
        app.openapi_schema = _described(app, asks_for_key=asks_for_key)
    return app.openapi_schema


def _described(app: FastAPI, *, asks_for_key: bool) -> dict[str, Any]:
    tags = [{"name": name, "description": description} for name, description in _TAGS]
    schema = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes, tags=tags
    )
    order = [name for name, _ in _TAGS]
    schema["paths"] = dict(sorted(schema["paths"].items(), key=lambda item: order.index(_tag(item[1]))))
    components = schema.setdefault("components", {})
    components["schemas"] = {
        **components.get("schemas", {}),
        **answers.schemas(*many.ANSWERS, forks.Forked),
        **bodies.schemas(
            StartRequest,
            RunAgentInput,
            *commands.BODIES,
            *many.BODIES,
            ForkRequest,
            RetryRequest,
            forks.RetryManyRequest,
            DeclareRequest,
            ReportedEvent,
            GraphDefinition,
        ),
        "Problem": dict(refusals.SCHEMA),
        "Event": dict(streams.EVENT_SCHEMA),
        "EventPage": dict(streams.PAGE_SCHEMA),
        "Frame": dict(streams.FRAME_SCHEMA),
        "ServiceEvent": dict(service_events.SERVICE_EVENT_SCHEMA),
        "ServiceEventPage": dict(service_events.SERVICE_PAGE_SCHEMA),
        "Explanation": explanations.SCHEMA,
        "Explanations": explanations.LIST_SCHEMA,
    }
    for unused in (_FRAMEWORKS_OWN, "ValidationError"):
        components["schemas"].pop(unused, None)
    components["responses"] = {_GENERAL: refusals.of_any_request()}
    contents = {
        operation_id(route): {status: answer.get("content", {}) for status, answer in route.responses.items()}
        for route in app.state.routes
        if isinstance(route, APIRoute)
    }
    for operations in schema["paths"].values():
        for operation in operations.values():
            # The framework has dropped every null, which examples need.
            for status, content in contents[operation["operationId"]].items():
                if content:
                    operation["responses"][str(status)]["content"] = content
            _correct(operation)
    if asks_for_key:
        guards.describe(schema)
    return schema


def _tag(operations: dict[str, Any]) -> str:
    return str(next(iter(operations.values()))["tags"][0])


def _correct(operation: dict[str, Any]) -> None:
    answers_to = operation["responses"]
    if _FRAMEWORKS_OWN in str(answers_to.get("422")):
        del answers_to["422"]  # added wherever there is a parameter, also one that takes any text
    answers_to["default"] = {"$ref": f"#/components/responses/{_GENERAL}"}
    for parameter in operation.get("parameters", ()):
        _complete(parameter)


def _complete(parameter: dict[str, Any]) -> None:
    """Say of a parameter only what a request can say, and give one that it needs the example that a page fills in."""
    schema = parameter["schema"]
    alternatives = schema.get("anyOf", ())
    if {"type": "null"} in alternatives:  # left out, which no request can write as a value
        others = [each for each in alternatives if each != {"type": "null"}]
        del schema["anyOf"]
        schema.update(others[0] if len(others) == 1 else {"anyOf": others})
    if parameter.get("required") and "example" not in parameter:
        examples = schema.get("examples")
        if examples:
            parameter["example"] = examples[0]
