"""The page of settings, written from the settings."""

import json
from pathlib import Path
from typing import Any

from app.settings import PREFIX, Settings

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "reference" / "settings.md"

_HEAD = """\
# Settings

Written from the code by `make docs`; a test compares the two.

Every setting is an environment variable.
Times are in seconds and sizes in bytes, as their names say.
A variable that begins with `GRAPHWIRE_` and is no setting gets a warning at start.

| variable | default | bounds | meaning |
| --- | --- | --- | --- |
"""
_BOUNDS = {"minimum": "≥ {}", "exclusiveMinimum": "> {}", "maximum": "≤ {}", "exclusiveMaximum": "< {}"}


def page() -> str:
    """Return the page as it has to be."""
    properties: dict[str, dict[str, Any]] = Settings.model_json_schema()["properties"]
    rows = (
        f"| `{PREFIX}{name.upper()}` | {_default(schema)} | {_bounds(schema)} | {schema['description']} |"
        for name, schema in properties.items()
    )
    return _HEAD + "\n".join(rows) + "\n"


def _default(schema: dict[str, Any]) -> str:
    match schema.get("default"):
        case None | []:
            return ""
        case str(text):
            return f"`{text}`"
        case value:
            return f"`{json.dumps(value)}`"


def _bounds(schema: dict[str, Any]) -> str:
    return ", ".join(text.format(f"{schema[key]:,}") for key, text in _BOUNDS.items() if key in schema)
