"""Graphs as text for drawing programs: Mermaid and DOT."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from graphwire.graphs.contents import cases, condition, inside
from graphwire.graphs.definition import EdgeDefinition, GraphDefinition, NodeDefinition
from graphwire.near_names import folded

_LABEL_LIMIT: Final = 64
_ARROWS: Final = {"success": "-->", "error": "-.->", "always": "==>"}
_STYLES: Final = {"success": "solid", "error": "dashed", "always": "bold"}
_PLAIN_IN_MERMAID: Final = frozenset(",?!'/=(){}|…")
_PLAIN_BETWEEN_LETTERS: Final = frozenset("._-")
_REPLACED_IN_MERMAID: Final = re.compile(r"(?<=\$)(?=\$)|(?<=:)(?=fa-)")
"""In the middle of what Mermaid makes a formula or an icon of, even where it is escaped."""
_BRACKETS: Final = {
    "switch": ("{", "}"),
    "human_input": ("[/", "/]"),
    **dict.fromkeys(("foreach", "while", "subgraph"), ("[[", "]]")),
}
_SHAPES: Final = {
    "switch": ', shape="diamond"',
    "human_input": ', shape="parallelogram"',
    **dict.fromkeys(("foreach", "while", "subgraph"), ", peripheries=2"),
}
_ZERO_WIDTH_SPACE: Final = "\u200b"


def to_mermaid(definition: GraphDefinition) -> str:
    """Return a Mermaid flowchart. Entries are round; error edges dotted, those for both ends thick.

    Other nodes that choose are diamonds, those that ask lean, and those that run graphs have double sides.

    Labels are text whatever they hold, and nodes whose names look alike show their ids too; edges to nodes that there
    are not are left out.
    """
    entries = set(definition.entries)
    labels = _node_labels(definition)
    chosen = cases(definition)
    lines = ["flowchart TD"]
    for index, node in enumerate(definition.nodes):
        opening, closing = ("([", "])") if node.id in entries else _BRACKETS.get(node.type, ("[", "]"))
        lines.append(f'  n{index}{opening}"{_mermaid_text(labels[index])}"{closing}')
    for source, target, edge in _ends(definition):
        label = _edge_label(edge, chosen)
        shown = f'|"{_mermaid_text(label)}"|' if label else ""
        lines.append(f"  n{source} {_ARROWS[edge.on]}{shown} n{target}")
    for source, target in _gotos(definition):
        lines.append(f'  n{source} -.->|"goto"| n{target}')
    return "\n".join(lines) + "\n"


def to_dot(definition: GraphDefinition) -> str:
    """Return a directed graph for Graphviz, drawn as ``to_mermaid`` does."""
    entries = set(definition.entries)
    labels = _node_labels(definition)
    chosen = cases(definition)
    lines = [f'digraph "{_dot_text(definition.id)}" {{', "  node [shape=box];"]
    for index, node in enumerate(definition.nodes):
        style = ', style="rounded"' if node.id in entries else _SHAPES.get(node.type, "")
        lines.append(f'  n{index} [label="{_dot_text(labels[index])}"{style}];')
    for source, target, edge in _ends(definition):
        text = _edge_label(edge, chosen)
        label = f'label="{_dot_text(text)}", ' if text else ""
        lines.append(f'  n{source} -> n{target} [{label}style="{_STYLES[edge.on]}"];')
    for source, target in _gotos(definition):
        lines.append(f'  n{source} -> n{target} [label="goto", style="dotted"];')
    return "\n".join([*lines, "}"]) + "\n"


def _ends(definition: GraphDefinition) -> Iterator[tuple[int, int, EdgeDefinition]]:
    indexes = {node.id: index for index, node in enumerate(definition.nodes)}
    for edge in definition.edges:
        if edge.source in indexes and edge.target in indexes:
            yield indexes[edge.source], indexes[edge.target], edge


def _gotos(definition: GraphDefinition) -> Iterator[tuple[int, int]]:
    indexes = {node.id: index for index, node in enumerate(definition.nodes)}
    for index, node in enumerate(definition.nodes):
        yield from ((index, indexes[target]) for target in node.goto if target in indexes)


def _node_labels(definition: GraphDefinition) -> list[str]:
    looks = [folded(_cut(node.name or node.id)) for node in definition.nodes]
    counts = Counter(looks)
    return [
        (f"{shown(node.name)} · {node.id}" if node.name and counts[look] > 1 else shown(node.name or node.id))
        + _runs(node)
        for node, look in zip(definition.nodes, looks, strict=True)
    ]


def _runs(node: NodeDefinition) -> str:
    names = inside(node)
    return f" ({', '.join(shown(name) for name in names)})" if names else ""


def _edge_label(edge: EdgeDefinition, chosen: Mapping[tuple[str, str], str]) -> str:
    return shown(condition(edge, chosen))


def _cut(text: str) -> str:
    return text if len(text) <= _LABEL_LIMIT else text[:_LABEL_LIMIT] + "…"


def shown(text: str) -> str:
    """Return text, cut, in which two different texts also look different: what cannot be seen is written out."""
    cut = _cut(text)
    is_plain = unicodedata.is_normalized("NFC", cut)
    return "".join(
        c if c.isprintable() and (is_plain or not unicodedata.combining(c)) else f"\\u{ord(c):04x}" for c in cut
    )


def _mermaid_text(text: str) -> str:
    """Escape what Mermaid, or the Markdown that it takes labels for, gives a meaning."""
    text = _REPLACED_IN_MERMAID.sub(_ZERO_WIDTH_SPACE, text)
    return "".join(c if _is_plain_in_mermaid(text, index) else f"#{ord(c)};" for index, c in enumerate(text))


def _is_plain_in_mermaid(text: str, index: int) -> bool:
    character = text[index]
    if character.isalnum():
        return True
    before, after = text[index - 1 : index], text[index + 1 : index + 2]
    if character == " ":  # one between words: several are shown as one, and at the ends they have meanings
        return not (before in ("", " ") or after in ("", " "))
    if character == ")":  # "1) " begins a list
        return not text[:index].strip().isdigit()
    if character in _PLAIN_BETWEEN_LETTERS:  # "www." begins a link, "1. " and "- " a list, "_" emphasis
        return before.isalnum() and after.isalnum() and not text[:index].lower().endswith("www")
    return character in _PLAIN_IN_MERMAID


def _dot_text(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;")
