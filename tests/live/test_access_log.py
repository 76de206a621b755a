"""What the log says of requests, streams among them."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from app.observability.logs import logging_to
from app.transports.sse import SseForm
from graphwire.events.hub import Published
from tests.live.control import gates
from tests.live.serving import connection, request, serving
from tests.waiting import PATIENCE_S


class Lines(io.StringIO):
    """A log that can be looked at while it is written, by a thread."""

    def __init__(self) -> None:
        super().__init__()
        self._news = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def write(self, text: str) -> int:
        written = super().write(text)
        self._loop.call_soon_threadsafe(self._news.set)
        return written

    def named(self, event: str) -> list[dict[str, Any]]:
        """Return the lines with this event."""
        return [line for line in map(json.loads, self.getvalue().splitlines()) if line["event"] == event]

    async def of(self, path: str) -> dict[str, Any]:
        """Return the line of the request for this path as soon as there is one."""
        async with asyncio.timeout(PATIENCE_S):
            while not (found := [line for line in self.named("request") if line["path"] == path]):
                await self._news.wait()
                self._news.clear()
        (line,) = found
        return line


@pytest_asyncio.fixture
async def lines() -> AsyncIterator[Lines]:
    stream = Lines()
    with logging_to(stream, format="json"):
        yield stream


STREAM = "/graphs/gated/execute/stream"


async def test_a_stream_is_logged_at_its_end_with_its_bytes(tmp_path: Path, lines: Lines) -> None:
    async with serving(tmp_path, access_log=True) as service:
        plain = {"Accept-Encoding": "identity"}
        async with service.client.stream("POST", STREAM, headers=plain) as answer:
            await gates["gate"].reached.wait()
            await service.client.get("/health/live")
            await lines.of("/health/live")
            assert STREAM not in {line["path"] for line in lines.named("request")}
            gates["gate"].opened.set()
            body = await answer.aread()
        line = await lines.of(STREAM)

    assert (line["status"], line["bytes"]) == (200, len(body))
    assert line["request_id"] == answer.headers["X-Request-Id"]


async def test_a_stream_whose_client_leaves_is_logged_then(tmp_path: Path, lines: Lines) -> None:
    async with serving(tmp_path, access_log=True) as service:
        async with connection(service.port) as raw:
            await raw.send(request("POST", STREAM, b""))
            await raw.head()
            await gates["gate"].reached.wait()
        line = await lines.of(STREAM)
        gates["gate"].opened.set()

    assert line["status"] == 200
    assert line["bytes"] > 0


async def test_a_stream_that_fails_is_named_once_and_does_not_look_whole(
    tmp_path: Path, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(form: SseForm, items: list[Published]) -> list[bytes]:
        if items[-1].seq > 3:
            raise RuntimeError("out of order")
        return [item.line for item in items]

    monkeypatch.setattr(SseForm, "events", fail)
    async with serving(tmp_path, access_log=True) as service, connection(service.port) as raw:
        await raw.send(request("POST", STREAM, b""))
        _, headers = await raw.head()
        await gates["gate"].reached.wait()
        gates["gate"].opened.set()
        rest = await raw.reader.read()
        await lines.of(STREAM)

    assert not rest.endswith(b"\r\n0\r\n\r\n")
    (line,) = [line for line in map(json.loads, lines.getvalue().splitlines()) if line["level"] == "error"]
    assert (line["event"], line["request_id"]) == ("a stream failed", headers["x-request-id"])
    assert "out of order" in json.dumps(line)
