"""What a topology says of plain nodes and of paths."""

from hypothesis import example, given

from graphwire.engine.topology import Rule, Topology
from tests.engine.scheduling import Shape, shape, shapes


def bits(*nodes: int) -> int:
    return sum(1 << node for node in nodes)


def reaching_by_search(graph: Shape, edge: int) -> int:
    """Walk forwards from each node, never through the edge's target."""
    source, target = graph.edges[edge]
    found = 0
    for start in range(len(graph.joins)):
        seen, path = {start}, [start]
        while path:
            at = path.pop()
            for before, after in graph.edges:
                if before == at and after != target and after not in seen:
                    seen.add(after)
                    path.append(after)
        if source in seen:
            found |= 1 << start
    return found


def test_nodes_behind_a_loop_an_any_or_a_number_are_not_plain() -> None:
    topology = shape((0, 1), (1, 2), (2, 1), (2, 3), (0, 4), (4, 5), (0, 6), (6, 7), joins={4: "any", 6: 2}).topology()

    assert topology.plain == (True, False, False, False, False, False, False, False)


def test_nodes_that_only_lead_to_a_loop_are_plain() -> None:
    topology = shape((0, 1), (1, 2), (2, 2)).topology()

    assert topology.plain == (True, True, False)


def test_a_path_may_start_at_the_target_but_not_pass_through_it() -> None:
    graph = shape((0, 1), (1, 2), (2, 1))

    assert graph.topology().reaching(0) == bits(0)
    assert graph.topology().reaching(2) == bits(1, 2)


def test_only_the_node_itself_reaches_its_edge_to_itself() -> None:
    assert shape((0, 1), (1, 1)).topology().reaching(1) == bits(1)


@given(shapes(max_nodes=9))
@example(shape((0, 1), (1, 2), (2, 3), (3, 1), (2, 1), (0, 3)))
def test_reaching_is_what_a_search_for_paths_finds(graph: Shape) -> None:
    topology = graph.topology()

    for edge in range(len(graph.edges)):
        assert topology.reaching(edge) == reaching_by_search(graph, edge)


def test_a_join_with_one_input_that_the_entries_reach_needs_no_check() -> None:
    topology = shape((0, 1), (1, 2), (2, 1), (3, 2)).topology()

    layout = topology.layout((0,))

    assert layout.rules[1] is Rule.CHECKED
    assert layout.rules[2] is Rule.EACH
    assert layout.open_inputs == (0, 2, 1, 0)


def test_a_join_of_a_number_counts_as_any_only_for_one() -> None:
    topology = shape((0, 1), (0, 2), joins={1: 1, 2: 2}).topology()

    assert topology.layout((0,)).rules == (Rule.EACH, Rule.EACH, Rule.CHECKED)


def test_a_loop_of_ten_thousand_nodes_is_followed_without_recursion() -> None:
    nodes = 10_000
    topology = Topology(["all"] * nodes, [(node, (node + 1) % nodes) for node in range(nodes)] + [(5_000, 1)])

    assert topology.reaching(nodes) == bits(*range(1, 5_001))
    assert not any(topology.plain)
