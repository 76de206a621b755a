"""Where a position is in a text for people: its line and its column, by the line ends that editors know."""

import re
from typing import Final

LINE_END: Final = re.compile("\r\n?|\n")


def line_and_column(text: str, position: int) -> tuple[int, int]:
    """Return line and column of a position, both from 1. The end of the text is behind its last character."""
    if text.startswith("\r\n", position - 1) and position > 0:
        line, column = line_and_column(text, position - 1)  # between the two there is no line end
        return line, column + 1
    ends = text.count("\n", 0, position) + text.count("\r", 0, position) - text.count("\r\n", 0, position)
    return ends + 1, position - max(text.rfind("\n", 0, position), text.rfind("\r", 0, position))
