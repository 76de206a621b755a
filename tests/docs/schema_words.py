"""A JSON Schema in a few words, for the cells of tables."""

import json
from collections.abc import Mapping
from typing import Any

_BOUNDS = {"minimum": "≥ {:,}", "exclusiveMinimum": "> {:,}", "maximum": "≤ {:,}", "exclusiveMaximum": "< {:,}"}
_WORDS = {
    "array": "list",
    "boolean": "boolean",
    "integer": "whole number",
    "null": "null",
    "number": "number",
    "object": "mapping",
    "string": "text",
}


def kind(schema: Mapping[str, Any]) -> str:
    """Say what kind of value a schema describes."""
    match schema:
        case {"anyOf": alternatives}:
            kinds = [kind(each) for each in alternatives if each != {"$ref": "#/$defs/Reference"}]
            return " or ".join(kinds)
        case {"$ref": str(reference)}:
            name = reference.rpartition("/")[2]
            return f"[{name.lower()}](#{name.lower()})"
        case {"enum": values}:
            return ", ".join(f"`{json.dumps(value)}`" for value in values)
        case {"type": "array", "items": items} if items:
            return f"list of {kind(items)}"
        case {"type": str(name)}:
            return _WORDS[name]
    return "any JSON"


def bounds(schema: Mapping[str, Any]) -> str:
    """Say between what a number lies."""
    return ", ".join(text.format(schema[key]) for key, text in _BOUNDS.items() if key in schema)


def prose(docstring: str) -> str:
    """Return a docstring as Markdown: one sentence per line, names in single backticks, no list of attributes."""
    paragraphs = [" ".join(each.split()) for each in docstring.replace("``", "`").strip().split("\n\n")]
    kept = [each for each in paragraphs if not each.startswith("Attributes:")]
    return "\n\n".join(each.replace(". ", ".\n") for each in kept)
