"""The documentation of the API in a real browser: each example runs with its button."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
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
FAILS: tuple[str, Any] = ("ticker", {"state": {"count": -1}})
PREPARED: Mapping[str, tuple[str, Any]] = {
    **dict.fromkeys(("POST cancel", "POST pause", "PUT breakpoints"), LONG),
    **dict.fromkeys(("POST resume", "POST step", "PATCH state"), BREAKS),
    "POST input": ("approval", {}),
    "POST retry": FAILS,
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
    if PREPARED[name] is FAILS:
        await service.run(graph, **options)
        yield
        return
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


async def shortened(route: Route, of_executions: bool) -> None:
    """Describe a part of the operations, and of their answers only the types: the rest takes most of the time."""
    answer = await route.fetch()
    document = await answer.json()
    paths = document["paths"].items()
    document["paths"] = {path: each for path, each in paths if path.startswith("/executions") is of_executions}
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


async def statuses(service: Service, of_executions: bool) -> tuple[dict[str, str], list[str]]:
    async with opened(f"http://127.0.0.1:{service.port}", "/docs") as (page, faults):
        await page.wait_for_selector(".opblock")  # as it is
        await page.route("**/openapi.json", partial(shortened, of_executions=of_executions))
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
@pytest.mark.parametrize("of_executions", [True, False], ids=["executions", "all else"])
async def test_each_example_of_the_documentation_runs_with_its_button(tmp_path: Path, of_executions: bool) -> None:
    async with serving(tmp_path, graphs=(EXAMPLES,), within_s=3 * PATIENCE_S) as service:
        await service.start("ticker", state={"count": 5_000})
        await service.run("ticker", state={"count": 2, "interval_ms": 1})

        answered, faults = await statuses(service, of_executions)

    assert len(answered) > 10
    assert {name: status for name, status in answered.items() if not status.startswith("2")} == {}
    assert faults == []
