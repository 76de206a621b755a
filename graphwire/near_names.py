"""Names that are like each other: what was probably meant, and what looks the same."""

import unicodedata
from collections.abc import Collection
from difflib import get_close_matches
from typing import Final

from graphwire.errors import quoted

_COMPARISONS: Final = 20_000
_LENGTH_LIMIT: Final = 64


def near_name(name: str, known: Collection[str]) -> str | None:
    """Return the known name that is most like this one, if one is like it."""
    found = get_close_matches(name[:_LENGTH_LIMIT], known, n=1)
    return found[0] if found else None


def folded(text: str) -> str:
    """Return the same text for all texts that a reader may take for the same.

    Case, Unicode's compatible forms, white space and what cannot be seen make no difference.
    """
    alike = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    if not alike.isprintable():
        alike = "".join(character for character in alike if character.isprintable() or character.isspace())
    return " ".join(alike.split())


class NearNames:
    """Suggests names until so many comparisons (some 10 µs each) were made; a long list of problems needs no more."""

    def __init__(self, comparisons: int = _COMPARISONS) -> None:
        self._left = comparisons

    def __call__(self, name: str, known: Collection[str]) -> str:
        """Return the end of a sentence, ``; did you mean "…"?``, or ""."""
        self._left -= len(known)
        near = near_name(name, known) if self._left >= 0 else None
        return "" if near is None else f"; did you mean {quoted(near)}?"
