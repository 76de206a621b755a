"""Clients that others wrote follow an execution whose connection is cut in the middle, and lose nothing."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeAlias

import aiohttp
import httpx
import pytest
from httpx_sse import aconnect_sse
from jsonrpc_websocket import Server
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.live.promises.live import Telling, history
from tests.live.serving import Service, http_client
from tests.proxy import proxied

TEXTS = [["one", "two"], ["three"], ["four", "five"]]
BEFORE_THE_CUT = 4


class Seen:
    """What a client got."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self._news = asyncio.Event()

    def take(self, event: dict[str, Any]) -> None:
        if "seq" in event:
            self.events.append(event)
            self._news.set()

    @property
    def last(self) -> int:
        return int(self.events[-1]["seq"]) if self.events else 0

    async def until(self, count: int) -> None:
        while len(self.events) < count:
            self._news.clear()
            await self._news.wait()


Client: TypeAlias = Callable[[str, str, Seen], Coroutine[Any, Any, bool]]
"""Goes on behind what was seen, to the end of the connection; returns whether that was the stream's."""


async def with_curl(address: str, execution: str, seen: Seen) -> bool:
    """Run ``curl -N`` as people do; its exit status says whether the body was whole."""
    url = f"{address}/executions/{execution}/events"
    headers = ["-H", f"Last-Event-ID: {seen.last}"] if seen.last else []
    running = await asyncio.create_subprocess_exec("curl", "-sN", *headers, url, stdout=asyncio.subprocess.PIPE)
    assert running.stdout is not None
    async for line in running.stdout:
        if line.startswith(b"data: "):
            seen.take(json.loads(line.removeprefix(b"data: ")))
    return await running.wait() == 0


async def with_httpx_sse(address: str, execution: str, seen: Seen) -> bool:
    headers = {"Last-Event-ID": str(seen.last)} if seen.last else {}
    url = f"{address}/executions/{execution}/events"
    with suppress(httpx.TransportError):
        async with http_client() as client, aconnect_sse(client, "GET", url, headers=headers) as source:
            async for event in source.aiter_sse():
                seen.take(json.loads(event.data))
                assert event.id == str(seen.last)
            return True
    return False


async def with_aiohttp(address: str, execution: str, seen: Seen) -> bool:
    headers = {"Last-Event-ID": str(seen.last)} if seen.last else {}
    with suppress(aiohttp.ClientError):
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{address}/executions/{execution}/events", headers=headers) as answer,
        ):
            async for line in answer.content:
                if line.startswith(b"data: "):
                    seen.take(json.loads(line.removeprefix(b"data: ")))
            return True
    return False


async def with_a_socket_of_aiohttp(address: str, execution: str, seen: Seen) -> bool:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{address}/executions/{execution}/ws?after={seen.last}", compress=15) as socket,
    ):
        async for message in socket:
            params = message.json()["params"]
            seen.take(params.get("event", {}))
        return socket.close_code == 1000


async def with_websockets(address: str, execution: str, seen: Seen) -> bool:
    url = f"{address.replace('http', 'ws', 1)}/executions/{execution}/ws?after={seen.last}"
    async with connect(url, subprotocols=[Subprotocol("graphwire.v1")]) as socket:
        with suppress(ConnectionClosed):
            async for message in socket:
                seen.take(json.loads(message)["params"].get("event", {}))
    return socket.close_code == 1000


async def with_a_json_rpc_client(address: str, execution: str, seen: Seen) -> bool:
    """Subscribe over the socket for everything, which stays open: that it was whole is what the sentinel says."""
    ended = asyncio.Event()

    def event(subscription: str, event: dict[str, Any]) -> None:
        seen.take(event)
        if event["type"] == "stream_end":
            ended.set()

    async with aiohttp.ClientSession() as session:
        server = Server(f"{address}/ws", session)
        server.event = event
        server.notice = lambda subscription, notice: None
        connection = await server.ws_connect()
        reply = await server.execution.subscribe(execution_id=execution, after=seen.last)
        assert set(reply) == {"subscription"}
        ending = asyncio.ensure_future(ended.wait())
        await asyncio.wait([ending, connection], return_when=asyncio.FIRST_COMPLETED)
        ending.cancel()
        await server.close()
        await asyncio.wait([connection, ending])
        connection.exception()
    return ended.is_set()


@pytest.mark.capability("SSE-05")
@pytest.mark.parametrize(
    "client",
    [
        pytest.param(with_curl, marks=pytest.mark.needs("curl")),
        with_httpx_sse,
        with_aiohttp,
        with_a_socket_of_aiohttp,
        with_websockets,
        with_a_json_rpc_client,
    ],
)
async def test_a_client_of_others_that_is_cut_off_goes_on_where_it_was(service: Service, client: Client) -> None:
    telling = await Telling.start(service, "foreign", TEXTS)
    seen = Seen()
    async with proxied(f"http://127.0.0.1:{service.port}") as proxy, asyncio.TaskGroup() as group:
        first = group.create_task(client(proxy.url, telling.execution, seen))
        await seen.until(BEFORE_THE_CUT)
        proxy.cut()
        assert not await first
        before = len(seen.events)

        second = group.create_task(client(proxy.url, telling.execution, seen))
        telling.go_on_to_the_end()
        assert await second

    assert before == BEFORE_THE_CUT
    assert seen.events == [json.loads(line) for line in await history(service, telling.execution)]
