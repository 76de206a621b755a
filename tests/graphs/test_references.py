"""Graphs that run other graphs."""

from collections.abc import Mapping

import pytest

from graphwire.graphs.references import MAX_REFERENCE_DEPTH, MAX_REFERENCES, Found, Named, Reference, Resolution


def resolved(graphs: Mapping[str, list[str]], root: str = "root", version: int | None = None) -> Resolution:
    """Resolve among graphs that name others: ``name``, or ``name@version``; each is in version 5."""

    def references(names: list[str]) -> list[Reference]:
        split = [name.partition("@") for name in names]
        return [Reference(f"/{i}", name, int(number) if number else None) for i, (name, _, number) in enumerate(split)]

    resolution = Resolution(root, version, references(graphs[root]))
    while (named := resolution.wanted) is not None:
        found = graphs.get(named.graph if named.version is None else f"{named.graph}@{named.version}")
        resolution.give(named, None if found is None else Found(named.version or 5, references(found)))
    return resolution


def faults(resolution: Resolution) -> list[tuple[str, str]]:
    return [(each.pointer, each.code) for found in resolution.problems() for each in found]


def test_all_that_a_graph_runs_is_looked_up_once_and_its_versions_are_told() -> None:
    resolution = resolved({"root": ["a", "b", "a"], "a": ["c"], "b": ["c", "d@2"], "c": [], "d@2": []})

    assert faults(resolution) == []
    assert resolution.versions == {"a": 5, "b": 5, "c": 5}


def test_what_is_not_there_is_told_at_the_name_that_leads_to_it() -> None:
    resolution = resolved({"root": ["a", "gone", "a@9"], "a": ["lost"]})

    assert faults(resolution) == [("/0", "unknown_graph"), ("/1", "unknown_graph"), ("/2", "unknown_graph")]
    assert [problem.detail for problem in resolution.problems()[1]] == [
        'there is no graph "lost", which "a" runs',
        'there is no graph "gone"',
        'there is no graph "a" in version 9',
    ]


@pytest.mark.parametrize(
    "graphs",
    [
        {"root": ["root"]},
        {"root": ["a"], "a": ["b"], "b": ["root"]},
        {"root": ["a"], "a": ["b"], "b": ["a"]},
    ],
)
def test_a_graph_that_would_run_itself_is_refused(graphs: Mapping[str, list[str]]) -> None:
    assert faults(resolved(graphs)) == [("/0", "graph_cycle")]


def test_an_older_version_of_itself_is_another_graph() -> None:
    assert faults(resolved({"root": ["root@1"], "root@1": []}, version=2)) == []
    assert faults(resolved({"root": ["root@2"], "root@2": ["root@2"]}, version=2)) == [("/0", "graph_cycle")]


def test_graphs_run_one_another_only_so_deep() -> None:
    def chain(length: int) -> dict[str, list[str]]:
        return {"root": ["g1"], **{f"g{i}": [f"g{i + 1}"] for i in range(1, length)}, f"g{length}": []}

    assert faults(resolved(chain(MAX_REFERENCE_DEPTH))) == []
    assert faults(resolved(chain(MAX_REFERENCE_DEPTH + 1))) == [("/0", "too_deep")]


def test_a_graph_that_cannot_run_keeps_those_that_run_it_from_running() -> None:
    resolution = Resolution("root", 1, [Reference("/x", "bad")])
    resolution.give(Named("bad", None), Found(3, flaw="it has no nodes"))

    never, now = resolution.problems()
    assert never == []
    assert [(each.code, each.detail) for each in now] == [("invalid_graph", 'graph "bad" cannot run: it has no nodes')]


def test_ways_that_meet_again_and_again_are_gone_once() -> None:
    graphs = {f"g{i}": [f"g{i + 1}"] * 2 for i in range(MAX_REFERENCE_DEPTH - 1)}
    graphs |= {f"g{MAX_REFERENCE_DEPTH - 1}": [], "root": ["g0", "g0"]}

    assert faults(resolved(graphs)) == []


def test_a_graph_runs_only_so_many_others_and_no_more_are_looked_up() -> None:
    many = [Reference(f"/{index}", f"g{index}") for index in range(MAX_REFERENCES + 1)]

    full = Resolution("root", 1, many)
    assert full.wanted is None
    assert [each.code for found in full.problems() for each in found] == ["too_many_graphs"]
    assert Resolution("root", 1, many[:-1]).wanted is not None
