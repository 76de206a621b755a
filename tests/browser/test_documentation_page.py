"""The documentation of the API in a real browser: each example runs with its button."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Locator, Route

from tests.browser.chromium import opened
from tests.live.serving import Service, serving
from tests.live.test_documented_examples import paused
from tests.waiting import PATIENCE_S

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


LONG = ("ticker", {"state": {"count": 5_000}})
BREAKS: tuple[str, Any] = ("ticker", {"breakpoints": [{"node": "tick"}]})
PREPARED: Mapping[str, tuple[str, Any]] = {
    **dict.fromkeys(("POST cancel", "POST pause", "PUT breakpoints"), LONG),
    **dict.fromkeys(("POST resume", "POST step", "PATCH state"), BREAKS),
    "POST input": ("approval", {}),
}
"""What has to run as the newest execution, which examples are about, for these commands."""


@asynccontextmanager
async def prepared(service: Service, method: str, path: str) -> AsyncIterator[None]:
    """Start what an example needs; after the block the newest execution is one that has ended."""
    name = f"{method} {path.removeprefix('/executions/{execution_id}/')}"
    if name not in PREPARED:
        yield
        return
    graph, options = PREPARED[name]
    execution = await service.start(graph, **options)
    if PREPARED[name] is not LONG:
        await paused(service, execution)
    yield
    await service.client.post(f"/executions/{execution}/cancel")
    await service.run("ticker", state={"count": 2, "interval_ms": 1})


async def run_example(service: Service, operation: Locator) -> tuple[str, str]:
    """Press the button of an operation as it stands; return the operation and the status that is shown."""
    method = await operation.locator(".opblock-summary-method").inner_text()
    path = await operation.locator(".opblock-summary-path").get_attribute("data-path") or ""
    async with prepared(service, method, path):
        await operation.locator(".opblock-summary-control").click()
        await operation.locator("button.execute").click()
        status = operation.locator(".live-responses-table tbody .response-col_status").first
        await status.wait_for()
        shown = (await status.inner_text()).split()[0]
        await operation.locator(".opblock-summary-control").click()
    return f"{method} {path}", shown


async def without_answers(route: Route) -> None:
    """Describe of the answers only their types: to work out and draw the rest takes most of the time."""
    answer = await route.fetch()
    document = await answer.json()
    for methods in document["paths"].values():
        for operation in methods.values():
            responses = operation["responses"].items()
            operation["responses"] = {
                status: {"description": "", "content": {kind: {} for kind in each.get("content", ())}}
                for status, each in responses
                if status.startswith("2")
            }
    del document["components"]["responses"]
    await route.fulfill(response=answer, json=document)


async def statuses(service: Service) -> tuple[dict[str, str], list[str]]:
    async with opened(f"http://127.0.0.1:{service.port}", "/docs") as (page, faults):
        await page.wait_for_selector(".opblock")  # as it is
        await page.route("**/openapi.json", without_answers)
        await page.reload()
        await page.wait_for_selector(".opblock")
        # What is deleted comes last: the others are about it.
        kept = page.locator(
            ".opblock:not(.opblock-delete, [id^='operations-sockets-'])"
        )  # a page of their own has these
        deleted = page.locator(".opblock-delete")
        found = [
            await run_example(service, operations.nth(index))
            for operations in (kept, deleted)
            for index in range(await operations.count())
        ]
    return dict(found), faults


@pytest.mark.needs("chromium")
async def test_each_example_of_the_documentation_runs_with_its_button(tmp_path: Path) -> None:
    async with serving(tmp_path, graphs=(EXAMPLES,), within_s=3 * PATIENCE_S) as service:
        await service.start("ticker", state={"count": 5_000})

        answered, faults = await statuses(service)

    assert len(answered) > 20
    assert {name: status for name, status in answered.items() if not status.startswith("2")} == {}
    assert faults == []
