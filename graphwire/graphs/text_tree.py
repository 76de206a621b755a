"""Graphs as a tree of text, for a terminal."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from graphwire.graphs.contents import cases, condition, inside
from graphwire.graphs.definition import EdgeDefinition, GraphDefinition, NodeDefinition
from graphwire.graphs.diagram import shown

_DEEPEST: Final = 120
_Line: TypeAlias = tuple[str, str, str, str]
_MARKS: Final = {"success": "", "error": "on error", "always": "always"}


def to_tree(definition: GraphDefinition) -> str:
    """Return the graph as a tree from its entries, each node once with what follows it.

    A node that was shown above is named with ``↑`` (a join, or the way back of a loop) and not repeated. Nodes that
    no entry reaches come last.
    """
    return "\n".join(_Drawing(definition).lines()) + "\n"


class _Drawing:
    def __init__(self, definition: GraphDefinition) -> None:
        self._definition = definition
        self._nodes = {node.id: node for node in definition.nodes}
        self._following: dict[str, list[tuple[str, str]]] = {node.id: [] for node in definition.nodes}
        self._incoming: dict[str, int] = {}
        chosen = cases(definition)
        for edge in definition.edges:
            if edge.source in self._nodes and edge.target in self._nodes:
                self._following[edge.source].append((_condition(edge, chosen), edge.target))
                self._incoming[edge.target] = self._incoming.get(edge.target, 0) + 1
        for node in definition.nodes:
            self._following[node.id] += [("goto", target) for target in node.goto if target in self._nodes]
        self._seen: set[str] = set()

    def lines(self) -> Iterator[str]:
        definition = self._definition
        yield shown(definition.id) + (f"  {shown(definition.name)}" if definition.name else "")
        roots = [entry for entry in definition.entries if entry in self._nodes]
        yield from self._below(roots)
        left = [node.id for node in definition.nodes if node.id not in self._seen]
        if left:
            yield "not reached:"
            for node in left:
                if node not in self._seen:
                    yield from self._below([node])

    def _below(self, roots: Sequence[str]) -> Iterator[str]:
        """Walk without recursion: a graph may be thousands of nodes deep."""
        waiting = _branches("", [("", root) for root in roots])
        while waiting:
            begin, indent, condition, name = waiting.pop()
            label = f"[{condition}] " if condition else ""
            is_known = name in self._seen
            yield f"{begin}{label}{self._title(name)}{' ↑' if is_known else ''}"
            if is_known:
                continue
            self._seen.add(name)
            following = self._following[name]
            if len(following) == 1:  # a chain stays in its column
                waiting.append((f"{indent}↓ ", indent, *following[0]))
            else:
                waiting += _branches(indent[:_DEEPEST], following)

    def _title(self, name: str) -> str:
        node = self._nodes[name]
        names = inside(node)
        runs = f"{node.type} of {', '.join(shown(each) for each in names)}" if names else node.type
        facts = [runs, *_join(node, self._incoming.get(name, 0))]
        return f"{shown(name)} ({', '.join(facts)})"


def _branches(indent: str, following: list[tuple[str, str]]) -> list[_Line]:
    """Return what stands side by side, the first one last: how a line begins, and those below it."""
    last = len(following) - 1
    lines = [
        (indent + ("└─ " if place == last else "├─ "), indent + ("   " if place == last else "│  "), *each)
        for place, each in enumerate(following)
    ]
    return lines[::-1]


def _join(node: NodeDefinition, incoming: int) -> Iterator[str]:
    if incoming > 1:
        yield f"joins {node.join}"


def _condition(edge: EdgeDefinition, chosen: Mapping[tuple[str, str], str]) -> str:
    text = shown(condition(edge, chosen))
    parts = [_MARKS[edge.on], "else" if edge.else_ and text != "else" else "", text]
    return ", ".join(part for part in parts if part)
