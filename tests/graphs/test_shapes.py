"""Graphs of unusual shape and size: they load, validate and draw, and in linear time."""

import gzip
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from graphwire import run
from graphwire.engine.plan import compile_plan
from graphwire.errors import Problem
from graphwire.graphs.code import Code
from graphwire.graphs.definition import GraphDefinition, parse_definition
from graphwire.graphs.diagram import to_dot, to_mermaid
from graphwire.graphs.documents import Format, read_document, write_document
from graphwire.graphs.validation import Findings, validate
from graphwire.json_text import read_json
from tests.graphs.samples import REGISTRY, make_value
from tests.measuring import within_cpu_s


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


def at_the_limits(count: int = 10_000) -> Any:
    """Return a graph with five edges for each node, every one with a condition."""
    edges = [
        {"source": f"n{n % count}", "target": f"n{(n * 7 + n // count) % count}", "when": f"state.total > {n % 100}"}
        for n in range(5 * count)
    ]
    return make_value(ids(count), edges, entry=["n0"])


@pytest.mark.bad_input(28)
@pytest.mark.parametrize("format", ["json", "yaml"])
def test_a_graph_at_the_limits_validates_in_two_seconds(format: Format) -> None:
    document = read_document(write_document(at_the_limits(), format), format)

    findings = within_cpu_s(2, lambda: validate(parse_definition(document.value), REGISTRY))

    assert findings.problems == ()


@pytest.mark.bad_input(28)
def test_a_graph_at_the_limits_is_read_from_json_and_validated_in_two_seconds() -> None:
    data = json.dumps(at_the_limits()).encode()

    findings = within_cpu_s(2, lambda: validate(parse_definition(read_document(data, "json").value), REGISTRY))

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

    _, findings = within_cpu_s(4, lambda: load_and_check(value))

    assert len(findings.problems) == 50_000


@dataclass(frozen=True)
class Shape:
    """A real graph, its nodes and edges by number, with nothing else known about it."""

    count: int
    edges: tuple[tuple[int, int], ...]

    def entries(self) -> list[int]:
        entered = {target for _, target in self.edges}
        return [node for node in range(self.count) if node not in entered]

    def loops(self) -> set[tuple[int, int]]:
        """Return the edges that lead back to where a walk from the entries came from."""
        following: dict[int, list[int]] = {node: [] for node in range(self.count)}
        for source, target in self.edges:
            following[source].append(target)
        back: set[tuple[int, int]] = set()
        done: set[int] = set()
        for entry in (*self.entries(), *range(self.count)):
            path = [(entry, iter(following[entry]))] if entry not in done else []
            while path:
                node, rest = path[-1]
                done.add(node)
                target = next(rest, -1)
                if target < 0:
                    path.pop()
                elif any(target == each for each, _ in path):
                    back.add((node, target))
                elif target not in done:
                    path.append((target, iter(following[target])))
        return back

    def reached(self) -> set[str]:
        """Return the names of the nodes that are run."""
        found = set(self.entries())
        grows = True
        while grows:
            more = found | {target for source, target in self.edges if source in found}
            found, grows = more, len(more) > len(found)
        return {f"n{node}" for node in found}

    def value(self, *, loops: str, **fields: Any) -> Any:
        back = self.loops()
        edges = [
            {"source": f"n{source}", "target": f"n{target}"} | ({"when": loops} if (source, target) in back else {})
            for source, target in self.edges
        ]
        return make_value(ids(self.count), edges, **fields)


@pytest.fixture
def shapes(corpora: Path) -> list[Shape]:
    with gzip.open(corpora / "topologies.jsonl.gz", "rt") as lines:
        found = [json.loads(line) for line in lines]
    return [Shape(each["n"], tuple(dict.fromkeys((a, b) for a, b in each["edges"]))) for each in found]


@pytest.mark.needs("corpora")
@pytest.mark.bad_input(24, 29)
def test_real_graphs_load_validate_and_draw(shapes: list[Shape]) -> None:
    assert len(shapes) == 343

    for shape in shapes:
        value = shape.value(loops="true")
        graphs = [
            parse_definition(read_document(write_document(value, format), format).value) for format in ("json", "yaml")
        ]
        graph = graphs[0]

        assert graphs == [graph, graph]
        assert validate(graph, REGISTRY).problems == ()
        assert to_mermaid(graph).count("\n") == 1 + shape.count + len(shape.edges)
        assert to_dot(graph).count(" -> ") == len(shape.edges)
        assert parse_definition(json.loads(graph.to_json())) == graph


@pytest.mark.needs("corpora")
@pytest.mark.bad_input(29)
async def test_real_graphs_run_to_completion_with_all_of_their_nodes(shapes: list[Shape]) -> None:
    for shape in shapes:
        plan = compile_plan(parse_definition(shape.value(loops="false")), REGISTRY, Code())
        events: list[Any] = []

        finished = await run(plan, on_event=events.append)

        assert (finished.status, finished.outcome) == ("completed", "success")
        completed = [event.node_id for event in events if event.type == "node_completed"]
        assert len(completed) == finished.steps
        assert set(completed) == shape.reached()
        released = any(event.type == "join_released" for event in events)
        assert not released or shape.loops()  # only joins in a loop can wait for each other; then nodes run again
        assert released or len(completed) == len(set(completed))


@pytest.mark.needs("corpora")
@pytest.mark.bad_input(24)
async def test_real_graphs_whose_loops_never_end_stop_at_their_limit_of_steps(shapes: list[Shape]) -> None:
    looping = [shape for shape in shapes if shape.loops()]
    assert len(looping) == 58

    for shape in looping:
        definition = parse_definition(shape.value(loops="true", limits={"max_steps": 3 * shape.count}))

        finished = await run(compile_plan(definition, REGISTRY, Code()))

        assert finished.error is not None
        assert finished.error.code == "max_steps_exceeded"


@pytest.mark.bad_input(29)
@pytest.mark.parametrize("format", ["json", "yaml"])
def test_reading_and_validating_take_steps_in_proportion_to_the_size(format: Format) -> None:
    def steps(count: int) -> int:
        """Count the calls that it takes: time would depend on the machine."""
        text = write_document(at_the_limits(count), format)
        calls = 0

        def counted(_frame: FrameType, event: str, _argument: Any) -> None:
            nonlocal calls
            calls += event in ("call", "c_call")

        sys.setprofile(counted)
        try:
            document = read_document(text, format)
            findings = validate(parse_definition(document.value), REGISTRY)
            document.located([Problem(f"/edges/{count}/when", "invalid_value", "is wrong")])
        finally:
            sys.setprofile(None)
        assert findings.problems == ()
        return calls

    small, large = steps(200), steps(800)

    assert large < 4.2 * small
