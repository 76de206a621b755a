"""The guards around an application that is not the service's: what a WebSocket's route would see."""

from typing import Any

from starlette.types import Message, Receive, Scope, Send

from app.api.guards import KeyGuard
from app.security.failed_tries import FailedTries
from app.security.keys import Keys


async def upgrade(*subprotocols: str, **changes: Any) -> tuple[list[Message], list[Scope]]:
    """Ask a guarded application for a WebSocket; return what was sent, and the scopes that the application saw."""
    seen: list[Scope] = []
    sent: list[Message] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await send({"type": "websocket.accept", "subprotocol": scope["subprotocols"][0]})

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "websocket", "path": "/ws", "query_string": b"", "headers": [], "client": ("127.0.0.1", 1),
        "subprotocols": list(subprotocols), **changes,
    }  # fmt: skip
    guard = KeyGuard(application, keys=Keys(["right"]), tries=FailedTries(lambda: 0.0))
    await guard(scope, receive, send)
    return sent, seen


async def test_a_key_among_the_subprotocols_opens_a_websocket_and_is_seen_by_nobody_else() -> None:
    sent, seen = await upgrade("bearer.right", "graphwire.v1")

    assert sent == [{"type": "websocket.accept", "subprotocol": "graphwire.v1"}]
    assert seen[0]["subprotocols"] == ["graphwire.v1"]


async def test_a_header_opens_a_websocket_too() -> None:
    sent, _ = await upgrade("graphwire.v1", headers=[(b"authorization", b"Bearer right")])

    assert sent[0]["type"] == "websocket.accept"


async def test_a_websocket_without_the_key_is_refused_before_it_opens() -> None:
    for subprotocols in (["graphwire.v1"], ["graphwire.v1", "bearer.wrong"], ["right"], ["bearer."]):
        sent, seen = await upgrade(*subprotocols)

        assert (sent[0]["type"], sent[0]["status"]) == ("websocket.http.response.start", 401)
        assert (b"www-authenticate", b"Bearer") in sent[0]["headers"]
        assert seen == []


async def test_a_websocket_with_keys_in_two_places_is_refused() -> None:
    for changes in (
        {"headers": [(b"authorization", b"Bearer right")]},
        {"query_string": b"token=right"},
        {"subprotocols": ["bearer.right", "bearer.right"]},
    ):
        sent, seen = await upgrade("bearer.right", **changes)

        assert (sent[0]["status"], seen) == (400, [])


async def test_no_websocket_is_open_because_it_is_about_health() -> None:
    sent, _ = await upgrade("graphwire.v1", path="/health/live")

    assert sent[0]["status"] == 401
