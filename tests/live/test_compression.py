"""Compressed streams over real sockets: every event comes when it is sent, and is what it would be without."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.transports.server import Outlet
from tests.live.control import gates
from tests.live.serving import RawConnection, Service, connection, http_client, numbers, parse, request, serving, types
from tests.transports.decoding import decoded, is_whole

NDJSON = "application/x-ndjson"


@pytest.fixture(autouse=True, params=["past the task", "by the task"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have streams served as our own server does, and as any other would."""
    if request.param == "by the task":
        monkeypatch.setattr(Outlet, "open", lambda outlet, stopped: None)


each_coding = pytest.mark.parametrize("coding", ["gzip", "zstd"])


def events_in(text: bytes) -> bytes:
    """Return a stream without what differs between two connections."""
    return text.partition(b"\n")[2] if text.startswith(b"retry: ") else text


async def read_until(raw: RawConnection, coding: str, body: bytes, wanted: bytes) -> bytes:
    """Read chunks until this can be decoded; return all that came."""
    while wanted not in decoded(coding, body):
        chunk = await raw.chunk()
        assert chunk, decoded(coding, body)
        body += chunk
    return body


@each_coding
@pytest.mark.parametrize("accept", ["text/event-stream", NDJSON])
async def test_a_compressed_stream_holds_the_same_bytes_in_fewer(service: Service, coding: str, accept: str) -> None:
    execution = (await service.run("talk", state={"count": 300}))["id"]
    path = f"/executions/{execution}/events"

    plain = await service.client.get(path, headers={"Accept": accept, "Accept-Encoding": "identity"})
    async with connection(service.port) as raw:
        await raw.send(request("GET", path, Accept=accept, Accept_Encoding=coding))
        status, headers = await raw.head()
        body = b""
        while chunk := await raw.chunk():
            body += chunk

    assert (status, headers["content-encoding"], headers["vary"]) == (200, coding, "accept-encoding")
    assert headers["cache-control"] == "no-store, no-transform"
    assert "content-encoding" not in plain.headers
    assert plain.headers["vary"] == "Accept-Encoding"
    assert events_in(decoded(coding, body)) == events_in(plain.content)
    assert is_whole(coding, body)
    assert len(body) < len(plain.content) / 4


@each_coding
@pytest.mark.capability("CMP-04")
@pytest.mark.parametrize("accept", ["text/event-stream", NDJSON])
async def test_no_event_waits_in_the_compressor(service: Service, coding: str, accept: str) -> None:
    start = request("POST", "/graphs/gated/execute/stream", b"{}", Accept=accept, Accept_Encoding=coding)
    async with connection(service.port) as raw:
        await raw.send(start)
        await raw.head()
        body = await read_until(raw, coding, b"", b'"type":"node_started"')
        await gates["gate"].reached.wait()
        gates["gate"].opened.set()
        body = await read_until(raw, coding, body, b'"type":"stream_end"')
        while chunk := await raw.chunk():
            body += chunk

    assert is_whole(coding, body)


@each_coding
async def test_a_heartbeat_does_not_wait_either_and_what_follows_can_be_read(service: Service, coding: str) -> None:
    execution = await service.start("gated")
    await gates["gate"].reached.wait()
    async with connection(service.port) as raw:
        await raw.send(request("GET", f"/executions/{execution}/events?heartbeat=1", Accept_Encoding=coding))
        await raw.head()
        body = await read_until(raw, coding, b"", b"\n\n:\n")
        gates["gate"].opened.set()
        while chunk := await raw.chunk():
            body += chunk

    assert is_whole(coding, body)
    assert types(parse(decoded(coding, body)))[-1] == "stream_end"


@each_coding
async def test_a_compressed_stream_that_the_shutdown_ends_is_whole(service: Service, coding: str) -> None:
    execution = await service.start("gated")
    await gates["gate"].reached.wait()
    async with connection(service.port) as raw:
        await raw.send(request("GET", f"/executions/{execution}/events", Accept_Encoding=coding))
        await raw.head()
        body = await raw.chunk()
        service.drain()
        while chunk := await raw.chunk():
            body += chunk

    assert is_whole(coding, body)
    assert parse(decoded(coding, body))[-1].data["data"]["code"] == "shutting_down"


