"""The page of the API: nothing leaves the machine, and what an example cannot know is filled in."""

import asyncio
import re
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from app.api.schemas.examples import EXECUTION_ID, INPUTS
from tests.live.serving import Service, serving
from tests.live.test_documented_examples import paused
from tests.parts import ROOT

ASSETS = {"/docs/swagger-ui.css", "/docs/favicon.png", "/docs/swagger-ui-bundle.js", "/docs/start.js"}
INTERCEPT = """
let configured;
globalThis.SwaggerUIBundle = (options) => { configured = options; };
SwaggerUIBundle.presets = { apis: {} };
const base = process.argv[1];
const plain = globalThis.fetch;
globalThis.fetch = (address, options) => plain(base + address, options);
const script = await (await fetch("/docs/start.js")).text();
(0, eval)(script);
const { url, ...request } = await configured.requestInterceptor({ url: base + process.argv[2], headers: {} });
console.log(url.slice(base.length));
"""


async def test_the_page_loads_nothing_from_elsewhere(service: Service) -> None:
    page = await service.client.get("/docs")

    addresses = set(re.findall(r"(?:src|href)=\"([^\"]+)\"", page.text))
    assert addresses == ASSETS | {"/openapi.json", "/docs/websocket"}
    assert "//" not in page.text
    for address in addresses:
        asset = await service.client.get(address)
        assert asset.status_code == 200
        assert asset.headers["content-length"] != "0"
    styles = (await service.client.get("/docs/swagger-ui.css")).text
    assert not [each for each in re.findall(r"url\(\s*[\"']?([^)]{0,30})", styles) if not each.startswith("data:")]
    assert "@import" not in styles


async def test_a_browser_is_told_to_reach_no_other_host(service: Service) -> None:
    page = await service.client.get("/docs")
    script = (await service.client.get("/docs/start.js")).text

    policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == policy["script-src"] == "'self'"
    assert not [sources for sources in policy.values() if "http" in sources or "*" in sources]
    assert "<script>" not in page.text  # which the policy would stop
    assert "style=" not in page.text
    assert "validatorUrl: null" in script  # Swagger UI asks a foreign service for a badge otherwise


async def test_the_examples_of_the_description_and_of_the_script_name_the_same_execution(service: Service) -> None:
    script = (await service.client.get("/docs/start.js")).text
    described = (await service.client.get("/openapi.json")).text

    assert f'"{EXECUTION_ID}"' in script
    assert EXECUTION_ID in described


@pytest.mark.needs("node")
async def test_a_button_sends_an_example_to_an_execution_that_there_is(service: Service) -> None:
    example = f"/executions/{EXECUTION_ID}/events?limit=2"

    assert await intercepted(service, example) == example  # there is none yet
    ended = str((await service.run("chain"))["id"])
    assert await intercepted(service, example) == example.replace(EXECUTION_ID, ended)
    assert await intercepted(service, "/graphs/hello") == "/graphs/hello"


async def intercepted(service: Service, address: str) -> str:
    """Return where the page sends a request for an address."""
    base = f"http://127.0.0.1:{service.port}"
    command = ["node", "--input-type=module", "-e", INTERCEPT, base, address]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.capability("EVT-10")
async def test_every_event_of_the_examples_fits_the_published_schema(tmp_path: Path) -> None:
    seen: set[str] = set()
    async with serving(tmp_path, graphs=(ROOT / "examples",)) as shown:
        answer = await shown.client.get("/schemas/events")
        assert answer.headers["content-type"] == "application/schema+json"
        validator = jsonschema_rs.validator_for(answer.json())
        for graph in (await shown.client.get("/graphs")).json()["items"]:
            state: dict[str, Any] = {"count": 3, "interval_ms": 1} if graph["id"] == "ticker" else {}
            if graph["id"] == "code_census":
                state = {"folder": sysconfig.get_paths()["stdlib"] + "/json"}
            for detail in ("standard", "full"):
                execution = await shown.start(graph["id"], detail=detail, state=state)
                if graph["id"] == "approval":  # it asks, and waits
                    await paused(shown, execution)
                    answer = await shown.client.post(f"/executions/{execution}/input", json=INPUTS["answer"]["value"])
                    assert answer.status_code == 202
                for block in await shown.events(execution):
                    validator.validate(block.data)
                    seen.add(block["event"])
    assert seen >= {
        "node_suspended",
        "execution_paused",
        "node_started",
        "node_completed",
        "node_message",
        "data_flow",
        "state_changed",
        "stream_end",
    }


@pytest.mark.bad_input(57)
@pytest.mark.parametrize("path", ["/docs", "/docs/swagger-ui-bundle.js", "/client.js", "/schemas/events"])
async def test_a_range_of_many_parts_is_passed_over(service: Service, path: str) -> None:
    whole = await service.client.get(path)

    most = await service.client.get(path, headers={"Range": "bytes=" + ",".join(["0-1"] * 4_000)})
    more = await service.client.get(path, headers={"Range": "bytes=" + ",".join(["0-1"] * 10_000)})

    assert (most.status_code, most.content) == (200, whole.content)
    assert "content-range" not in most.headers
    assert (more.status_code, more.json()["code"]) == (431, "headers_too_large")
