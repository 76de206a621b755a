"""A browser's own EventSource reads a compressed stream, event by event."""

import shutil
from pathlib import Path

import pytest
from playwright.async_api import Response, async_playwright

from tests.browser.chromium import QUIET
from tests.live.control import gates
from tests.live.serving import serving

FOLLOW = """(path) => {
  window.seen = [];
  const source = new EventSource(path);
  for (const type of ["node_started", "heartbeat", "node_completed", "stream_end"])
    source.addEventListener(type, () => {
      seen.push(type);
      if (type === "stream_end") source.close();
    });
}"""


@pytest.mark.needs("chromium")
@pytest.mark.parametrize("asked", [None, "zstd"])
async def test_event_source_gets_each_event_when_it_is_sent(tmp_path: Path, asked: str | None) -> None:
    answers: list[Response] = []
    async with serving(tmp_path) as service, async_playwright() as playwright:
        gate = f"compressed {asked}"
        execution = await service.start("gated", state={"gate": gate})
        await gates[gate].reached.wait()
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(QUIET))
        headers = {} if asked is None else {"Accept-Encoding": asked}
        context = await browser.new_context(bypass_csp=True, extra_http_headers=headers)
        page = await context.new_page()
        page.on("response", lambda answer: answers.append(answer) if "/events" in answer.url else None)
        await page.goto(f"http://127.0.0.1:{service.port}/health/live")

        await page.evaluate(FOLLOW, f"/executions/{execution}/events?heartbeat=1&heartbeat_event=1")
        await page.wait_for_function("seen.includes('heartbeat')")
        gates[gate].opened.set()
        await page.wait_for_function("seen.includes('stream_end')")
        seen = await page.evaluate("seen.filter((type) => type !== 'heartbeat')")
        await browser.close()

    assert seen == ["node_started", "node_completed", "stream_end"]
    assert [answer.headers["content-encoding"] for answer in answers] == [asked or "gzip"]
