"""Log lines for people: what comes from outside neither begins one nor speaks to the terminal."""

import json
from collections.abc import Mapping
from typing import Any, Final

BLOCKS: Final = ("stack", "exception")
"""What is written below a line, in lines of its own."""

_INDENT: Final = "    "


def printable(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return plain named values so that they can be printed in one line, with blocks below."""
    return {
        escaped(key): _block(str(value)) if key in BLOCKS else escaped(value) if isinstance(value, str) else value
        for key, value in fields.items()  # lists and the like are printed as ``repr`` does, which escapes
    }


def escaped(text: str) -> str:
    """Return a text in which an escape, as JSON has it, stands for each character that is none to print."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else json.dumps(c)[1:-1] if ord(c) > 0xFFFF else f"\\u{ord(c):04x}" for c in text
    )


def _block(text: str) -> str:
    return "\n".join(_INDENT + escaped(line) for line in text.split("\n"))
