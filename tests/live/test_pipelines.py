"""Several requests on one connection, one of which goes wrong or is never answered."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from tests.live.control import gates
from tests.live.serving import Service, connection, request, serving
from tests.waiting import PATIENCE_S

WAITING = request("POST", "/graphs/gated/execute/wait", b"{}")
STREAM = request("POST", "/graphs/gated/execute/stream", b'{"on_disconnect": "cancel"}')
LIVE = request("GET", "/health/live")
CHUNKED = request("POST", "/graphs/chain/execute", None, Content_Type="application/json", Transfer_Encoding="chunked")


async def executions(service: Service) -> list[str]:
    """Return the graphs of all executions, the first one first."""
    items = (await service.client.get("/executions?sort=started_at")).json()["items"]
    return [item["graph_id"] for item in items]


@pytest.mark.bad_input(50)
@pytest.mark.parametrize("between", [0, 2])
async def test_a_request_that_breaks_off_takes_no_answer_from_those_before_it(service: Service, between: int) -> None:
    async with asyncio.timeout(PATIENCE_S), connection(service.port) as raw:
        await raw.send(WAITING + LIVE * between + CHUNKED + b"2\r\n{ \r\n")
        await gates["gate"].reached.wait()
        await raw.send(b"junk\r\n" + LIVE)
        await service.client.get("/health/live")  # it has arrived
        gates["gate"].opened.set()
        statuses = [(await raw.answer())[0] for _ in range(1 + between)]

        assert statuses == [200] * (1 + between)
        assert await raw.reader.read() == b""
    assert await executions(service) == ["gated"]


@pytest.mark.bad_input(50)
async def test_a_stream_comes_to_its_end_though_a_request_behind_it_breaks_off(service: Service) -> None:
    async with asyncio.timeout(PATIENCE_S), connection(service.port) as raw:
        await raw.send(STREAM + CHUNKED + b"junk\r\n")
        await raw.head()
        await gates["gate"].reached.wait()
        gates["gate"].opened.set()
        rest = await raw.reader.read()

    assert b"event: stream_end" in rest
    assert rest.endswith(b"\r\n0\r\n\r\n")
    assert b"HTTP/1.1" not in rest


async def test_what_comes_behind_an_answer_that_is_the_last_is_not_carried_out(service: Service) -> None:
    execution = await service.start("gated")
    await gates["gate"].reached.wait()
    async with asyncio.timeout(PATIENCE_S), connection(service.port) as raw:
        await raw.send(request("GET", f"/executions/{execution}/events", None, Transfer_Encoding="chunked"))
        _, headers = await raw.head()  # it did not wait for the end of the body
        await raw.send(b"0\r\n\r\n" + request("POST", "/graphs/chain/execute", b"{}"))
        await service.client.get("/health/live")  # it has arrived
        gates["gate"].opened.set()
        rest = await raw.reader.read()
        while service.server.server_state.tasks:
            await service.client.get("/health/live")

    assert headers["connection"] == "close"
    assert b"event: stream_end" in rest
    assert await executions(service) == ["gated"]


@pytest.mark.parametrize(
    "behind",
    [
        LIVE, LIVE * 50, CHUNKED, CHUNKED + b"junk", b"junk\r\n\r\n",
        request("GET", "/ws", Connection="Upgrade", Upgrade="websocket"),
    ],
    ids=["whole", "many", "begun", "broken", "junk", "upgrade"],
)  # fmt: skip
@pytest.mark.parametrize("at_once", [True, False])
async def test_a_client_that_leaves_a_stream_is_noticed_whatever_it_asked_behind(
    tmp_path: Path, behind: bytes, at_once: bool
) -> None:
    async with serving(tmp_path, disconnect_grace_s=0) as service:
        async with asyncio.timeout(PATIENCE_S), connection(service.port) as raw:
            await raw.send(STREAM + behind if at_once else STREAM)
            await raw.head()
            await gates["gate"].reached.wait()
            if not at_once:
                await raw.send(behind)
                await service.client.get("/health/live")  # it has arrived
        async with asyncio.timeout(PATIENCE_S):
            status = ""
            while status != "cancelled":
                status = (await service.client.get("/executions")).json()["items"][0]["status"]


async def test_a_client_that_asks_without_end_behind_a_stream_is_held_back(service: Service) -> None:
    async with asyncio.timeout(PATIENCE_S), connection(service.port) as raw:
        await raw.send(STREAM)
        await raw.head()
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 50_000_000:
                async with asyncio.timeout(0.5):
                    await raw.send(LIVE * 1_000)
                sent += len(LIVE) * 1_000

    assert sent < 20_000_000  # most of it in the sockets' buffers
