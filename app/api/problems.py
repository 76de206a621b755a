"""Every error as ``application/problem+json`` (RFC 9457), rendered in this one place."""

import inspect
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from app.api import errors
from app.api.direct import DirectRoute
from app.api.explanations import ADVICE, WITHOUT_A_CLASS
from app.services.errors import (
    CheckpointCorrupt,
    CodeChanged,
    ExecutionExists,
    GraphExists,
    GraphReadOnly,
    IdempotencyMismatch,
    PreconditionRequired,
)
from app.storage.errors import RevisionConflict
from app.transports.websocket.subscriptions import TooManySubscriptions
from graphwire.errors import (
    AlreadyRunning,
    AtCapacity,
    CommandNotAllowed,
    GraphInUse,
    GraphwireError,
    HistoryDamaged,
    InterruptClosed,
    InvalidCursor,
    InvalidInput,
    MalformedInput,
    NodeError,
    NotFound,
    NothingReady,
    Problem,
    ShuttingDown,
    StorageUnavailable,
    TooDeep,
)
from graphwire.json_text import pointer

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
MAX_PROBLEMS = 100
_MAX_TEXT = 1_000

_STATUS: Mapping[type[GraphwireError], int] = {
    CheckpointCorrupt: 409,
    CodeChanged: 409,
    ExecutionExists: 409,
    GraphExists: 409,
    GraphReadOnly: 409,
    IdempotencyMismatch: 422,
    RevisionConflict: 412,
    PreconditionRequired: 428,
    errors.MethodNotAllowed: 405,
    errors.NotAcceptable: 406,
    errors.BodyTooLarge: 413,
    errors.UnsupportedMediaType: 415,
    errors.UnsupportedCompression: 415,
    errors.UseLocation: 409,
    errors.BadRequest: 400,
    errors.AddressTooLong: 414,
    errors.HeadersTooLarge: 431,
    errors.Unauthorized: 401,
    errors.MisplacedKey: 400,
    errors.TooManyFailures: 429,
    errors.OriginNotAllowed: 403,
    errors.MisdirectedRequest: 421,
    errors.WebSocketRequired: 400,
    errors.NotAvailable: 501,
    TooManySubscriptions: 429,
    AtCapacity: 429,
    CommandNotAllowed: 409,
    GraphInUse: 409,
    AlreadyRunning: 409,
    InterruptClosed: 409,
    NothingReady: 409,
    InvalidCursor: 400,
    InvalidInput: 422,
    MalformedInput: 400,
    TooDeep: 422,
    NotFound: 404,
    ShuttingDown: 503,
    StorageUnavailable: 503,
}
"""Of a class that is not named, the nearest base that is; of the rest, 500."""

RETRY_AFTER_S: Mapping[int, int] = {429: 2, 503: 5}


def status_of(error: type[GraphwireError]) -> int:
    """Return the HTTP status of an error."""
    return next((_STATUS[base] for base in error.__mro__ if base in _STATUS), 500)


@dataclass(frozen=True, slots=True)
class Kind:
    """A code, as its page under ``/problems/`` explains it.

    Attributes:
        status: None for what is no answer: it happens inside an execution only.
        explanation: What it means, with names in backticks.
        advice: What to do next, likewise.
    """

    code: str
    title: str
    status: int | None
    explanation: str
    advice: str


def kinds() -> dict[str, Kind]:
    """Return every code that there is."""
    found: dict[str, Kind] = {}
    waiting: list[type[GraphwireError]] = [GraphwireError]
    while waiting:
        error = waiting.pop()
        waiting += error.__subclasses__()
        if error.code not in found and error.code in ADVICE:
            found[error.code] = _kind(error)
    for code, (title, explanation, advice) in WITHOUT_A_CLASS.items():
        found[code] = Kind(code, title, None, explanation, advice.next)
    return found


def _kind(error: type[GraphwireError]) -> Kind:
    explanation = _INTERNAL if error is GraphwireError else inspect.getdoc(error) or ""
    status = None if issubclass(error, NodeError) else status_of(error)
    return Kind(error.code, error.title, status, explanation.replace("``", "`"), ADVICE[error.code].next)


_INTERNAL = "A fault of the service itself, which its log describes. The answer shows the request's id, never its text."


