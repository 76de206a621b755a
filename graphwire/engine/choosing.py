"""Choosing among a node's edges, as a computation whose result says where to go."""

from graphwire.engine.results import Goto
from graphwire.errors import NoRoute
from graphwire.graphs.behaviour import Choose, Compute, StateReader


def chooser(choose: Choose) -> Compute:
    """Return what carries out a choice. Its result is a ``Goto`` with one target.

    Raises, when it is carried out:
        ExpressionFailed: A condition looked at failed, or gave neither true nor false.
        NoRoute: No case holds, and there is no default.
    """

    def compute(state: StateReader) -> Goto:
        roots = {"state": state}
        for condition, target in choose.cases:
            if condition.evaluate_condition(roots):
                return goto(target)
        if choose.default is None:
            raise NoRoute("no case holds, and there is no default")
        return goto(choose.default)

    def goto(target: str) -> Goto:
        return Goto(target, {choose.output: target} if choose.output else None)

    return Compute(compute)
