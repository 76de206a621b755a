"""Graphs of unusual shape and size: they load, validate and draw, and in linear time."""

import gzip
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graphwire.graphs.definition import GraphDefinition, parse_definition
from graphwire.graphs.diagram import to_dot, to_mermaid
from graphwire.graphs.validation import Findings, validate
from graphwire.json_text import read_json
from tests.graphs.samples import REGISTRY, make_graph, make_value


def ids(count: int) -> list[str]:
    return [f"n{n}" for n in range(count)]


def chain(count: int) -> Any:
    return make_value(ids(count), [f"n{n}>n{n + 1}" for n in range(count - 1)])


def fan_out(count: int) -> Any:
    return make_value(ids(count), [f"n0>n{n}" for n in range(1, count)])


def fan_in(count: int) -> Any:
    return make_value(ids(count), [f"n{n}>n0" for n in range(1, count)])


def complete(count: int) -> Any:
    return make_value(ids(count), [f"n{a}>n{b}" for a in range(count) for b in range(a + 1, count)])


def ring(count: int) -> Any:
    return make_value(ids(count), [f"n{n}>n{(n + 1) % count}" for n in range(count)], entry=["n0"])


def load_and_check(value: Any) -> tuple[GraphDefinition, Findings]:
    graph = parse_definition(read_json(json.dumps(value).encode()))
    return graph, validate(graph, REGISTRY)


@pytest.mark.bad_input(29)
@pytest.mark.parametrize(
    ("shape", "count"),
    [(chain, 10_000), (fan_out, 10_000), (fan_in, 10_000), (complete, 300), (ring, 5_000)],
)
def test_a_large_graph_of_any_shape_loads_validates_and_draws(shape: Callable[[int], Any], count: int) -> None:
    graph, findings = load_and_check(shape(count))

    assert findings == Findings((), ())
    edges = len(graph.edges)
    assert to_mermaid(graph).count("\n") == 1 + count + edges
    assert to_dot(graph).count(" -> ") == edges


@pytest.mark.bad_input(28)
def test_a_graph_at_the_limits_loads_and_validates_in_two_seconds() -> None:
    edges = [
        {"source": f"n{n % 10_000}", "target": f"n{(n * 7 + n // 10_000) % 10_000}", "when": f"state.total > {n % 100}"}
        for n in range(50_000)
    ]
    data = json.dumps(make_value(ids(10_000), edges, entry=["n0"])).encode()
    started = time.process_time()

    findings = validate(parse_definition(read_json(data)), REGISTRY)

    assert time.process_time() - started < 2
    assert findings.problems == ()


@pytest.mark.bad_input(28)
def test_one_node_or_edge_beyond_the_limits_is_refused() -> None:
    nodes, edges = fan_out(10_001), make_value(["a", *ids(300)], [f"n{n % 300}>n{n // 300}" for n in range(50_001)])

    assert [problem.code for problem in load_and_check(nodes)[1].problems] == ["too_many_nodes"]
    assert [problem.code for problem in load_and_check(edges)[1].problems] == ["too_many_edges"]


@pytest.mark.bad_input(30)
def test_a_thousand_doubled_edges_are_all_named() -> None:
    _, findings = load_and_check(make_value(["a", "b"], ["a>b"] * 1_000))

    assert [problem.pointer for problem in findings.problems] == [f"/edges/{n}" for n in range(1_000)]


@pytest.mark.bad_input(23)
def test_fifty_thousand_dangling_edges_are_named_in_little_time() -> None:
    value = make_value(ids(10_000), [f"n{n % 10_000}>m{n}" for n in range(50_000)])
    started = time.process_time()

    _, findings = load_and_check(value)

    assert len(findings.problems) == 50_000
    assert time.process_time() - started < 4


@pytest.mark.needs("corpora")
@pytest.mark.bad_input(24, 29)
def test_real_graphs_load_validate_and_draw(corpora: Path) -> None:
    with gzip.open(corpora / "topologies.jsonl.gz", "rt") as lines:
        shapes = [json.loads(line) for line in lines]
    assert len(shapes) == 343

    for shape in shapes:
        edges = list(dict.fromkeys(f"n{source}>n{target}" for source, target in shape["edges"]))
        entry = {} if shape["roots"] else {"entry": ["n0"]}
        graph = make_graph(ids(shape["n"]), edges, **entry)

        assert validate(graph, REGISTRY).problems == ()
        assert to_mermaid(graph).count("\n") == 1 + shape["n"] + len(edges)
        assert to_dot(graph).count(" -> ") == len(edges)
        assert parse_definition(json.loads(graph.to_json())) == graph
