"""The documentation of the API in a real browser: each example runs with its button."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, async_playwright

from tests.live.serving import Service, serving

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")


@asynccontextmanager
async def opened(address: str) -> AsyncIterator[tuple[Page, list[str]]]:
    """Open a page, and note what it asks for elsewhere and what it complains of."""
    faults: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(QUIET))
        page = await browser.new_page()
        page.on("request", lambda request: None if request.url.startswith(address) else faults.append(request.url))
        page.on("pageerror", lambda error: faults.append(str(error)))
        await page.goto(f"{address}/docs")
        await page.wait_for_selector(".opblock")
        try:
            yield page, [fault for fault in faults if not fault.startswith("data:")]
        finally:
            await browser.close()


async def run_example(operation: Locator) -> tuple[str, str]:
    """Press the button of an operation as it stands; return the operation and the status that is shown."""
    method = await operation.locator(".opblock-summary-method").inner_text()
    path = await operation.locator(".opblock-summary-path").get_attribute("data-path")
    await operation.locator(".opblock-summary-control").click()
    await operation.locator("button.execute").click()
    status = operation.locator(".live-responses-table tbody .response-col_status").first
    await status.wait_for()
    shown = (await status.inner_text()).split()[0]
    await operation.locator(".opblock-summary-control").click()
    return f"{method} {path}", shown


async def statuses(service: Service) -> tuple[dict[str, str], list[str]]:
    async with opened(f"http://127.0.0.1:{service.port}") as (page, faults):
        # What is deleted comes last: the others are about it.
        kept, deleted = page.locator(".opblock:not(.opblock-delete)"), page.locator(".opblock-delete")
        found = [
            await run_example(operations.nth(index))
            for operations in (kept, deleted)
            for index in range(await operations.count())
        ]
    return dict(found), faults


@pytest.mark.needs("chromium")
async def test_each_example_of_the_documentation_runs_with_its_button(tmp_path: Path) -> None:
    async with serving(tmp_path, graphs=(EXAMPLES,), within_s=120.0) as service:
        await service.start("ticker", state={"count": 5_000})

        answered, faults = await statuses(service)

    assert len(answered) > 20
    assert {name: status for name, status in answered.items() if not status.startswith("2")} == {}
    assert faults == []
