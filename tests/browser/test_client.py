"""The client for browsers, in a browser: every event once and in order, whatever stands in between."""

import gzip
import os
import random
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
from playwright.async_api import Page, WebSocket

from tests import npm
from tests.browser.chromium import opened
from tests.browser.history import stored
from tests.browser.middle import Refusal, asks_for_nothing, asks_for_socket, asks_for_stream, between
from tests.live.serving import Service, serving
from tests.parts import ROOT

CLIENT: Final = ROOT / "app" / "api" / "pages" / "client.js"

RUN: Final = """async ({graph, request, transport, options}) => {
  const { Graphwire } = await import("/client.js");
  const service = new Graphwire(undefined, { transport, baseMs: 10, capMs: 50, ...options });
  const statuses = [];
  const stream = service.run(graph, request, { onStatus: (status) => statuses.push(status) });
  const events = [];
  for await (const event of stream) events.push(event);
  return { execution: stream.executionId, events, statuses: statuses.map(({ name, transport }) => transport ?? name) };
}"""
KEY: Final = "0123456789abcdef0123456789abcdef"
TICKS: Final = 300
CUTS: Final = 20


@pytest_asyncio.fixture
async def shown(tmp_path: Path) -> AsyncIterator[Service]:
    """A service with the example graphs."""
    async with serving(tmp_path, graphs=(ROOT / "examples",), drain_s=1.0) as running:
        yield running


async def run(page: Page, transport: str, **options: Any) -> dict[str, Any]:
    """Run a graph in the page, which takes a second, and return what its client saw."""
    request = {"state": {"count": TICKS, "interval_ms": 5}}
    arguments = {"graph": "ticker", "request": request, "transport": transport, "options": options}
    return dict(await page.evaluate(RUN, arguments))


def places(chance: random.Random) -> Iterator[int]:
    """Draw where connections are cut: in heads, in the first frames, and far behind."""
    while True:
        yield chance.randint(1, chance.choice((300, 600, 1_200)))


@pytest.mark.needs("chromium")
@pytest.mark.capability("CLN-06")
@pytest.mark.parametrize("transport", ["websocket", "sse", "poll"])
async def test_stream_that_is_cut_anywhere_twenty_times_is_whole(shown: Service, transport: str) -> None:
    async with between(shown.port) as middle, opened(f"http://127.0.0.1:{middle.port}", "/") as (page, faults):
        await page.evaluate("import('/client.js')")
        middle.cuts, middle.most = places(random.Random(7)), CUTS

        seen = await run(page, transport)

    assert middle.cut == CUTS
    assert seen["events"] == await stored(shown, seen["execution"])
    assert [event["seq"] for event in seen["events"]] == list(range(1, len(seen["events"]) + 1))
    assert len(seen["events"]) > TICKS
    assert (seen["statuses"][0], seen["statuses"][-1]) == ("connecting", "ended")
    assert faults == []


@pytest.mark.needs("chromium")
@pytest.mark.capability("POL-04")
@pytest.mark.parametrize(
    ("refused", "taken"), [(asks_for_nothing, "websocket"), (asks_for_socket, "sse"), (asks_for_stream, "poll")]
)
async def test_where_a_transport_does_not_get_through_the_next_one_is_taken(
    shown: Service, refused: Refusal, taken: str
) -> None:
    async with between(shown.port) as middle, opened(f"http://127.0.0.1:{middle.port}", "/") as (page, _):
        middle.refuses = refused

        seen = await run(page, "auto")

    assert bool(middle.refused) == (taken != "websocket")
    assert seen["statuses"] == ["connecting", taken, "ended"]
    assert seen["events"] == await stored(shown, seen["execution"])


@pytest.mark.needs("chromium")
@pytest.mark.capability("CLN-06")
async def test_cleaning_up_aborts_the_request_and_the_execution_goes_on(shown: Service) -> None:
    async with opened(f"http://127.0.0.1:{shown.port}", "/") as (page, faults):
        async with page.expect_event("requestfailed") as aborted:
            execution = await page.evaluate("""async () => {
                const { streamExecuteGraph } = await import("/client.js");
                return new Promise((resolve) => {
                    const request = { state: { count: 100_000, interval_ms: 10 } };
                    const cleanup = streamExecuteGraph("ticker", request, ({ execution_id }) => {
                        cleanup();
                        resolve(execution_id);
                    }, console.error, { transport: "sse" });
                });
            }""")

        assert (await aborted.value).url.endswith(f"/executions/{execution}/events?after=0&heartbeat=15")
        assert faults == []
        assert (await shown.client.get(f"/executions/{execution}")).json()["status"] == "running"


