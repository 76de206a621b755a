"""What is to be shown of the inside of a node: of what stands in its config, however wrong it is."""

from collections.abc import Mapping
from typing import Any

from graphwire.graphs.definition import EdgeDefinition, GraphDefinition, NodeDefinition

MAX_NAMES = 3


def inside(node: NodeDefinition) -> list[str]:
    """Return what runs inside of a node: the id of another graph, or the ids of the first nodes of its body."""
    config = node.config
    if node.type == "subgraph" and isinstance(config.get("graph"), str):
        return [config["graph"]]
    if node.type not in ("foreach", "while", "subgraph") or not isinstance(config.get("body"), Mapping):
        return []
    body = config["body"]
    nodes = body.get("nodes", [body])
    names = [each["id"] for each in _mappings(nodes) if isinstance(each.get("id"), str)]
    return names if len(names) <= MAX_NAMES else [*names[:MAX_NAMES], "…"]


def cases(definition: GraphDefinition) -> dict[tuple[str, str], str]:
    """Return the conditions of switches by the ends of their edges; ``else`` for those to a default."""
    found: dict[tuple[str, str], list[str]] = {}
    for node in definition.nodes:
        if node.type != "switch":
            continue
        for case in _mappings(node.config.get("cases")):
            if isinstance(case.get("then"), str) and isinstance(case.get("when"), str):
                found.setdefault((node.id, case["then"]), []).append(case["when"])
        if isinstance(node.config.get("default"), str):
            found.setdefault((node.id, node.config["default"]), []).append("else")
    return {ends: " | ".join(texts) for ends, texts in found.items()}


def condition(edge: EdgeDefinition, chosen: Mapping[tuple[str, str], str]) -> str:
    """Return when an edge fires, in words: its label, its condition, or that of the switch that chooses it."""
    if edge.label or edge.when:
        return edge.label or edge.when or ""
    if edge.on == "success" and (edge.source, edge.target) in chosen:
        return chosen[edge.source, edge.target]
    return "else" if edge.else_ else ""


def _mappings(values: Any) -> list[Mapping[str, Any]]:
    return [each for each in values if isinstance(each, Mapping)] if isinstance(values, list) else []
