"""The pages in docs/ work in a real browser, from another origin that the service was told."""

import asyncio
import contextlib
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest

from tests.docs.blocks import ROOT, blocks
from tests.live.serving import Service, serving
from tests.waiting import PATIENCE_S

PAGE: Final = ROOT / "docs" / "how-to" / "watch-from-a-browser.md"
TELL: Final = """
<script>
new MutationObserver(() => {
  const items = [...document.querySelectorAll("#events li")].map((item) => item.textContent);
  if (items.at(-1).startsWith("stream_end")) fetch("/seen", {method: "POST", body: JSON.stringify(items)});
}).observe(document.querySelector("#events"), {childList: true});
</script>
"""


def document(file: str) -> str:
    (found,) = [block.text for block in blocks(PAGE) if block.file == file]
    return found


class Site:
    """A site of another origin: it has one page, and hears what that shows."""

    def __init__(self) -> None:
        self.html = ""
        self.seen: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        body = self.html.encode() if head.startswith("get /page.html ") else b""
        if head.startswith("post /seen "):
            length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
            self.seen.set_result(json.loads(await reader.readexactly(length)))
        head = "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nConnection: close\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def browser(address: str, profile: Path) -> AsyncIterator[None]:
    """Open a page in Chromium for as long as the block lasts."""
    process = await asyncio.create_subprocess_exec(
        shutil.which("chromium") or "chromium",
        *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
        *(f"--user-data-dir={profile}", "--remote-debugging-port=0", address),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


async def shown(service: Service, site: Site, address: str, file: str, profile: Path) -> list[str]:
    """Return what a page shows when the stream is at its end."""
    text = document(file).replace("127.0.0.1:8000", f"127.0.0.1:{service.port}")
    site.html = text.replace("</ol>", "</ol>" + TELL)
    async with asyncio.timeout(PATIENCE_S), browser(address, profile):
        return await site.seen


@pytest.mark.needs("chromium")
@pytest.mark.parametrize("file", ["watch.html", "follow.html", "lines.html"])
async def test_page_shows_a_run_to_its_end(file: str, tmp_path: Path) -> None:
    site = Site()
    server = await asyncio.start_server(site.answer, "127.0.0.1", 0)
    origin = f"http://localhost:{server.sockets[0].getsockname()[1]}"

    async with server, serving(tmp_path, graphs=(ROOT / "examples",), cors_origins=(origin,)) as service:
        items = await shown(service, site, f"{origin}/page.html", file, tmp_path / "profile")

    if file == "watch.html":
        assert items[0] == "execution_started"
        assert "node_started charge_card" in items
        assert "node_failed charge_card" not in items
    else:
        assert items[-1] == 'stream_end "completed"'
        assert sum(item.startswith("node_message") for item in items) == 20
