"""The Python in the README and in docs/ runs and prints what it says; definitions are valid, JSON is JSON."""

import ast
import asyncio
import inspect
import json
import re
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from graphwire.graphs.documents import read_document
from graphwire.graphs.validation import check
from graphwire.nodes import builtin_registry
from tests.docs.blocks import PAGES, ROOT, blocks, name
from tests.live.serving import serving

ADDRESS = "127.0.0.1:8000"
"""Where a reader's service is."""


def snippets(page: Path, language: str) -> list[str]:
    """Return the blocks of a language that are no file of the reader's."""
    return [block.text for block in blocks(page) if block.language == language and block.file is None]


def with_snippets(language: str) -> list[Path]:
    return [page for page in PAGES if snippets(page, language)]


def definitions() -> Iterator[str]:
    for page in PAGES:
        yield from (
            block.text for block in blocks(page) if block.language == "yaml" and re.search("^nodes:", block.text, re.M)
        )


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The address of a service with the example graphs, in a thread of its own."""
    ready: Future[tuple[str, asyncio.AbstractEventLoop]] = Future()
    over = asyncio.Event()

    async def serve() -> None:
        async with serving(tmp_path, graphs=(ROOT / "examples",)) as service:
            ready.set_result((f"127.0.0.1:{service.port}", asyncio.get_running_loop()))
            await over.wait()

    thread = Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    address, loop = ready.result(timeout=30)
    yield address
    loop.call_soon_threadsafe(over.set)
    thread.join()


@pytest.mark.parametrize("page", with_snippets("python"), ids=name)
def test_python_of_a_page_runs_from_its_top_and_prints_what_it_says(
    page: Path,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "snippet"}
    texts = snippets(page, "python")
    address = request.getfixturevalue("served") if any(ADDRESS in text for text in texts) else ADDRESS
    for snippet in texts:
        code = compile(snippet.replace(ADDRESS, address), "snippet", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        waiting = eval(code, names)
        if inspect.iscoroutine(waiting):
            asyncio.run(waiting)

        assert capsys.readouterr().out.splitlines() == re.findall(r"^print\(.*\)  # (.*)$", snippet, re.M)


@pytest.mark.parametrize("definition", list(definitions()))
def test_definition_in_yaml_is_valid(definition: str) -> None:
    _, warnings = check(read_document(definition.encode(), "yaml").value, builtin_registry())

    assert warnings == ()


@pytest.mark.parametrize("page", with_snippets("json"), ids=name)
def test_json_is_json(page: Path) -> None:
    for snippet in snippets(page, "json"):
        json.loads(snippet)
