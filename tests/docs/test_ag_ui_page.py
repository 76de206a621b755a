"""The page about AG-UI: its programs print what it says, with the published packages, also over a line that is cut."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from tests import npm
from tests.browser.middle import between
from tests.docs.blocks import ROOT, blocks
from tests.live.serving import Service, serving

PAGE: Final = ROOT / "docs" / "how-to" / "connect-an-ag-ui-client.md"

pytestmark = pytest.mark.needs("node")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files of the page and the packages."""
    for block in blocks(PAGE):
        if block.file is not None:
            path = tmp_path / block.file
            path.parent.mkdir(exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
    (tmp_path / "node_modules").symlink_to(npm.modules())
    return tmp_path


@pytest_asyncio.fixture
async def service(folder: Path) -> AsyncIterator[Service]:
    async with serving(folder, graphs=(folder / "graphs",)) as running:
        yield running


async def printed(folder: Path, program: str, port: int, *arguments: str) -> str:
    path = folder / program
    path.write_text(path.read_text(encoding="utf-8").replace("127.0.0.1:8000", f"127.0.0.1:{port}"), encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        *npm.node(path), *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, complaints = await process.communicate()
    assert (process.returncode, complaints.decode()) == (0, "")
    return out.decode()


async def test_the_program_prints_what_the_page_says(folder: Path, service: Service) -> None:
    (said,) = re.findall(r"^```text\n(\[.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)

    assert await printed(folder, "run.mjs", service.port) == said


async def test_a_run_outlives_its_connections(folder: Path, service: Service) -> None:
    async with between(service.port) as middle:
        middle.cuts = iter((600, 600, 700, 700))
        answer = await printed(folder, "steady.mjs", middle.port)

    assert answer == "I read about tea for you.\n"
    assert middle.cut >= 3
    (listed,) = (await service.client.get("/executions")).json()["items"]
    assert listed["graph_id"] == "assistant"


async def test_a_client_joins_a_run(folder: Path, service: Service) -> None:
    execution = (await service.run("assistant"))["id"]

    assert await printed(folder, "join.mjs", service.port, execution, "9") == "tea 0\n"
