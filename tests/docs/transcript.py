"""What a page says that a terminal shows, against what it does show."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

LEFT_OUT: Final = "…"
"""In an expected line: any text. Alone in it: any lines."""
_DIFFERS_EACH_TIME: Final = (
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "<id>"),
    (re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)"), "<time>"),
    (re.compile(r'("(?:duration_ms|mono_ns|eta_s)": ?)[\d.]+'), r"\1<number>"),
    (re.compile(r"^(retry: )\d+$", re.M), r"\1<number>"),
    (re.compile(r"(?:(?<=in )|(?<=after ))[\d.]+ m?s\b"), "<duration>"),
    (re.compile(r"^ *\d+\.\d{3}  ", re.M), "<elapsed>"),
)


@dataclass(frozen=True, slots=True)
class Command:
    """A command, and the output that the page shows below it."""

    text: str
    expected: str

    @property
    def only_looks(self) -> bool:
        """It changes nothing, so it can be repeated until what it looks at is there."""
        return self.text.startswith("curl ") and not any(f" -{option}" in self.text for option in "Xd")


def commands(block: str) -> Iterator[Command]:
    """Take a session apart: each command is behind ``$``, and goes on behind ``>``."""
    for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
        lines = part.splitlines(keepends=True)
        length = next((n for n, line in enumerate(lines[1:], 1) if not line.startswith("> ")), len(lines))
        text = "".join(line.removeprefix("> ") for line in lines[:length]).rstrip("\n")
        yield Command(text, "".join(lines[length:]))


def agrees(expected: str, shown: str) -> bool:
    """Return whether a terminal showed what was expected, but for ids, times, and what was left out."""
    pattern = "".join(map(_pattern, _lines(expected)))
    return re.fullmatch(pattern, "".join(line + "\n" for line in _lines(shown))) is not None


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in _masked(text).strip().splitlines()]


def _pattern(line: str) -> str:
    if line == LEFT_OUT:
        return r"(?:.*\n)*?"
    return ".*".join(re.escape(part) for part in line.split(LEFT_OUT)) + "\n"


def _masked(text: str) -> str:
    for pattern, mask in _DIFFERS_EACH_TIME:
        text = pattern.sub(mask, text)
    return text
