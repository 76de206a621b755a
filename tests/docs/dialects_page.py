"""The page with the frames of each dialect: two executions, told in each of them."""

from typing import Final

from tests.docs.tables import REFERENCE
from tests.transports.stories import ALL, FAILS, GOES_ON, told

PAGE = REFERENCE / "dialects.md"

_HEAD: Final = """\
# Dialects

Written from the code by `make docs`; a test compares the two.

What a dialect is, how it is asked for, and what its frames mean: [the wire](wire.md#dialects).
A running service has their JSON Schemas at `/schemas/events`, under `$defs`.

The same two executions in each of them, a frame a line.
The first succeeds, though one of its nodes fails (`on_error: continue`); the second is ended by a failure.
"""
_JOINED: Final = """
Who joins the first one behind event 7 (`after=7`):
"""


def page() -> str:
    """Return the page as it has to be."""
    return _HEAD + "".join(map(_section, ALL))


def _section(dialect: str) -> str:
    parts = [f"\n## `{dialect}`\n", _block(dialect), _block(dialect, fails=True)]
    if dialect in ("editor", "ag-ui"):
        parts += [_JOINED, _block(dialect, after=7)]
    return "".join(parts)


def _block(dialect: str, *, fails: bool = False, after: int | None = None) -> str:
    lines = [frame.line.decode() for frame in told(dialect, FAILS if fails else GOES_ON, after=after)]
    return "\n```text\n" + "\n".join(lines) + "\n```\n"
