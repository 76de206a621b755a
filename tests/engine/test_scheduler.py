"""What the scheduler decides, case by case, in the words of "How a graph runs"."""

import gzip
import json
from collections import deque
from hashlib import blake2b

import pytest

from graphwire.engine.scheduler import Activation, Scheduler
from graphwire.engine.topology import Topology
from tests.engine.scheduling import Routing, Shape, run, shape
from tests.parts import corpora_folder


class Drive:
    """Runs a scheduler by the names of nodes: the one that is ready there completes."""

    def __init__(self, graph: Shape, scope: str = "") -> None:
        self.graph = graph
        self.scheduler = graph.scheduler(scope)
        self.ready: dict[int, Activation[str]] = {}
        self.taken: list[tuple[int, tuple[int, ...]]] = []
        self._add(self.scheduler.start("s"))

    def _add(self, due: list[Activation[str]]) -> list[int]:
        for activation in due:
            assert activation.node not in self.ready
            self.ready[activation.node] = activation
            self.taken.append((activation.node, tuple(token.edge for token in activation.tokens)))
        return [activation.node for activation in due]

    def complete(self, node: int, *fired: int) -> list[int]:
        activation = self.ready.pop(node)
        return self._add(self.scheduler.complete(activation, fired, activation.id))


DIAMOND = shape((0, 1), (0, 2), (1, 3), (2, 3))


def test_a_join_takes_one_token_off_each_edge_and_runs_once() -> None:
    drive = Drive(DIAMOND)

    assert drive.complete(0, 0, 1) == [1, 2]
    assert drive.complete(2, 3) == []
    assert drive.complete(1, 2) == [3]
    assert drive.taken[-1] == (3, (2, 3))
    assert drive.ready[3].missing == ()


@pytest.mark.capability("EXE-13")
def test_a_branch_that_was_not_taken_is_not_waited_for() -> None:
    drive = Drive(DIAMOND)

    assert drive.complete(0, 0) == [1]
    assert drive.complete(1, 2) == [3]
    assert drive.ready[3].missing == ()


def test_a_dead_branch_of_any_length_is_passed_on() -> None:
    drive = Drive(shape((0, 1), (0, 2), (2, 3), (3, 4), (4, 5), (1, 5)))
    drive.complete(0, 0, 1)
    drive.complete(1, 5)

    assert drive.complete(2) == [5]
    assert [node for node, _ in drive.scheduler.ended] == [2]


def test_a_loop_head_does_not_wait_for_its_own_back_edge() -> None:
    drive = Drive(shape((0, 1), (1, 2), (2, 1), (2, 3)))

    assert drive.complete(0, 0) == [1]
    assert drive.complete(1, 1) == [2]
    assert drive.complete(2, 2) == [1]
    assert drive.ready[1].pass_number == 2


def test_a_join_waits_for_what_its_own_running_activation_may_send_back() -> None:
    drive = Drive(shape((0, 1), (1, 2), (2, 2), (2, 3), joins={1: "any"}, entries=(0, 1)))
    drive.complete(1, 1)
    drive.complete(0, 0)

    assert drive.complete(1, 1) == []
    assert drive.complete(2, 2) == [2]
    assert drive.taken[-1] == (2, (1, 2))


def test_a_join_goes_on_when_its_own_activation_sent_nothing_back() -> None:
    drive = Drive(shape((0, 1), (1, 2), (2, 2), (2, 3), joins={1: "any"}, entries=(0, 1)))
    drive.complete(1, 1)
    drive.complete(0, 0)
    drive.complete(1, 1)

    assert drive.complete(2, 3) == [2, 3]
    assert drive.taken[-2] == (2, (1,))
    assert drive.ready[2].missing == ()


def test_tokens_queue_on_an_edge_and_the_node_runs_one_after_the_other() -> None:
    drive = Drive(shape((0, 1), (1, 2), joins={1: "any"}, entries=(0, 1)))
    drive.complete(1, 1)
    drive.complete(0, 0)

    assert drive.complete(1, 1) == []
    assert not drive.scheduler.alone
    assert drive.complete(2) == [2]
    assert drive.ready[2].pass_number == 2