@pytest.mark.bad_input(79)
@pytest.mark.parametrize("asked", ["gzip;q=0", "*", "gzip;q=0, *", "gzip;q=1.5", ",;=q", "br"])
async def test_what_is_refused_half_way_is_not_compressed(service: Service, asked: str) -> None:
    execution = (await service.run("chain"))["id"]

    answer = await service.client.get(f"/executions/{execution}/events", headers={"Accept-Encoding": asked})

    assert answer.status_code == 200
    assert "content-encoding" not in answer.headers
    assert types(parse(answer.content))[-1] == "stream_end"


async def test_only_streams_are_compressed(service: Service) -> None:
    execution = (await service.run("chain"))["id"]
    path = f"/executions/{execution}/events"

    page = await service.client.get(path, headers={"Accept": "application/json"})
    over = await service.client.get(path, params={"after": 9})
    refused = await service.client.get(path, params={"after": "x"})
    head = await service.client.head(path)

    assert [page.status_code, over.status_code, refused.status_code, head.status_code] == [200, 204, 400, 405]
    assert not any("content-encoding" in answer.headers for answer in (page, over, refused, head))


@pytest.mark.needs("curl")
@pytest.mark.parametrize("asked", ["--compressed", "-HAccept-Encoding: zstd"])
async def test_curl_shows_each_event_when_it_is_sent(service: Service, asked: str) -> None:
    execution = await service.start("gated")
    await gates["gate"].reached.wait()
    curl = await asyncio.create_subprocess_exec(
        *("curl", "-sN", "--compressed", asked, f"http://127.0.0.1:{service.port}/executions/{execution}/events"),
        *("--url-query", "heartbeat=1"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert curl.stdout is not None

    shown = await curl.stdout.readuntil(b"id: 2\n\n:\n")
    gates["gate"].opened.set()
    shown += await curl.stdout.read()

    assert await curl.wait() == 0
    assert numbers(parse(shown)) == list(range(1, 6))


async def test_httpx_gives_each_event_when_it_is_sent(service: Service) -> None:
    url = f"http://127.0.0.1:{service.port}/graphs/gated/execute/stream"
    received = b""
    async with http_client() as client, client.stream("POST", url) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        async for part in answer.aiter_bytes():
            received += part
            if b'"type":"node_started"' in received:
                gates["gate"].opened.set()

    assert types(parse(received))[-1] == "stream_end"


async def last_line(lines: AsyncIterator[str], wanted: str) -> dict[str, Any]:
    """Read lines up to the first event of this type."""
    async for line in lines:
        event: dict[str, Any] = json.loads(line)
        if event["type"] == wanted:
            return event
    raise AssertionError(f"{wanted} did not come")


async def test_httpx_reads_lines_from_the_newest_event_on(service: Service) -> None:
    url = f"http://127.0.0.1:{service.port}"
    headers = {"Accept": NDJSON}
    execution = await service.start("gated")
    await gates["gate"].reached.wait()
    page = {"Accept": "application/json"}
    last = (await service.client.get(f"/executions/{execution}/events", headers=page)).json()["next"]
    told = (await service.client.get("/events", headers=page)).json()["next"]

    async with (
        http_client(url) as client,
        client.stream("GET", f"/executions/{execution}/events?after={last}", headers=headers) as answer,
        client.stream("GET", f"/events?after={told}", headers=headers) as news,
    ):
        assert answer.headers["content-encoding"] == news.headers["content-encoding"] == "gzip"
        gates["gate"].opened.set()
        event = json.loads(await anext(aiter(answer.aiter_lines())))
        completed = await last_line(news.aiter_lines(), "execution.completed")

    assert event["seq"] == last + 1
    assert completed["execution_id"] == execution


async def test_a_compressed_reader_that_lost_its_connection_goes_on_where_it_was(tmp_path: Path) -> None:
    async with serving(tmp_path, ring_events=16) as service:
        execution = (await service.run("talk", state={"count": 300}))["id"]
        read: list[int] = []
        for size in (900, 1_700, 10**9):
            after = read[-1] if read else 0
            async with connection(service.port) as raw:
                path = f"/executions/{execution}/events?after={after}"
                await raw.send(request("GET", path, Accept_Encoding="gzip", Connection="close"))
                await raw.head()
                body = b""
                while len(body) < size and (chunk := await raw.chunk()):
                    body += chunk
            read += numbers(parse(decoded("gzip", body[:size])))

    assert read == list(range(1, 306))
