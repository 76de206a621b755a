"""The page of the WebSocket in a real browser: each method can be tried by its button."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from app.api.methods import METHODS
from tests.browser.chromium import opened
from tests.live.serving import Service, serving
from tests.live.test_documented_examples import paused
from tests.live.test_socket_description import PREPARED
from tests.parts import ROOT

KEY = "0123456789abcdef0123456789abcdef"
FIRST = ["execution.subscribe", "execution.filter", "stream.credit", "execution.unsubscribe", "execution.cancel"]
NOT_YET = {method.name for method in METHODS.values() if not method.is_available}


@pytest_asyncio.fixture
async def shown(tmp_path: Path) -> AsyncIterator[Service]:
    """A service with the example graphs."""
    async with serving(tmp_path, graphs=(ROOT / "examples",)) as running:
        yield running


async def try_out(page: Page, method: str) -> str:
    """Choose a method, send its message as it stands, and return the line of its reply."""
    await page.locator(f"#methods summary code:text-is('{method}')").click()
    await page.get_by_role("button", name=f"Choose {method}", exact=True).click()
    await page.wait_for_function('name => message.value.includes(`"${name}"`)', arg=method)
    number = await page.evaluate("JSON.parse(message.value).id")
    await page.get_by_role("button", name="Send").click()
    reply = page.locator("#log summary code", has_text=f"{number}: ").nth(1)
    await reply.wait_for()
    return await reply.inner_text()


@pytest.mark.needs("chromium")
async def test_each_method_can_be_tried_by_its_button(shown: Service) -> None:
    await shown.start("ticker", state={"count": 100_000})
    async with opened(f"http://127.0.0.1:{shown.port}", "/docs/websocket") as (page, faults):
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        await page.get_by_role("button", name="Connect").click()
        await expect(page.locator("#state")).to_have_text("connected to /ws")

        replies = {}
        for method in [*FIRST, *(METHODS.keys() - FIRST)]:
            # A page sends what names an execution to the newest one.
            graph, options = PREPARED.get(method, ("", {}))
            if method == "execution.retry":
                await shown.run(graph, **options)  # it fails
            elif graph:
                await paused(shown, await shown.start(graph, **options))
            elif method == "execution.pause":
                await shown.start("ticker", state={"count": 100_000})
            replies[method] = await try_out(page, method)
        await page.get_by_role("button", name="Disconnect").click()
        await expect(page.locator("#state")).to_contain_text("closed with 1000")

    refused = {method for method, reply in replies.items() if "error" in reply}
    assert refused == NOT_YET
    assert all("-32000 not_available" in replies[method] for method in refused)
    assert faults == []


@pytest.mark.needs("chromium")
async def test_an_execution_can_be_watched_to_its_end(shown: Service) -> None:
    execution = str((await shown.run("ticker", state={"count": 3, "interval_ms": 1}))["id"])
    async with opened(f"http://127.0.0.1:{shown.port}", "/docs/websocket") as (page, faults):
        await page.get_by_label("Address").select_option("/executions/{execution_id}/ws")
        await expect(page.get_by_role("textbox", name="execution_id")).to_have_value(execution)
        await page.get_by_role("button", name="Connect").click()
        await expect(page.locator("#state")).to_contain_text("closed with 1000")
        lines = await page.locator("#log summary code").all_inner_texts()

    assert lines[0] == "s1 1 execution_started"
    assert lines[-1].endswith("stream_end")
    assert faults == []


@pytest.mark.needs("chromium")
async def test_what_is_no_json_is_not_sent(shown: Service) -> None:
    async with opened(f"http://127.0.0.1:{shown.port}", "/docs/websocket") as (page, _):
        await page.get_by_role("button", name="Connect").click()
        await expect(page.locator("#state")).to_have_text("connected to /ws")
        await page.get_by_role("textbox", name="Message").fill("{")
        await page.get_by_role("button", name="Send").click()

        await expect(page.locator("#fault")).to_contain_text("Nothing was sent")
        assert await page.locator("#log li").count() == 0


@pytest.mark.needs("chromium")
async def test_who_has_logged_in_can_try_it_too(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, api_key=KEY) as service,
        opened(f"http://127.0.0.1:{service.port}", "/docs/websocket", key=KEY) as (page, _),
    ):
        await page.get_by_role("button", name="Connect").click()

        await expect(page.locator("#state")).to_have_text("connected to /ws")
