"""A page in Chromium."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from playwright.async_api import HttpCredentials, Page, async_playwright

from tests.waiting import PATIENCE_S

QUIET: Final = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")


@asynccontextmanager
async def opened(address: str, path: str, *, key: str | None = None) -> AsyncIterator[tuple[Page, list[str]]]:
    """Open a page of a service, and note what it asks for elsewhere and what it complains of.

    Args:
        key: With it the browser logs in, where it is asked to.
    """
    faults: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(QUIET))
        login: HttpCredentials | None = None if key is None else {"username": "any", "password": key}
        page = await browser.new_page(http_credentials=login)
        page.set_default_timeout(PATIENCE_S * 1_000)
        page.on("request", lambda request: None if _is_own(request.url, address) else faults.append(request.url))
        page.on("pageerror", lambda error: faults.append(str(error)))
        await page.goto(f"{address}{path}")
        try:
            yield page, faults
        finally:
            await browser.close()


def _is_own(url: str, address: str) -> bool:
    return url.startswith((address, "data:"))
