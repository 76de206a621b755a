"""Conditions of a list that are given as text: times, and what is searched for."""

import re
from datetime import datetime

from graphwire.errors import InvalidInput, Problem

_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+ -]\d\d:\d\d)", re.ASCII)


def read_moment(text: str | None, pointer: str) -> datetime | None:
    """Return the time in a text; None for none.

    Raises:
        InvalidInput: It is not as RFC 3339 has it, with its offset.
    """
    if text is None:
        return None
    try:
        # A query's "+" is a space where it was not escaped.
        moment = datetime.fromisoformat(text.replace(" ", "+")) if _RFC_3339.fullmatch(text) else None
    except ValueError:
        moment = None
    if moment is None:
        detail = "a time is written as in 2026-11-20T19:45:30Z, with its offset"
        raise InvalidInput(detail, [Problem(pointer, "invalid_value", detail)])
    return moment


def require_searchable(text: str | None, pointer: str) -> None:
    """Check a text to search for.

    Raises:
        InvalidInput: It has control characters.
    """
    if text is not None and not text.isprintable():
        detail = "a text to search for has no control characters"
        raise InvalidInput(detail, [Problem(pointer, "invalid_value", detail)])
