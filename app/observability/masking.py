"""What of a log line nobody is to see: secrets, found by their keys and by their text, however deep they lie."""

import json
import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any, Final

MASK: Final = "***"

_MAX_DEPTH: Final = 8
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_SECRET_WORDS: Final = frozenset(
    {"apikey", "authorization", "passwd", "password", "passwords", "secret", "secrets", "token"}
)


class Masking:
    """Makes plain values of what was logged, without secrets.

    Args:
        secrets: Texts to hide. Where one was escaped, as ``repr`` and JSON do, it is found too.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        found = {form for secret in secrets if secret for form in _forms(secret)}
        longest_first = sorted(found, key=len, reverse=True)
        self._secrets = re.compile("|".join(map(re.escape, longest_first))) if found else None

    def text(self, text: str) -> str:
        """Return a text without secrets."""
        return text if self._secrets is None else self._secrets.sub(MASK, text)

    def fields(self, fields: Mapping[Any, Any], depth: int = 0) -> dict[str, Any]:
        """Return named values without secrets, those in them too."""
        return {
            self.text(_text(key)): MASK if _names_secret(_text(key)) else self._value(value, depth)
            for key, value in fields.items()
        }

    def _value(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if value is None or kind is bool:
            return value
        if kind is str:
            return self.text(value)
        if kind is float or (kind is int and value.bit_length() <= 64):
            shown = str(value)
            return value if self.text(shown) == shown else MASK
        if depth < _MAX_DEPTH:
            if isinstance(value, Mapping):
                return self.fields(value, depth + 1)
            if isinstance(value, list | tuple | set | frozenset):
                return [self._value(item, depth + 1) for item in value]
        return self.text(_text(value))


def _text(value: Any) -> str:
    try:
        return str(value)
    except Exception as error:  # border: anything may be logged
        return f"(cannot be shown: {type(error).__name__})"


def _forms(secret: str) -> Iterable[str]:
    yield secret
    yield repr(secret)[1:-1]
    yield repr(f"'{secret}")[2:-1]  # in double quotes
    yield repr(f"'\"{secret}")[4:-1]  # in single ones, with an escape for each in it
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]


def _names_secret(key: str) -> bool:
    """Whether a word of a key says so: ``access_token`` and ``accessToken`` do, ``tokens_used`` does not."""
    words = [word.lower() for word in _WORD.findall(key)]
    pairs = [first + second for first, second in pairwise(words)]
    return not _SECRET_WORDS.isdisjoint([*words, *pairs])
