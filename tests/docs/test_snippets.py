"""The code in the README and in docs/ runs, and prints what it says; definitions are valid."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from graphwire.graphs.documents import read_document
from graphwire.graphs.validation import check_value
from graphwire.nodes import builtin_registry

ROOT = Path(__file__).resolve().parent.parent.parent


def snippets(language: str = "python") -> Iterator[str]:
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        yield from re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S)


@pytest.mark.parametrize("snippet", list(snippets()))
def test_snippet_runs_and_prints_what_it_says(snippet: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(snippet, "snippet", "exec"), {"__name__": "snippet"})

    assert capsys.readouterr().out.splitlines() == re.findall(r"^print\(.*\)  # (.*)$", snippet, re.M)


@pytest.mark.parametrize("snippet", [each for each in snippets("yaml") if re.search("^nodes:", each, re.M)])
def test_definition_in_yaml_is_valid(snippet: str) -> None:
    _, warnings = check_value(read_document(snippet.encode(), "yaml").value, builtin_registry())

    assert warnings == ()
