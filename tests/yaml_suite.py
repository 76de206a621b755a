"""The cases of the YAML test suite (yaml/yaml-test-suite)."""

import json
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_SIGNS = {"␣": " ", "↵": "", "←": "\r", "⇔": "\ufeff"}  # how the suite writes what cannot be seen


@dataclass(frozen=True)
class Case:
    """A text, and what it stands for. ``values`` is None where the suite gives no JSON for it."""

    name: str
    text: str
    is_valid: bool
    values: list[Any] | None


def cases(archive: Path) -> Iterator[Case]:
    """Give every case; the later ones of a file inherit what they do not say from the first."""
    with tarfile.open(archive) as files:
        for member in files:
            if re.fullmatch(r"src/\w{4}\.yaml", member.name) is None:
                continue
            file = files.extractfile(member)
            assert file is not None
            fields: dict[str, Any] = {}
            for number, each in enumerate(yaml.load(file.read(), Loader=yaml.BaseLoader)):
                fields.update(each)
                name = f"{member.name[4:8]}-{number}"
                yield Case(name, _text(fields["yaml"]), fields.get("fail") != "true", _values(fields.get("json")))


def _text(written: str) -> str:
    for sign, character in _SIGNS.items():
        written = written.replace(sign, character)
    return re.sub("∎\n$", "", re.sub("—*»", "\t", written))


def _values(text: str | None) -> list[Any] | None:
    if text is None:
        return None
    values, rest = [], text.strip()
    while rest:
        try:
            value, end = json.JSONDecoder().raw_decode(rest)
        except ValueError:
            return None
        values.append(value)
        rest = rest[end:].strip()
    return values
