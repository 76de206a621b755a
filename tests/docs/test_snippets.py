"""The Python in the README and in docs/ runs and prints what it says; definitions are valid, JSON is JSON."""

import ast
import asyncio
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from graphwire.graphs.documents import read_document
from graphwire.graphs.validation import check_value
from graphwire.nodes import builtin_registry
from tests.docs.blocks import PAGES, blocks, name


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


@pytest.mark.parametrize("page", with_snippets("python"), ids=name)
def test_python_of_a_page_runs_from_its_top_and_prints_what_it_says(
    page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names: dict[str, Any] = {"__name__": "snippet"}
    for snippet in snippets(page, "python"):
        code = compile(snippet, "snippet", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        waiting = eval(code, names)
        if inspect.iscoroutine(waiting):
            asyncio.run(waiting)

        assert capsys.readouterr().out.splitlines() == re.findall(r"^print\(.*\)  # (.*)$", snippet, re.M)


@pytest.mark.parametrize("definition", list(definitions()))
def test_definition_in_yaml_is_valid(definition: str) -> None:
    _, warnings = check_value(read_document(definition.encode(), "yaml").value, builtin_registry())

    assert warnings == ()


@pytest.mark.parametrize("page", with_snippets("json"), ids=name)
def test_json_is_json(page: Path) -> None:
    for snippet in snippets(page, "json"):
        json.loads(snippet)
