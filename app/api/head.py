"""HEAD: what GET would answer, without its body (RFC 9110 §9.3.2)."""

from starlette.types import ASGIApp, Receive, Scope, Send

IS_HEAD = "is_head"
"""In the state of a request that came as HEAD."""


class HeadAsGet:
    """Has HEAD answered as GET; the server leaves out the body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "HEAD":
            # A copy: the server goes by its own.
            scope = {**scope, "method": "GET", "state": {**scope.get("state", {}), IS_HEAD: True}}
        await self._app(scope, receive, send)