@pytest.mark.needs("node")
@pytest.mark.capability("CLN-07")
def test_what_needs_no_service(tmp_path: Path) -> None:
    shutil.copy(CLIENT, tmp_path / "client.mjs")  # Node.js takes a .js file for a module only where a package says so
    command = npm.node("--test", ROOT / "tests" / "browser" / "client.test.mjs")

    done = subprocess.run(
        command, env={**os.environ, "CLIENT": str(tmp_path / "client.mjs")}, capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 0, done.stdout


@pytest.mark.needs("node")
def test_its_types_are_as_they_are_said_to_be() -> None:
    options = "--allowJs --checkJs --noEmit --strict --target es2022 --module es2022 --lib es2022,dom,dom.asynciterable"
    command = npm.node(npm.modules() / "typescript" / "bin" / "tsc", *options.split(), CLIENT)

    checked = subprocess.run(command, cwd=npm.modules(), capture_output=True, text=True, timeout=120)

    assert (checked.returncode, checked.stdout) == (0, "")


def test_it_is_small() -> None:
    assert len(gzip.compress(CLIENT.read_bytes(), 9)) < 12 * 1024


@pytest.mark.needs("chromium")
@pytest.mark.parametrize("transport", ["websocket", "sse", "poll"])
async def test_a_key_goes_with_whatever_is_sent(tmp_path: Path, transport: str) -> None:
    async with (
        serving(tmp_path, graphs=(ROOT / "examples",), api_key=KEY) as service,
        opened(f"http://127.0.0.1:{service.port}", "/health/live") as (page, _),
    ):
        module = await service.client.get("/client.js", headers={"Authorization": f"Bearer {KEY}"})
        await page.add_script_tag(content=f"{module.text}\nwindow.Graphwire = Graphwire;", type="module")
        await page.wait_for_function("window.Graphwire !== undefined")
        types = await page.evaluate(
            """async ([apiKey, transport]) => {
                const service = new Graphwire(location.origin, { apiKey, transport });
                const seen = [];
                for await (const { type } of service.run("hello")) seen.push(type);
                return seen;
            }""",
            [KEY, transport],
        )

    assert (types[0], types[-1]) == ("execution_started", "stream_end")


@pytest.mark.needs("chromium")
async def test_streams_of_one_service_share_a_socket_which_ends_with_them(shown: Service) -> None:
    async with opened(f"http://127.0.0.1:{shown.port}", "/") as (page, _):
        sockets: list[WebSocket] = []
        page.on("websocket", lambda socket: sockets.append(socket))

        seen = await page.evaluate("""async () => {
            const { Graphwire } = await import("/client.js");
            const service = new Graphwire();
            const request = { state: { count: 1500, interval_ms: 0 } };
            const read = async (stream) => {
                const events = [];
                for await (const { seq } of stream) events.push(seq);
                return events;
            };
            const all = await Promise.all([1, 2, 3].map(() => read(service.run("ticker", request))));
            const { executionId, cursor } = await (async () => {
                const stream = service.run("hello");
                await read(stream);
                return stream;
            })();
            all.push(await read(service.follow(executionId, { after: cursor })));
            return all;
        }""")

        assert seen == [list(range(1, 1506))] * 3 + [[]]
        assert len(sockets) == 3  # of the three together, of the fourth, and of what came after its end
        for socket in sockets:
            if not socket.is_closed():
                await socket.wait_for_event("close")


FOLLOW_THE_SERVICE: Final = """async (transport) => {
  const { Graphwire } = await import("/client.js");
  const service = new Graphwire(undefined, { transport });
  await service.start("hello");
  const seen = [];
  for await (const { topic, seq } of service.events({ topics: ["execution.*"] })) {
    seen.push(topic);
    if (seen.length === 2) await service.start("hello");
    if (seen.length === 4) break;
  }
  return seen;
}"""


@pytest.mark.needs("chromium")
@pytest.mark.parametrize("transport", ["websocket", "sse", "poll"])
async def test_what_happens_in_the_service_is_followed(shown: Service, transport: str) -> None:
    async with opened(f"http://127.0.0.1:{shown.port}", "/") as (page, faults):
        seen = await page.evaluate(FOLLOW_THE_SERVICE, transport)

    assert seen == ["execution.started", "execution.completed"] * 2
    assert faults == []


@pytest.mark.needs("chromium")
@pytest.mark.capability("CLN-06", "CLN-07")
async def test_a_page_whose_network_goes_and_comes_back_goes_on_where_it_was(shown: Service) -> None:
    """The network of the browser itself, as when a laptop is closed: open connections break, new ones do not come."""
    async with between(shown.port) as middle, opened(f"http://127.0.0.1:{middle.port}", "/") as (page, _):
        await page.evaluate("""async () => {
            const { Graphwire } = await import("/client.js");
            window.events = [];
            window.statuses = [];
            const options = { onEvent: (event) => events.push(event), onStatus: ({ name }) => statuses.push(name) };
            window.stream = new Graphwire(undefined, { baseMs: 20, capMs: 100 }).run(
                "ticker", { state: { count: 200, interval_ms: 10 } }, options);
        }""")
        await page.wait_for_function("events.length > 20")

        await page.context.set_offline(True)
        await middle.stop()
        await page.wait_for_function("statuses.filter((name) => name === 'reconnecting').length > 2")
        missed = await page.evaluate("events.length")
        await page.context.set_offline(False)
        await page.wait_for_function("statuses.at(-1) === 'ended'")

        events = await page.evaluate("events")
        assert events == await stored(shown, await page.evaluate("stream.executionId"))
        assert 20 < missed < len(events)
        assert (await page.evaluate("statuses"))[:3] == ["connecting", "live", "reconnecting"]
