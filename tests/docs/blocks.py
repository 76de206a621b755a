"""The code in the README and in docs/, block by block."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent.parent
PAGES: Final = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))

_FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
_FILE = re.compile(r"(?:# |// |<!-- )([\w./-]+\.\w+)(?: -->)?\n")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block.

    Attributes:
        file: The name of the file that it shows, if its first line is a comment with one.
        line: Where its text begins in the page, from 1.
    """

    language: str
    text: str
    file: str | None
    line: int


def blocks(page: Path) -> Iterator[Block]:
    """Give the blocks of a page in their order."""
    text = page.read_text(encoding="utf-8")
    for found in _FENCED.finditer(text):
        language, body = found.groups()
        named = _FILE.match(body)
        yield Block(language, body, named and named[1], text.count("\n", 0, found.start(2)) + 1)


def name(page: Path) -> str:
    """Return how a page is named in the report of a test."""
    return page.relative_to(ROOT).as_posix()
