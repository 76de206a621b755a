"""Writing JSON values as YAML that reads back as the same values, here and by readers of YAML 1.1."""

import re
from collections.abc import Iterator
from io import BytesIO
from typing import Any, Final

import yaml
from yaml import (
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

_DUMPER: Final[Any] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # only its emitter
_WIDTH: Final = 1_000_000  # of a line before it is folded; nothing is, so that a text is found as it was written
_ON_ONE_LINE: Final = 100  # characters of a list or mapping without inner ones
_PLAIN: Final = re.compile(r"[A-Za-z_](?:[A-Za-z0-9_./()<>=+*-]|(?<! ) (?! ))*+(?<![ ])")
_OTHERWISE_READ: Final = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})


def write_yaml(value: Any) -> bytes:
    """Write a JSON value, iteratively."""
    stream = BytesIO()
    yaml.emit(_events(value), stream, Dumper=_DUMPER, allow_unicode=True, width=_WIDTH, indent=2)
    return stream.getvalue()


def _events(value: Any) -> Iterator[Event]:
    yield StreamStartEvent(encoding="utf-8")
    yield DocumentStartEvent(explicit=False)
    waiting: list[Iterator[Any]] = [iter([value])]
    ends: list[Event] = [DocumentEndEvent(explicit=False)]
    while waiting:
        for item in waiting[-1]:
            if isinstance(item, dict):
                yield MappingStartEvent(None, None, True, flow_style=_is_short(item))
                waiting.append(part for member in item.items() for part in member)
                ends.append(MappingEndEvent())
                break
            if isinstance(item, list):
                yield SequenceStartEvent(None, None, True, flow_style=_is_short(item))
                waiting.append(iter(item))
                ends.append(SequenceEndEvent())
                break
            yield _scalar(item)
        else:
            waiting.pop()
            yield ends.pop()
    yield StreamEndEvent()


def _is_short(items: dict[str, Any] | list[Any]) -> bool:
    if len(items) > _ON_ONE_LINE // 4:
        return False
    parts = [*items, *items.values()] if isinstance(items, dict) else items
    if any(isinstance(part, dict | list) or (isinstance(part, str) and "\n" in part) for part in parts):
        return False
    return sum(len(str(part)) + 3 for part in parts) <= _ON_ONE_LINE


def _scalar(value: Any) -> ScalarEvent:
    match value:
        case str():
            style = _style(value)
            return ScalarEvent(None, None, (style == "", True), value, style=style or None)
        case None:
            text = "null"
        case bool():
            text = "true" if value else "false"
        case float():
            text = repr(value)
            if "." not in text:
                text = text.replace("e", ".0e")  # without the point it is a text to readers of 1.1
        case _:
            text = str(value)
    return ScalarEvent(None, None, (True, False), text)


def _style(text: str) -> str:
    if text.isascii() and _PLAIN.fullmatch(text) and text.lower() not in _OTHERWISE_READ:
        return ""
    if "\n" in text and _is_block(text):
        return "|"
    return "'" if '"' in text and "'" not in text and text.isprintable() else '"'


def _is_block(text: str) -> bool:
    lines = text.split("\n")
    return all(line.isprintable() and not line.endswith(" ") for line in lines) and not text.startswith((" ", "\n"))
