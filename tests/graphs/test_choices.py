"""The edges of a node that chooses among them."""

from typing import Any

import pytest

from graphwire.graphs.validation import validate
from graphwire.nodes import builtin_registry


def codes(*edges: dict[str, Any], default: str | None = None) -> dict[str, str]:
    """Return the problems of a graph with a switch ``s`` that goes to ``a``, by their pointers."""
    config: dict[str, Any] = {"cases": [{"when": "true", "then": "a"}]}
    if default is not None:
        config["default"] = default
    nodes = [{"id": "s", "type": "switch", "config": config}]
    nodes += [{"id": name, "type": "transform"} for name in ("a", "b")]
    listed = [{"source": "s", "target": "a"}, *edges]
    found = validate({"id": "g", "nodes": nodes, "edges": listed}, builtin_registry())
    return {problem.pointer: problem.code for problem in found.problems}


@pytest.mark.capability("NOD-05")
def test_a_target_is_where_an_edge_on_success_leads() -> None:
    assert codes() == {}
    assert codes(default="b") == {"/nodes/0/config/default": "no_edge"}
    assert codes({"source": "s", "target": "b", "on": "always"}, default="b") == {"/nodes/0/config/default": "no_edge"}
    assert codes({"source": "s", "target": "b"}, default="b") == {}


@pytest.mark.capability("NOD-05")
def test_an_edge_on_success_leads_to_a_target_and_has_no_condition() -> None:
    assert codes({"source": "s", "target": "b"}) == {"/edges/1/target": "never_chosen"}
    assert codes({"source": "s", "target": "b", "when": "true"}, default="b") == {"/edges/1/when": "condition_refused"}
    assert codes({"source": "s", "target": "b", "else": True}, default="b") == {"/edges/1/else": "condition_refused"}
    assert codes({"source": "s", "target": "b", "on": "error", "when": "true"}) == {}


def test_an_edge_that_cannot_be_read_keeps_nobody_from_the_others() -> None:
    assert codes({"source": "s", "target": 5}, default="b") == {"/edges/1/target": "invalid_value"}
    assert codes({"source": 5, "target": "b"}, default="b") == {"/edges/1/source": "invalid_value"}
