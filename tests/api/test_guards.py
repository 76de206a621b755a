"""The guards around an application that is not the service's: what a WebSocket's route would see."""

import asyncio
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from app.api.guards import MAX_HELD, KeyGuard
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


class Doors:
    """A guarded application that answers at once. Who is held waits until ``opened`` is set."""

    def __init__(self) -> None:
        self.held: list[float] = []
        self.opened = asyncio.Event()
        self._guard = KeyGuard(self._answer, keys=Keys(["right"]), tries=FailedTries(lambda: 0.0), pause=self._pause)

    async def ask(self, key: str, address: str = "192.0.2.1") -> int:
        """Return the status of the answer."""
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request"}

        async def send(message: Message) -> None:
            sent.append(message)

        headers = [(b"authorization", b"Bearer " + key.encode())]
        scope = {"type": "http", "path": "/", "query_string": b"", "headers": headers, "client": (address, 1)}
        await self._guard(scope, receive, send)
        return int(sent[0]["status"])

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})

    async def _pause(self, seconds: float) -> None:
        self.held.append(seconds)
        await self.opened.wait()


async def test_who_guesses_from_an_address_of_others_waits_for_each_answer_and_they_do_not() -> None:
    doors = Doors()
    assert await doors.ask("right") == 200
    assert {await doors.ask("wrong") for _ in range(10)} == {401}

    async with asyncio.TaskGroup() as group:
        guesses = [group.create_task(doors.ask("wrong")) for _ in range(MAX_HELD + 1)]
        done, _ = await asyncio.wait(guesses, return_when=asyncio.FIRST_COMPLETED)
        status = await doors.ask("right")
        doors.opened.set()

    assert (len(done), status, doors.held) == (1, 200, [1.0] * MAX_HELD)
    assert {guess.result() for guess in guesses} == {429}
    await doors.ask("wrong")
    assert len(doors.held) == MAX_HELD + 1


async def test_who_guesses_from_an_address_of_its_own_is_not_worth_the_wait() -> None:
    doors = Doors()

    statuses = [await doors.ask("wrong") for _ in range(11)]

    assert (statuses, await doors.ask("right"), doors.held) == ([401] * 10 + [429], 429, [])
