"""What pages of other origins may ask, and read (Fetch Standard, "CORS protocol")."""

from collections.abc import Collection
from typing import Any

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import Receive, Scope, Send

from app.api import problems
from app.api.errors import BadRequest

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
REQUEST_HEADERS = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "Last-Event-ID",
)
ANSWER_HEADERS = ("ETag", "Link", "Location", "Retry-After", "X-Request-Id")


def install(app: FastAPI, origins: Collection[str]) -> None:
    """Let pages of these origins read every answer of an application; it has to be the outermost for that."""
    if origins:
        app.add_middleware(Readable, **cors_of(origins))


def cors_of(origins: Collection[str]) -> dict[str, Any]:
    """Return the arguments of both classes for pages of these origins."""
    return {
        "allow_origins": origins,
        "allow_methods": METHODS,
        "allow_headers": REQUEST_HEADERS,
        "expose_headers": ANSWER_HEADERS,
    }


class Readable(CORSMiddleware):
    """Lets pages of the named origins read what they are answered, refusals and faults too."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _is_preflight(scope):
            await self.app(scope, receive, send)
        else:
            await self.simple_response(scope, receive, send, request_headers=Headers(scope=scope))


class Preflights(CORSMiddleware):
    """Tells pages of the named origins what they may send. What it refuses is a problem like any other."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _is_preflight(scope):
            await self.app(scope, receive, send)
            return
        answer = self.preflight_response(Headers(scope=scope))
        if answer.status_code >= 400:
            refused = BadRequest("the method or a header is not one that other origins may use")
            answer = problems.render(refused, str(scope.get("state", {}).get("request_id", "")))
        await answer(scope, receive, send)


def _is_preflight(scope: Scope) -> bool:
    if scope["method"] != "OPTIONS":
        return False
    headers = Headers(scope=scope)
    return "origin" in headers and "access-control-request-method" in headers
