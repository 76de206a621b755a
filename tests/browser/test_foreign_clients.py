"""Clients that others wrote: each follows an execution to its end, though its connection is cut in the middle."""

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio

from app.services import readers
from graphwire.events.types import EVENTS_BY_TYPE
from tests import npm
from tests.browser.chromium import opened
from tests.browser.history import stored
from tests.browser.middle import Middle, between
from tests.live.serving import Service, serving
from tests.parts import ROOT

CLIENTS: Final = Path(__file__).parent / "clients"
CUTS: Final = (900, 2_000)
EVENT_SOURCE: Final = """([path, types]) => new Promise((resolve) => {
  const seen = [];
  const source = new EventSource(path);
  for (const type of types) source.addEventListener(type, ({data}) => {
    const event = JSON.parse(data);
    if (event.seq) seen.push(event);
    if (type !== "stream_end") return;
    source.close();
    resolve(seen);
  });
})"""
FETCH: Final = """async ([path]) => {
  const seen = [];
  while (seen.at(-1)?.type !== "stream_end") {
    const answer = await fetch(path, {headers: {"Last-Event-ID": `${seen.at(-1)?.seq ?? ""}`}}).catch(() => null);
    const reader = answer?.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let text = ""; reader; ) {
      const {done, value} = await reader.read().catch(() => ({done: true}));
      if (done) break;
      const blocks = (text + value).split("\\n\\n");
      text = blocks.pop();
      for (const block of blocks) {
        const event = JSON.parse(block.split("\\n").find((line) => line.startsWith("data: ")).slice(6));
        if (event.seq) seen.push(event);
      }
    }
  }
  return seen;
}"""


@pytest_asyncio.fixture
async def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Service]:
    """A service with the example graphs, whose clients come back soon."""
    monkeypatch.setattr(readers, "RETRY_MS", (20, 50))
    async with serving(tmp_path, graphs=(ROOT / "examples",)) as running:
        yield running


async def follow(client: str, middle: Middle, execution: str, folder: Path, **environment: str) -> list[Any]:
    """Have a client follow an execution and return what it says to have got."""
    shutil.copytree(CLIENTS, folder, dirs_exist_ok=True)
    shutil.copy(ROOT / "app" / "api" / "pages" / "client.js", folder / "client.mjs")
    (folder / "node_modules").symlink_to(npm.modules())
    told = {"ADDRESS": f"http://127.0.0.1:{middle.port}", "EXECUTION": execution, "TYPES": ",".join(EVENTS_BY_TYPE)}
    process = await asyncio.create_subprocess_exec(
        *npm.node(folder / f"{client}.mjs"),
        env={**os.environ, **told, **environment},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), 20)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0
    return [json.loads(line) for line in output.splitlines()]


@pytest.mark.needs("node")
@pytest.mark.parametrize(
    ("client", "transport"),
    [
        ("eventsource", ""),
        ("eventsource-client", ""),
        ("fetch-event-source", ""),
        ("fetch", ""),
        ("ws", ""),
        ("json-rpc-2.0", ""),
        ("graphwire", "websocket"),
        ("graphwire", "sse"),
        ("graphwire", "poll"),
    ],
)
async def test_client_gets_every_event_once_and_in_order(
    shown: Service, tmp_path: Path, client: str, transport: str
) -> None:
    execution = await shown.start("ticker", state={"count": 100, "interval_ms": 10})
    async with between(shown.port) as middle:
        middle.cuts = iter(CUTS)

        events = await follow(client, middle, execution, tmp_path / "client", TRANSPORT=transport)

        assert middle.cut == len(CUTS)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events == await stored(shown, execution)


@pytest.mark.needs("chromium")
@pytest.mark.parametrize("script", [EVENT_SOURCE, FETCH], ids=["EventSource", "fetch"])
async def test_what_a_browser_has_of_its_own_gets_every_event_once_and_in_order(shown: Service, script: str) -> None:
    async with between(shown.port) as middle, opened(f"http://127.0.0.1:{middle.port}", "/") as (page, faults):
        execution = await shown.start("ticker", state={"count": 100, "interval_ms": 10})
        middle.cuts = iter(CUTS)

        events = await page.evaluate(script, [f"/executions/{execution}/events", list(EVENTS_BY_TYPE)])

        assert middle.cut == len(CUTS)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert events == await stored(shown, execution)
    assert faults == []
