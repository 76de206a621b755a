"""Which edges fire after an attempt: expressions on the new state, in definition order."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from graphwire.engine.plan import EdgePlan, NodePlan, Route
from graphwire.engine.results import Goto
from graphwire.errors import ExpressionFailed, RoutingError, quoted

Observe: TypeAlias = Callable[[EdgePlan, bool], None]
Complain: TypeAlias = Callable[[EdgePlan, ExpressionFailed], None]


NOWHERE = Route((), [])


def after_success(node: NodePlan, roots: Mapping[str, Any], goto: Goto | None, observe: Observe | None) -> Route:
    """Return what fires when an attempt succeeded.

    Raises:
        RoutingError: An expression failed, or a ``Goto`` has a target that is no name or that the node does not list.
    """
    fired: list[EdgePlan] = []
    if goto is None or goto.append:
        fired = _successes(node, roots, observe, complain=None)
    route = _route(fired + _always(node, roots, observe, complain=None))
    return route if goto is None else _with_jumps(node, route, goto)


def after_failure(
    node: NodePlan, roots: Mapping[str, Any], observe: Observe | None, complain: Complain
) -> Route | None:
    """Return what fires if the node's error edges handle the failure; None if none of them fires.

    While a failure is handled an expression that fails counts as false and is told to ``complain``.
    """
    errors = [edge for edge in node.edges if edge.on == "error" and _holds(edge, roots, observe, complain)]
    if not errors:
        return None
    return _route(errors + _always(node, roots, observe, complain))


def after_continue(node: NodePlan, roots: Mapping[str, Any], observe: Observe | None, complain: Complain) -> Route:
    """Return what fires under ``on_error: continue``: as on success, with ``result`` null."""
    return _route(_successes(node, roots, observe, complain) + _always(node, roots, observe, complain))


def after_skip(node: NodePlan, roots: Mapping[str, Any], observe: Observe | None, complain: Complain) -> Route:
    """Return what fires under ``on_error: skip``: the ``always`` edges."""
    return _route(_always(node, roots, observe, complain))


def ignore(edge: EdgePlan, failure: ExpressionFailed) -> None:
    """Complain to nobody."""


def _always(
    node: NodePlan, roots: Mapping[str, Any], observe: Observe | None, complain: Complain | None
) -> list[EdgePlan]:
    return [edge for edge in node.edges if edge.on == "always" and _holds(edge, roots, observe, complain)]


def _successes(
    node: NodePlan, roots: Mapping[str, Any], observe: Observe | None, complain: Complain | None
) -> list[EdgePlan]:
    successes = [edge for edge in node.edges if edge.on == "success"]
    fired = [edge for edge in successes if not edge.is_else and _holds(edge, roots, observe, complain)]
    if fired:
        return fired
    return [edge for edge in successes if edge.is_else and _holds(edge, roots, observe, complain)]


def _holds(edge: EdgePlan, roots: Mapping[str, Any], observe: Observe | None, complain: Complain | None) -> bool:
    if edge.when is None:
        return True
    try:
        value = edge.when.evaluate_condition(roots)
    except ExpressionFailed as failure:
        if complain is None:
            raise RoutingError(f"edge {quoted(edge.id)}: {failure.detail}", edge=edge.id) from failure
        complain(edge, failure)
        return False
    if observe is not None:
        observe(edge, value)
    return value


def _route(edges: list[EdgePlan]) -> Route:
    edges.sort(key=lambda edge: edge.index)
    return Route(tuple(edge.index for edge in edges), [edge.id for edge in edges])


def _with_jumps(node: NodePlan, route: Route, goto: Goto) -> Route:
    fired = dict(zip(route.fired, route.ids, strict=True))
    for target in goto.names:
        edge = node.goto.get(target)
        if edge is None:
            allowed = ", ".join(node.goto) or "none"
            raise RoutingError(
                f"node {quoted(node.id)} went to {quoted(target)}, which its goto does not list ({allowed})"
            )
        fired[edge.index] = edge.id
    ordered = sorted(fired)
    return Route(tuple(ordered), [fired[index] for index in ordered])
