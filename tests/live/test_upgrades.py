"""Upgrades of a connection: but for the handshake of a WebSocket at its address each is passed over."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.live.control import gates
from tests.live.serving import Service, connection, request, serving
from tests.waiting import PATIENCE_S

KEY = "the-key-of-these-tests"
RIGHT = {"Authorization": f"Bearer {KEY}"}
H2C = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2_Settings": "AAA"}
WEBSOCKET = {
    "Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13",
    "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
}  # fmt: skip
EACH = pytest.mark.parametrize("upgrade", [H2C, WEBSOCKET], ids=["h2c", "websocket"])


async def answers(port: int, data: bytes, count: int = 1) -> list[tuple[int, dict[str, str], bytes]]:
    """Send bytes; return so many answers, the last of which has to be the last of the connection."""
    async with asyncio.timeout(PATIENCE_S), connection(port) as raw:
        await raw.send(data)
        found = [await raw.answer() for _ in range(count)]
        assert found[-1][1]["connection"] == "close"
        assert await raw.reader.read() == b""
    return found


@EACH
async def test_an_upgrade_is_answered_as_the_plain_request_and_ends_the_connection(
    service: Service, upgrade: dict[str, str]
) -> None:
    live = request("GET", "/health/live")
    ((status, _, _),) = await answers(service.port, request("GET", "/health/live", None, **upgrade) + live)
    ((missing, headers, body),) = await answers(service.port, request("GET", "/nowhere", None, **upgrade) + live)

    assert (status, missing) == (200, 404)
    assert headers["content-type"] == "application/problem+json"
    assert json.loads(body)["request_id"] == headers["x-request-id"]


@EACH
async def test_an_upgrade_with_a_body_is_carried_out_once(service: Service, upgrade: dict[str, str]) -> None:
    body = b'{"state": {"text": "x"}}'
    whole = request("POST", "/graphs/chain/execute", body, **upgrade)
    ((status, _, _),) = await answers(service.port, whole + whole)
    async with asyncio.timeout(PATIENCE_S), connection(service.port) as raw:
        await raw.send(whole[: -len(body)])
        await service.client.get("/health/live")
        await raw.send(body)
        late, _, _ = await raw.answer()

    assert (status, late) == (202, 202)
    assert len((await service.client.get("/executions")).json()["items"]) == 2


@pytest.mark.bad_input(50)
@EACH
async def test_an_upgrade_never_overtakes_what_was_asked_before_it(service: Service, upgrade: dict[str, str]) -> None:
    async with asyncio.timeout(PATIENCE_S), connection(service.port) as raw:
        await raw.send(request("POST", "/graphs/gated/execute/wait", b"{}") + request("GET", "/ws", None, **upgrade))
        await gates["gate"].reached.wait()
        gates["gate"].opened.set()
        first, second = await raw.answer(), await raw.answer()

        assert (first[0], second[0], second[1]["connection"]) == (200, 400, "close")
        assert await raw.reader.read() == b""
    assert json.loads(first[2])["status"] == "completed"


@pytest.mark.bad_input(50)
@EACH
async def test_an_upgrade_never_stands_within_a_stream(service: Service, upgrade: dict[str, str]) -> None:
    async with asyncio.timeout(PATIENCE_S), connection(service.port) as raw:
        await raw.send(request("POST", "/graphs/gated/execute/stream", b""))
        await raw.head()
        await raw.chunk()
        await raw.send(request("GET", "/ws", None, **upgrade))
        await service.client.get("/health/live")  # it has arrived
        gates["gate"].opened.set()
        stream = b""
        while chunk := await raw.chunk():
            stream += chunk
        status, _, _ = await raw.answer()

        assert await raw.reader.read() == b""
    assert b"HTTP/1.1" not in stream
    assert b"event: stream_end" in stream
    assert status == 400


@EACH
async def test_an_upgrade_needs_the_key_too(tmp_path: Path, upgrade: dict[str, str]) -> None:
    async with serving(tmp_path, api_key=KEY) as locked:
        found = []
        for headers in ({}, {"Sec_WebSocket_Protocol": f"graphwire.v1, bearer.{KEY}"}, RIGHT):
            head = request("GET", "/nowhere", None, **upgrade, **headers)
            ((status, _, body),) = await answers(locked.port, head)
            found.append((status, json.loads(body)["code"]))

    assert found == [(401, "unauthorized"), (401, "unauthorized"), (404, "not_found")]


@EACH
async def test_an_upgrade_from_a_foreign_page_or_for_another_host_is_refused(
    service: Service, upgrade: dict[str, str]
) -> None:
    own = f"http://127.0.0.1:{service.port}"
    found = []
    for host, origin in (("evil.example", own), (own[7:], "https://evil.example"), (own[7:], "null"), (own[7:], own)):
        head = request("GET", "/nowhere", None, **upgrade, Origin=origin).replace(
            b"Host: 127.0.0.1", f"Host: {host}".encode()
        )
        ((status, _, _),) = await answers(service.port, head)
        found.append(status)

    assert found == [421, 403, 403, 404]


@pytest.mark.bad_input(58)
@EACH
async def test_junk_in_headers_of_an_upgrade_is_ignored(
    service: Service, upgrade: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    junk = ["\u00e9\u00ff", "'\"<>,;=" * 50, "=", "a=b; c", '.",,', "f" * 9_000]
    for name in ("Cookie", "traceparent", "Accept-Language", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"):
        for value in junk:
            head = request("GET", "/health/live", None, **upgrade).removesuffix(b"\r\n")
            data = head + f"{name}: {value}\r\n\r\n".encode("latin-1")
            ((status, _, _),) = await answers(service.port, data)

            assert status == 200, (name, value)
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


@pytest.mark.parametrize(
    "changes",
    [
        {"Sec_WebSocket_Version": "8"},
        {"Sec_WebSocket_Key": "c2hvcnQ="},
        {"Sec_WebSocket_Extensions": "'\"<>,;="},
        {"Connection": "close"},
        {"Upgrade": "h2c"},
        {"Content_Length": "0"},
    ],
    ids=lambda changes: ",".join(changes),
)
async def test_what_is_no_handshake_is_answered_as_a_plain_request(service: Service, changes: dict[str, str]) -> None:
    ((status, headers, body),) = await answers(service.port, request("GET", "/ws", None, **{**WEBSOCKET, **changes}))

    assert (status, json.loads(body)["code"]) == (400, "websocket_required")
    assert headers["sec-websocket-version"] == "13"


async def test_frames_that_come_with_the_handshake_are_read(service: Service) -> None:
    ping = b"\x89\x80\x00\x00\x00\x00"
    async with asyncio.timeout(PATIENCE_S), connection(service.port) as raw:
        await raw.send(request("GET", "/ws", None, **WEBSOCKET) + ping)
        status, headers = await raw.head()
        pong = await raw.reader.readexactly(2)

    assert (status, headers["sec-websocket-accept"]) == (101, "s3pplmbitxaq9kygzzhzrbk+xoo=")
    assert pong == b"\x8a\x00"


async def test_a_connection_that_was_used_before_can_become_a_websocket(service: Service) -> None:
    async with asyncio.timeout(PATIENCE_S), connection(service.port) as raw:
        await raw.send(request("GET", "/health/live"))
        await raw.answer()
        await raw.send(request("GET", "/ws", None, **WEBSOCKET))
        status, _ = await raw.head()

    assert status == 101
