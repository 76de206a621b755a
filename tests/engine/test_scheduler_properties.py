"""Laws of the scheduler, over random graphs, routing decisions and orders of completion."""

import json
from collections import Counter
from random import Random

import pytest
from hypothesis import given, strategies as st

from graphwire.engine.scheduler import Activation, Scheduler
from tests.engine.scheduling import Routing, Shape, routings, run, shapes
from tests.engine.slow_scheduler import SlowActivation, SlowScheduler

orders = st.integers(0, 2**32)
mixed = st.one_of(
    shapes(), shapes(joins=("all",), acyclic=True), shapes(acyclic=True), shapes(joins=("all", 2, 2, 3, 3))
)


def seen(activation: Activation[str] | SlowActivation) -> object:
    """Return all that a caller can tell of an activation."""
    tokens = [(token.name, token.edge, token.state, token.arrival) for token in activation.tokens]
    return activation.id, activation.node, tokens, list(activation.missing), activation.pass_number


@given(mixed, routings, orders)
def test_every_step_is_the_one_that_the_sentences_say(graph: Shape, routing: Routing, order: int) -> None:
    fast, slow = graph.scheduler("scope"), SlowScheduler(graph.joins, graph.edges, graph.entries, "scope")
    pairs = list(zip(fast.start("s"), slow.start("s"), strict=True))
    random = Random(order)

    while pairs:
        assert [seen(one) for one, _ in pairs] == [seen(other) for _, other in pairs]
        assert fast.alone == slow.alone
        activation, model = pairs.pop(random.randrange(len(pairs)))
        fired = routing.fired(graph, activation.id, activation.node, activation.pass_number)
        due = fast.complete(activation, fired, activation.id)
        pairs += zip(due, slow.complete(model, fired, model.id), strict=True)

    assert slow.is_quiescent
    assert fast.is_quiescent
    assert fast.ended == sorted(slow.ended, key=lambda branch: branch[0])


@given(mixed, routings, orders)
def test_every_execution_comes_to_rest(graph: Shape, routing: Routing, order: int) -> None:
    scheduler = graph.scheduler()

    result = run(scheduler, graph, routing, order, scheduler.start("s"))

    assert scheduler.is_quiescent
    assert not scheduler.active()
    assert result.ended
    # A pass takes a token, and a node fires in fewer passes than `patience`.
    assert len(result.ids) <= len(graph.entries) + routing.patience * len(graph.edges)


@given(shapes(joins=("all",)), routings, orders, orders)
def test_without_any_and_n_what_runs_does_not_depend_on_the_order_of_completion(
    graph: Shape, routing: Routing, order: int, other: int
) -> None:
    first, second = graph.scheduler(), graph.scheduler()

    one = run(first, graph, routing, order, first.start("s"))
    two = run(second, graph, routing, other, second.start("s"))

    assert Counter(one.ids) == Counter(two.ids)
    assert one.per_node == two.per_node
    assert one.ended == two.ended


@given(shapes(), routings, orders)
def test_no_two_activations_of_a_scope_have_the_same_id(graph: Shape, routing: Routing, order: int) -> None:
    scheduler = graph.scheduler()

    result = run(scheduler, graph, routing, order, scheduler.start("s"))

    assert len(set(result.ids)) == len(result.ids)


@given(shapes(joins=("all",), acyclic=True), routings, orders)
def test_without_loops_a_node_runs_once_and_after_all_that_could_feed_it(
    graph: Shape, routing: Routing, order: int
) -> None:
    scheduler = graph.scheduler()
    upstream = {node: graph.topology().reaching(edge) for edge, (_, node) in enumerate(graph.edges)}
    for edge, (_, node) in enumerate(graph.edges):
        upstream[node] |= graph.topology().reaching(edge)

    result = run(scheduler, graph, routing, order, scheduler.start("s"))

    assert scheduler.is_quiescent
    assert len(set(result.nodes)) == len(result.nodes)
    for at, node in enumerate(result.nodes):
        assert not any(upstream.get(node, 0) >> later & 1 for later in result.nodes[at + 1 :])


@given(mixed, routings, orders, st.integers(0, 12))
def test_a_restored_snapshot_has_the_same_future(graph: Shape, routing: Routing, order: int, steps: int) -> None:
    scheduler = graph.scheduler("scope")
    ready = scheduler.start("s")
    random = Random(order)
    for _ in range(steps):
        if ready:
            activation = ready.pop(random.randrange(len(ready)))
            fired = routing.fired(graph, activation.id, activation.node, activation.pass_number)
            ready += scheduler.complete(activation, fired, activation.id)

    kept = json.loads(json.dumps(scheduler.snapshot(lambda state: {"encoded": state})))
    restored: Scheduler[str] = Scheduler.restore(
        graph.topology(), graph.node_ids, graph.edge_ids, graph.entries, "scope", kept, lambda state: state["encoded"]
    )

    assert [seen(activation) for activation in restored.active()] == [seen(one) for one in scheduler.active()]
    assert list(restored.states()) == list(scheduler.states())
    assert restored.alone == scheduler.alone
    assert restored.is_quiescent == scheduler.is_quiescent
    future = run(restored, graph, routing, order, restored.active())
    assert future == run(scheduler, graph, routing, order, scheduler.active())


@given(shapes(), routings, orders)
def test_a_node_is_never_handed_out_while_it_is_active(graph: Shape, routing: Routing, order: int) -> None:
    scheduler = graph.scheduler()
    ready = scheduler.start("s")
    random = Random(order)

    while ready:
        nodes = [activation.node for activation in ready]
        assert len(set(nodes)) == len(nodes)
        assert ready == scheduler.active()
        activation = ready.pop(random.randrange(len(ready)))
        fired = routing.fired(graph, activation.id, activation.node, activation.pass_number)
        due = scheduler.complete(activation, fired, "s")
        assert [one.node for one in due] == sorted(one.node for one in due)
        ready += due


@given(shapes(), routings, orders)
def test_alone_means_one_state_and_one_activation(graph: Shape, routing: Routing, order: int) -> None:
    scheduler = graph.scheduler()
    ready = scheduler.start("s")
    random = Random(order)

    while ready:
        activation = ready.pop(random.randrange(len(ready)))
        assert scheduler.alone == (len(list(scheduler.states())) == len(activation.tokens))
        fired = routing.fired(graph, activation.id, activation.node, activation.pass_number)
        ready += scheduler.complete(activation, fired, "s")


@pytest.mark.long
@given(shapes(max_nodes=14, joins=("all",)), routings, orders, orders)
def test_order_of_completion_does_not_matter_in_larger_graphs(
    graph: Shape, routing: Routing, order: int, other: int
) -> None:
    first, second = graph.scheduler(), graph.scheduler()

    one = run(first, graph, routing, order, first.start("s"))
    two = run(second, graph, routing, other, second.start("s"))

    assert one.per_node == two.per_node
    assert one.ended == two.ended
