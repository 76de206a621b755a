"""Graphs as text for drawing programs: Mermaid and DOT."""

import unicodedata
from collections.abc import Iterator
from typing import Final

from graphwire.graphs.definition import EdgeDefinition, GraphDefinition, NodeDefinition

_LABEL_LIMIT: Final = 64
_ARROWS: Final = {"success": "-->", "error": "-.->", "always": "==>"}
_STYLES: Final = {"success": "solid", "error": "dashed", "always": "bold"}
_PLAIN_IN_MERMAID: Final = frozenset(" .,:_-+*/=()[]{}|!?'…")


def to_mermaid(definition: GraphDefinition) -> str:
    """Return a Mermaid flowchart. Entries are round; error edges dotted, those for both ends thick.

    Labels are text whatever they hold; edges to nodes that there are not are left out.
    """
    entries = set(definition.entries)
    lines = ["flowchart TD"]
    for index, node in enumerate(definition.nodes):
        opening, closing = ("([", "])") if node.id in entries else ("[", "]")
        lines.append(f'  n{index}{opening}"{_mermaid_text(_node_label(node))}"{closing}')
    for source, target, edge in _ends(definition):
        label = _edge_label(edge)
        shown = f'|"{_mermaid_text(label)}"|' if label else ""
        lines.append(f"  n{source} {_ARROWS[edge.on]}{shown} n{target}")
    for source, target in _gotos(definition):
        lines.append(f'  n{source} -.->|"goto"| n{target}')
    return "\n".join(lines) + "\n"


def to_dot(definition: GraphDefinition) -> str:
    """Return a directed graph for Graphviz, drawn as ``to_mermaid`` does."""
    entries = set(definition.entries)
    lines = [f'digraph "{_dot_text(definition.id)}" {{', "  node [shape=box];"]
    for index, node in enumerate(definition.nodes):
        style = ', style="rounded"' if node.id in entries else ""
        lines.append(f'  n{index} [label="{_dot_text(_node_label(node))}"{style}];')
    for source, target, edge in _ends(definition):
        label = f'label="{_dot_text(_edge_label(edge))}", ' if _edge_label(edge) else ""
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


def _node_label(node: NodeDefinition) -> str:
    return _shown(node.name or node.id)


def _edge_label(edge: EdgeDefinition) -> str:
    if edge.label or edge.when:
        return _shown(edge.label or edge.when or "")
    return "else" if edge.else_ else ""


def _shown(text: str) -> str:
    """Return text, cut, in which two different texts also look different: what cannot be seen is written out."""
    cut = text if len(text) <= _LABEL_LIMIT else text[:_LABEL_LIMIT] + "…"
    is_plain = unicodedata.is_normalized("NFC", cut)
    return "".join(
        c if c.isprintable() and (is_plain or not unicodedata.combining(c)) else f"\\u{ord(c):04x}" for c in cut
    )


def _mermaid_text(text: str) -> str:
    return "".join(c if c.isalnum() or c in _PLAIN_IN_MERMAID else f"#{ord(c)};" for c in text)


def _dot_text(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;")
