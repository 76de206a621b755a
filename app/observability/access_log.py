"""A log line for each request."""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)

_Rest: TypeAlias = Callable[[Send], Awaitable[None]]


class AccessLog:
    """Logs each request when its answer ends, a stream's too: method, path, status, milliseconds, bytes of the body.

    Neither the query nor a header is shown: they may hold a secret.

    Args:
        afterwards: The extension by which the server takes what is sent when the application has returned.
        outlet: The extension that knows as ``written_bytes`` what was sent past the application.
    """

    def __init__(self, app: ASGIApp, *, afterwards: str, outlet: str) -> None:
        self._app = app
        self._afterwards = afterwards
        self._outlet = outlet

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        extensions = scope.get("extensions", {})
        answer = _Answer(scope, extensions.get(self._outlet))
        if self._afterwards in extensions:
            followed = answer.followed_by(extensions[self._afterwards])
            scope = {**scope, "extensions": {**extensions, self._afterwards: followed}}
        try:
            await self._app(scope, receive, answer.noting(send))
        except BaseException:
            answer.log()
            raise
        if not answer.goes_on:
            answer.log()


class _Answer:
    """What is noted of an answer while it is sent."""

    def __init__(self, scope: Scope, outlet: object) -> None:
        self._scope = scope
        self._outlet = outlet
        self._began = time.perf_counter_ns()
        self._status = self._size = 0
        self.goes_on = False

    def noting(self, send: Send) -> Send:
        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._status = message["status"]
            else:
                self._size += len(message.get("body", b""))
            await send(message)

        return noted

    def followed_by(self, afterwards: Callable[[_Rest], None]) -> Callable[[_Rest], None]:
        """Have what follows noted, and the line written at its end."""

        def followed(rest: _Rest) -> None:
            async def noted(send: Send) -> None:
                try:
                    await rest(self.noting(send))
                finally:
                    self.log()

            self.goes_on = True
            afterwards(noted)

        return followed

    def log(self) -> None:
        facts = {
            "method": self._scope["method"],
            "path": self._scope["path"],
            "status": self._status,
            "duration_ms": (time.perf_counter_ns() - self._began) // 1000 / 1000,
            "bytes": self._size + getattr(self._outlet, "written_bytes", 0),
        }
        log.info("request", extra=facts)