def test_every_token_activates_an_any_join() -> None:
    drive = Drive(shape((0, 1), (0, 2), (1, 3), (2, 3), joins={3: "any"}))
    drive.complete(0, 0, 1)

    assert drive.complete(2, 3) == [3]
    assert drive.complete(1, 2) == []
    assert drive.complete(3) == [3]
    assert [taken for node, taken in drive.taken if node == 3] == [(3,), (2,)]


TWO_OF_THREE = shape((0, 1), (0, 2), (0, 3), (1, 4), (2, 4), (3, 4), joins={4: 2})


def test_a_join_of_two_takes_the_first_two_and_what_is_left_ends_there() -> None:
    drive = Drive(TWO_OF_THREE)
    drive.complete(0, 0, 1, 2)
    drive.complete(3, 5)

    assert drive.complete(1, 3) == [4]
    assert drive.taken[-1] == (4, (3, 5))
    assert drive.complete(4) == []
    assert drive.complete(2, 4) == []
    assert [node for node, _ in drive.scheduler.ended] == [4, 4]
    assert drive.scheduler.is_quiescent


def test_who_waits_for_what_is_left_at_a_join_of_two_goes_on_when_it_ended() -> None:
    edges = ((0, 1), (0, 2), (0, 3), (1, 4), (2, 4), (3, 4), (4, 5), (0, 5))
    drive = Drive(shape(*edges, joins={4: 2}))
    drive.complete(0, 0, 1, 2, 7)
    drive.complete(1, 3)
    drive.complete(2, 4)
    drive.complete(4)

    assert drive.complete(3, 5) == [5]
    assert drive.taken[-1] == (5, (7,))
    assert drive.ready[5].missing == ()


def test_a_join_of_two_is_released_with_one_when_no_more_can_arrive() -> None:
    drive = Drive(TWO_OF_THREE)
    drive.complete(0, 0, 1, 2)
    drive.complete(3, 5)
    drive.complete(1)

    assert drive.complete(2) == [4]
    assert drive.ready[4].missing == (3, 4)


def test_of_joins_that_wait_for_each_other_the_first_is_released_alone() -> None:
    drive = Drive(shape((0, 1), (0, 2), (1, 2), (2, 1)))

    assert drive.complete(0, 0, 1) == [1]
    assert drive.ready[1].missing == (3,)
    assert drive.complete(1, 2) == [2]
    assert drive.ready[2].missing == ()


def test_an_entry_with_incoming_edges_waits_for_them_with_its_start_token() -> None:
    drive = Drive(shape((0, 1), entries=(0, 1)))

    assert list(drive.ready) == [0]
    assert drive.complete(0, 0) == [1]
    assert drive.taken[-1] == (1, (-1, 0))


def test_edges_from_where_the_entries_do_not_lead_are_dead() -> None:
    drive = Drive(shape((0, 2), (1, 2), (3, 3), (3, 2)))

    assert drive.complete(0, 0) == [2]


def test_what_one_commit_makes_ready_comes_in_definition_order() -> None:
    drive = Drive(shape((0, 3), (0, 1), (0, 2)))

    assert drive.complete(0, 0, 1, 2) == [1, 2, 3]


def test_an_activation_is_named_by_its_node_and_its_tokens() -> None:
    drive = Drive(DIAMOND, scope="opener/1/0")
    start = drive.ready[0]
    drive.complete(0, 0, 1)

    assert start.id == blake2b(b"n0\nopener/1/0", digest_size=8).hexdigest()
    assert drive.ready[1].tokens[0].name == f"{start.id}/e0"
    assert drive.ready[1].id == blake2b(f"n1\n{start.id}/e0".encode(), digest_size=8).hexdigest()


def test_what_is_not_active_or_not_the_nodes_own_edge_is_refused_and_nothing_changes() -> None:
    scheduler = DIAMOND.scheduler()
    (first,) = scheduler.start("s")

    with pytest.raises(ValueError, match="cannot fire edge 2"):
        scheduler.complete(first, [0, 2], "s")
    assert scheduler.active() == [first]
    scheduler.complete(first, [0, 1], "s")
    with pytest.raises(ValueError, match="is not active"):
        scheduler.complete(first, [0, 1], "s")


def test_a_chain_is_alone_and_branches_are_not() -> None:
    drive = Drive(DIAMOND)

    alone = [drive.scheduler.alone]
    for node, fired in ((0, (0, 1)), (1, (2,)), (2, (3,))):
        drive.complete(node, *fired)
        alone.append(drive.scheduler.alone)

    assert alone == [True, False, False, True]


