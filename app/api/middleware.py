"""What surrounds every request. Pure ASGI: a wrapped response would double the cost of a stream."""

import logging
import secrets

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api import problems
from app.api.errors import BodyTooLarge
from graphwire.errors import GraphwireError

log = logging.getLogger(__name__)

_STARTS = frozenset({"http.response.start", "websocket.http.response.start", "websocket.accept"})


class RequestId:
    """Names each request, in its answer and in the log. What nobody expected is a 500 that shows the name only."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        request_id = secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        # For the log lines of this request, and of what it starts: each request has a task and so a context of its own.
        structlog.contextvars.bind_contextvars(request_id=request_id)
        header = (b"x-request-id", request_id.encode())
        started = False

        async def named(message: Message) -> None:
            nonlocal started
            if message["type"] in _STARTS:
                started = True
                message["headers"] = [*message.get("headers", ()), header]
            await send(message)

        try:
            await self._app(scope, receive, named)
        except ClientDisconnect:
            log.info("the client left before its answer (499)")
        except Exception:  # border: the top of a request
            log.exception("the request failed")
            if started:
                raise  # the server cuts the connection: half an answer must not look whole
            await problems.render(GraphwireError(problems.UNEXPECTED), request_id)(scope, receive, named)


class BodyLimit:
    """Refuses bodies over ``max_bytes``: before reading where the length is declared, else as soon as it is known."""

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
        if declared.isdigit() and int(declared[:20]) > self._max_bytes:
            answer = problems.render(
                too_large(self._max_bytes, "GRAPHWIRE_MAX_BODY_BYTES"), scope["state"]["request_id"]
            )
            await answer(scope, receive, send)
            return
        left = self._max_bytes
        started = False

        async def limited() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left >= 0:
                return message
            if started:
                return {"type": "http.disconnect"}
            raise too_large(self._max_bytes, "GRAPHWIRE_MAX_BODY_BYTES")

        async def noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        await self._app(scope, limited, noted)


def too_large(limit: int, setting: str) -> BodyTooLarge:
    """Say what the limit is, and what sets it."""
    return BodyTooLarge(f"the body is larger than {limit:,} bytes ({setting})", limit=limit)