def render(
    error: GraphwireError, request_id: str, *, status: int | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """Turn an error into its answer. Cannot fail, whatever the error holds."""
    code = status if status is not None else status_of(type(error))
    extra = dict(headers or {})
    if code in RETRY_AFTER_S:
        extra.setdefault("Retry-After", str(RETRY_AFTER_S[code]))
    if code == 413:
        extra["Connection"] = "close"
    return Response(
        json.dumps(body_of(error, request_id, code), default=str).encode(), code, headers=extra, media_type=MEDIA_TYPE
    )


def body_of(error: GraphwireError, request_id: str, status: int) -> dict[str, Any]:
    """Return the members of a problem, plain JSON values."""
    body: dict[str, Any] = {
        "type": f"/problems/{error.code}",
        "title": error.title,
        "status": status,
        "detail": printable(error.detail),
        "code": error.code,
        "request_id": request_id,
    }
    # ``status`` is RFC 9457's; what stands where an error has a status of its own among its facts is ``current``.
    facts = {"current" if name == "status" else name: value for name, value in error.facts.items()}
    body.update({name: value for name, value in facts.items() if name not in body})
    if isinstance(error, InvalidInput) and error.problems:
        body["errors"] = [_entry(problem) for problem in error.problems[:MAX_PROBLEMS]]
        left_out = len(error.problems) + error.left_out - len(body["errors"])
        if left_out:
            body["errors_left_out"] = left_out
    return body


def _entry(problem: Problem) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "pointer": printable(problem.pointer),
        "code": problem.code,
        "detail": printable(problem.detail),
    }
    if problem.line is not None:
        entry["line"] = problem.line
    if problem.column is not None:
        entry["column"] = problem.column
    return entry


def printable(text: str) -> str:
    """Return text safe to show anywhere: bounded, with control, bidirectional and surrogate characters escaped."""
    cut = text if len(text) <= _MAX_TEXT else text[:_MAX_TEXT] + "…"
    if cut.isprintable():
        return cut
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in cut)


def from_validation(found: Iterable[Mapping[str, Any]]) -> list[Problem]:
    """Turn what the framework found wrong with parameters into problems; pointers begin with where they stand."""
    return [Problem(pointer(*error["loc"]), _code(error), str(error["msg"])) for error in found]


def _code(error: Mapping[str, Any]) -> str:
    return "missing" if error["type"] == "missing" else "invalid_value"


def install(app: FastAPI, routes: Iterable[BaseRoute]) -> None:
    """Make ``app``, which has these routes, answer every error, its own and the framework's, as a problem."""
    app.state.routes = [route for route in routes if isinstance(route, Route)]
    app.add_exception_handler(GraphwireError, _graphwire)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)


def request_id(request: Request) -> str:
    """Return the name of this request, as the log has it."""
    return str(request.scope.get("state", {}).get("request_id", ""))


async def _graphwire(request: Request, error: Exception) -> Response:
    assert isinstance(error, GraphwireError)
    return render(shown(error, request_id(request)), request_id(request))


def shown(error: GraphwireError, request_id: str) -> GraphwireError:
    """Return what is told of an error: of a fault of the service's own, which is logged, nothing."""
    if status_of(type(error)) != 500:
        return error
    log.error("request %s: %s", request_id, error, exc_info=error)
    return error if isinstance(error, HistoryDamaged) else GraphwireError(UNEXPECTED)


UNEXPECTED = "Something went wrong here; the log has the details under this request id."


async def _validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = from_validation(error.errors())
    return render(InvalidInput("a parameter is not as it must be", problems), request_id(request))


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    name = request_id(request)
    headers = error.headers
    match error.status_code:
        case 404:
            return render(NotFound("there is nothing at this address"), name)
        case 405:
            allowed = _methods(request)
            refused = errors.MethodNotAllowed("this address does not take the method", allowed=allowed)
            return render(refused, name, headers={"Allow": ", ".join(allowed)})
        case status if 400 <= status < 500:
            return render(errors.BadRequest("the request cannot be read"), name, status=status, headers=headers)
        case _:
            return render(GraphwireError(UNEXPECTED), name)


def _methods(request: Request) -> list[str]:
    """Return what an address takes: the framework names the methods of one of its routes only."""
    path = request.scope["path"]
    routes: Sequence[Route] = request.app.state.routes
    found = [route for route in routes if route.path_regex.match(path)]
    methods = {method for route in found for method in route.methods or ()}
    if any("GET" in (route.methods or ()) and not isinstance(route, DirectRoute) for route in found):
        methods.add("HEAD")
    return sorted(methods)
