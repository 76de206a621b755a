"""Tables of figures outside of the page of performance: they repeat it, by the names of its rows."""

import re
from pathlib import Path
from typing import Final

from tests.docs.tables import REFERENCE

_TABLE: Final = re.compile(r"(?<=\| measured \|\n\| --- \| --- \|\n)(?:\|.*\n)+")


def with_figures(page: Path) -> str:
    """Return a page whose tables of what was measured have the newest figures.

    Raises:
        KeyError: A row has no counterpart in the page of performance.
    """
    reached = (REFERENCE / "performance.md").read_text(encoding="utf-8").partition("### Figures reached")[2]
    known = {label.strip(): figure.strip() for label, figure in re.findall(r"^\|([^|]*)\|([^|]*)\|", reached, re.M)}

    def newest(table: re.Match[str]) -> str:
        labels = [line.split("|")[1].strip() for line in table[0].splitlines()]
        return "".join(f"| {label} | {known[label]} |\n" for label in labels)

    return _TABLE.sub(newest, page.read_text(encoding="utf-8"))
