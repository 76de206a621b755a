"""What the README and docs/ say to type works, typed from the top to the bottom, and shows what they say."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.docs.blocks import PAGES, ROOT, Block, blocks, name
from tests.docs.terminal import Terminal, free_port, terminal
from tests.docs.transcript import Command, agrees, commands
from tests.waiting import PATIENCE_S

SHELLS: Final = frozenset({"sh", "console"})
SERVERS: Final = re.compile(r"^(?:\w+=\S+ )*(?:make run|graphwire serve)\b.*", re.M)
CLONE: Final = re.compile(r"^git clone .* (\w+)$", re.M)
NOT_HERE: Final = re.compile(
    r"^(?:\$ )?(?:sudo|docker|GRAPHWIRE_API_KEY=\S+ docker|systemctl|psql|pg_dump|make test)\b", re.M
)
HOSTS: Final = {"server:8000": "127.0.0.1:8000"}


def typed(page: Path) -> list[Block]:
    """Return the blocks that a reader types: commands and files."""
    return [block for block in blocks(page) if block.language in SHELLS or block.file]


def save(path: Path, text: str) -> None:
    """Save a file as an editor does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


class Reader:
    """Somebody who types what a page says."""

    def __init__(self, at: Terminal, port: int, folder: Path) -> None:
        self._at = at
        self._port = str(port)
        self._folder = folder

    async def follow(self, block: Block) -> None:
        """Do what a block says, and see what it shows."""
        if block.file:
            _, folder = await self._at.run("pwd")
            save(Path(folder.strip(), block.file), block.text)
        elif NOT_HERE.search(block.text):
            return
        elif block.language == "console":
            for command in commands(block.text):
                await self._see(command)
        else:
            await self._type(block.text)

    async def _see(self, command: Command) -> None:
        shown = await self._output(command.text)
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        while not agrees(command.expected, shown) and command.only_looks:
            if asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(0.1)  # a server notices changed files by itself, and tells nobody here
            shown = await self._output(command.text)
        if not agrees(command.expected, shown):
            pytest.fail(f"$ {command.text}\nshows\n{shown}\ninstead of\n{command.expected}", pytrace=False)

    async def _type(self, text: str) -> None:
        server = SERVERS.search(text)
        before, after = (text, "") if server is None else (text[: server.start()], text[server.end() :])
        for part in (before, after):
            if server is not None and part is after:
                await self._serve(server[0])
            if part.strip():
                status, shown = await self._at.run(self._here(part))
                assert status == 0, f"{part}\nended with {status}:\n{shown}"

    async def _output(self, text: str) -> str:
        if SERVERS.match(text):
            return await self._serve(text)
        await self._serve_for(text)
        _, shown = await self._at.run(self._here(text))
        return shown.replace(self._port, "8000")

    async def _serve(self, text: str) -> str:
        shown = await self._at.serve(text)
        assert "serves at" in shown, shown
        return shown.replace(self._port, "8000")

    async def _serve_for(self, text: str) -> None:
        if ":8000" in text and not self._at.is_serving:
            await self._serve("graphwire serve --graphs examples")

    def _here(self, text: str) -> str:
        for host, address in HOSTS.items():
            text = text.replace(host, address)
        return CLONE.sub(rf"cp -R '{self._folder}/.checkout' \1", text).replace("8000", self._port)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder for a reader, with examples/ and what a clone of the repository would hold."""
    copy = tmp_path / ".checkout"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True
    )
    names = [each for each in listed.stdout.decode().split("\0") if each and (ROOT / each).is_file()]
    assert names, "the tests of the pages need the repository's list of files"
    for each in names:
        if not each.startswith("tests/"):
            (copy / each).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / each, copy / each)
    (copy / ".venv").mkdir()
    (copy / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    (copy / ".venv" / "installed-run").touch()  # newer than pyproject.toml: nothing is installed from this copy
    shutil.copytree(copy / "examples", tmp_path / "examples")
    return tmp_path


def surroundings(folder: Path, port: int) -> Mapping[str, str]:
    """Return the environment of a reader: this one's, without the settings of a service."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("GRAPHWIRE_", "XDG_", "PYTEST"))}
    return kept | {
        "HOME": str(folder),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PORT": str(port),
        "GRAPHWIRE_PORT": str(port),
        "REPOSITORY": str(folder / ".checkout"),
        "PYTEST_ADDOPTS": "-p no:asyncio",  # which a reader need not have, and which speaks up unasked
    }


@pytest.mark.needs("curl")
@pytest.mark.parametrize("page", [page for page in PAGES if typed(page)], ids=name)
async def test_page_works_as_it_is_typed(page: Path, checkout: Path) -> None:
    port = free_port()
    begin = checkout / ".checkout" if page.name == "README.md" else checkout
    async with terminal(begin, surroundings(checkout, port)) as opened:
        reader = Reader(opened, port, checkout)
        for block in typed(page):
            await reader.follow(block)
