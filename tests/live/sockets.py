"""A client of the service's WebSockets for tests: JSON-RPC over the library ``websockets``."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.live.serving import Service
from tests.waiting import PATIENCE_S


class Socket:
    """One connection. Replies are taken by whoever asked; notifications wait to be read."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.waiting: deque[dict[str, Any]] = deque()
        self._number = 0

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a request and return its whole reply; what comes before it waits."""
        self._number += 1
        return await self.ask({"jsonrpc": "2.0", "id": self._number, "method": method, "params": params})

    async def ask(self, message: Any) -> dict[str, Any]:
        """Send any message, a value or a text, and return what is no notification."""
        await self.connection.send(message if isinstance(message, str | bytes) else json.dumps(message))
        while True:
            found = await self._receive()
            if "method" not in found:
                return found
            self.waiting.append(found)

    async def result(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a request and return what it results in."""
        reply = await self.call(method, **params)
        assert "result" in reply, reply
        return dict(reply["result"])

    async def problem(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a request and return the problem with which it is refused."""
        reply = await self.call(method, **params)
        assert reply["error"]["code"] == -32000, reply
        return dict(reply["error"]["data"])

    async def next(self) -> dict[str, Any]:
        """Return the next notification."""
        return self.waiting.popleft() if self.waiting else await self._receive()

    async def event(self) -> dict[str, Any]:
        """Return the next event; notices are passed over."""
        while (found := await self.next())["method"] != "event":
            pass
        return dict(found["params"]["event"])

    async def notice(self, type: str) -> dict[str, Any]:
        """Return the next notice of a type; everything else is passed over."""
        while True:
            found = await self.next()
            if found["method"] == "notice" and found["params"]["notice"]["type"] == type:
                return dict(found["params"]["notice"])

    async def events(self, subscription: str | None = None) -> list[dict[str, Any]]:
        """Return the events of a subscription, or all, up to the sentinel; those of others go on waiting."""
        found: list[dict[str, Any]] = []
        others: list[dict[str, Any]] = []
        while not found or found[-1]["type"] != "stream_end":
            message = await self.next()
            params = message["params"]
            if subscription not in (None, params["subscription"]):
                others.append(message)
            elif message["method"] == "event":
                found.append(params["event"])
        self.waiting.extendleft(reversed(others))
        return found

    async def end(self) -> tuple[int | None, str | None]:
        """Read up to the close; return its code and reason."""
        try:
            while True:
                self.waiting.append(await self._receive())
        except ConnectionClosed:
            return self.connection.close_code, self.connection.close_reason

    async def _receive(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE_S):
            return dict(json.loads(await self.connection.recv()))


@asynccontextmanager
async def socket(service: Service, path: str = "/ws", **options: Any) -> AsyncIterator[Socket]:
    """Open a socket, without compression; ``options`` are those of ``websockets``."""
    options = {"ping_interval": None, "compression": None, **options}
    async with connect(f"ws://127.0.0.1:{service.port}{path}", **options) as connection:
        yield Socket(connection)


async def refused(service: Service, path: str, **options: Any) -> tuple[int, dict[str, Any]]:
    """Try to open a socket; return the status and the problem with which that is refused."""
    try:
        async with socket(service, path, **options):
            raise AssertionError("the socket was opened")
    except InvalidStatus as error:
        response = error.response
        assert response.headers["content-type"] == "application/problem+json"
        problem = json.loads(bytes(response.body or b""))
        assert problem["request_id"] == response.headers["x-request-id"]
        return response.status_code, problem