def test_all_states_can_be_replaced_and_shared_ones_stay_shared() -> None:
    graph = shape((0, 1), (0, 2), (1, 3), (2, 3), (0, 4))
    scheduler: Scheduler[list[str]] = Scheduler(graph.topology(), graph.node_ids, graph.edge_ids, (0,), "")
    (first,) = scheduler.start([])
    ready = scheduler.complete(first, [0, 1, 4], ["one"])
    scheduler.complete(ready[0], [2], ["two"])
    scheduler.complete(ready[2], [], ["three"])

    scheduler.map_states(lambda state: [*state, "edited"])

    assert list(scheduler.states()) == [(2, ["one", "edited"]), (3, ["two", "edited"]), (4, ["three", "edited"])]
    kept = scheduler.snapshot(lambda state: state)
    assert len(kept["states"]) == 3


def _run_all(topology: Topology, entries: list[int]) -> int:
    nodes = [f"n{node}" for node in range(len(topology.joins))]
    scheduler: Scheduler[None] = Scheduler(
        topology, nodes, [f"e{edge}" for edge in range(len(topology.sources))], entries, ""
    )
    ready = deque(scheduler.start(None))
    count = 0
    while ready:
        activation = ready.popleft()
        count += 1
        ready.extend(scheduler.complete(activation, topology.outgoing[activation.node], None))
    assert scheduler.is_quiescent
    return count


def test_a_chain_of_ten_thousand_runs_to_its_end() -> None:
    topology = Topology(["all"] * 10_000, [(node, node + 1) for node in range(9_999)])

    assert _run_all(topology, [0]) == 10_000


@pytest.mark.parametrize("first", ["all", "any"])
def test_ten_thousand_branches_meet_once(first: str) -> None:
    workers = range(1, 10_001)
    joins = ["any" if first == "any" else "all", *["all"] * 10_001]
    edges = [(0, worker) for worker in workers] + [(worker, 10_001) for worker in workers]

    assert _run_all(Topology(joins, edges), [0]) == 10_002  # type: ignore[arg-type]  # "any" and "all" are literals


@pytest.mark.parametrize("first", ["all", "any"])
def test_a_complete_graph_without_loops_runs_each_node_once(first: str) -> None:
    joins = ["any" if first == "any" else "all", *["all"] * 299]
    edges = [(one, two) for one in range(300) for two in range(one + 1, 300)]

    assert _run_all(Topology(joins, edges), [0]) == 300  # type: ignore[arg-type]  # "any" and "all" are literals


def test_ten_thousand_branches_meet_in_a_loop() -> None:
    nodes = 10_002
    workers = range(1, nodes - 1)
    edges = [(0, node) for node in workers] + [(node, nodes - 1) for node in workers] + [(nodes - 1, 0)]
    graph = shape(*edges)
    scheduler = graph.scheduler()
    (head,) = scheduler.start("s")

    for _ in range(2):
        ready = scheduler.complete(head, range(nodes - 2), "s")
        due = [
            one for activation in ready for one in scheduler.complete(activation, [nodes - 3 + activation.node], "s")
        ]
        (join,) = due
        (head,) = scheduler.complete(join, [len(edges) - 1], "s")

    assert head.pass_number == 3


@pytest.mark.needs("corpora")
def test_real_graphs_come_to_rest() -> None:
    corpus = corpora_folder() / "topologies.jsonl.gz"
    with gzip.open(corpus, "rt") as lines:
        topologies = [json.loads(line) for line in lines]

    assert len(topologies) == 343
    for number, topology in enumerate(topologies):
        edges = tuple((source, target) for source, target in topology["edges"])
        fed = {target for source, target in edges}
        entries = tuple(node for node in range(topology["n"]) if node not in fed) or (0,)
        graph = Shape(("all",) * topology["n"], edges, entries)
        for routing in (Routing(number, patience=3, every=True), Routing(number, patience=4)):
            one, two = graph.scheduler(), graph.scheduler()
            result = run(one, graph, routing, 1, one.start("s"))
            assert one.is_quiescent
            assert result.per_node == run(two, graph, routing, 2, two.start("s")).per_node
            if routing.every and not topology["cyclic"]:
                assert sorted(result.nodes) == list(range(topology["n"]))
