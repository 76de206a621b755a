"""Suggestions, and what they may cost."""

import difflib

import pytest

from app.services.starts import Wishes, prepare
from graphwire.engine.plan import compile_plan
from graphwire.errors import InvalidInput
from graphwire.events.filters import parse_filter
from graphwire.graphs.code import Code
from graphwire.graphs.definition import parse_definition
from graphwire.near_names import NearNames
from graphwire.nodes import builtin_registry

KNOWN = [f"node_{number}" for number in range(500)]


@pytest.fixture
def comparisons(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The names that were compared with, call by call."""
    counted: list[int] = []

    def counting(name: str, known: list[str], n: int) -> list[str]:
        counted.append(len(known))
        return difflib.get_close_matches(name, known, n=n)

    monkeypatch.setattr("graphwire.near_names.get_close_matches", counting)
    return counted


def test_suggestions_end_when_their_comparisons_are_used_up(comparisons: list[int]) -> None:
    near = NearNames(comparisons=1_000)

    assert [near("nod_1", KNOWN) for _ in range(3)] == ['; did you mean "node_1"?', '; did you mean "node_1"?', ""]
    assert sum(comparisons) == 1_000


def test_many_unknown_names_of_a_filter_cost_no_more_than_a_few(comparisons: list[int]) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_filter(["tipe"] * 1_000, [f"nod_{number}" for number in range(1_000)], known_nodes=KNOWN)

    assert len(refused.value.problems) == 2_000
    assert sum(comparisons) <= 20_000


def test_many_unknown_entries_of_a_start_cost_no_more_than_a_few(comparisons: list[int]) -> None:
    nodes = [{"id": name, "type": "transform", "config": {"set": {}}} for name in KNOWN]
    definition = parse_definition({"id": "large", "entry": ["node_0"], "nodes": nodes})
    plan = compile_plan(definition, builtin_registry(), Code(), 1)

    with pytest.raises(InvalidInput) as refused:
        prepare(Wishes(entry=[f"nod_{number}" for number in range(1_000)]), plan, None)

    assert len(refused.value.problems) == 1_000
    assert sum(comparisons) <= 20_000
