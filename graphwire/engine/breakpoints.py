"""Where an execution pauses by itself."""

from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import msgspec
from msgspec import Struct

from graphwire.engine.attempt import Attempt
from graphwire.engine.plan import Plan
from graphwire.engine.report import Reporter
from graphwire.engine.state import State
from graphwire.errors import ExpressionFailed, ExpressionInvalid, InvalidInput, Problem, quoted
from graphwire.graphs.expressions import Expression, compile_expression
from graphwire.json_text import pointer
from graphwire.near_names import NearNames


class Breakpoint(Struct, frozen=True, omit_defaults=True):
    """A place to pause at.

    Attributes:
        node: Its id, that of one inside a body too.
        when: ``before`` the node runs, or ``after`` it was committed.
        condition: An expression over the state; it does not count where that is false.
        hits: It pauses from so many hits on; from the first if there is no number.
        counted: How many hits there were.
    """

    node: str
    when: Literal["before", "after"] = "before"
    condition: str | None = None
    hits: int | None = None
    counted: int = 0


class Hit(Struct, frozen=True):
    """A breakpoint pauses the execution."""

    breakpoint: Breakpoint
    number: int


class _Watched:
    """A breakpoint of one execution."""

    __slots__ = ("breakpoint", "condition", "count", "has_complained")

    def __init__(self, breakpoint: Breakpoint) -> None:
        self.breakpoint = breakpoint
        self.condition: Expression | None = None
        if breakpoint.condition is not None:
            self.condition = compile_expression(breakpoint.condition)
        self.count = breakpoint.counted
        self.has_complained = False


class Breakpoints:
    """The breakpoints of one execution."""

    def __init__(self, reporter: Reporter | None) -> None:
        self._report = reporter
        self._watched: list[_Watched] = []

    def __bool__(self) -> bool:
        return bool(self._watched)

    def __iter__(self) -> Iterator[Breakpoint]:
        """Iterate over them as they stand, in the order given."""
        return (msgspec.structs.replace(each.breakpoint, counted=each.count) for each in self._watched)

    def set(self, breakpoints: Sequence[Breakpoint]) -> None:
        """Replace all of them. They must be valid for the plan."""
        self._watched = [_Watched(each) for each in breakpoints]

    def hit(self, attempt: Attempt, when: str, state: Callable[[], State | None]) -> Hit | None:
        """Count what is hit by this attempt; return the first that pauses.

        Args:
            state: Gives what a condition looks at; None where there is nothing to look at.
        """
        found: Hit | None = None
        for watched in self._watched:
            breakpoint = watched.breakpoint
            if breakpoint.node != attempt.node.id or breakpoint.when != when:
                continue
            if watched.condition is not None and not self._holds(watched, watched.condition, attempt, state):
                continue
            watched.count += 1
            if found is None and watched.count >= (breakpoint.hits or 1):
                found = Hit(breakpoint, watched.count)
        return found

    def _holds(
        self, watched: _Watched, condition: Expression, attempt: Attempt, state: Callable[[], State | None]
    ) -> bool:
        looked_at = state()
        if looked_at is None:
            return False
        try:
            return condition.evaluate_condition({"state": looked_at.view()})
        except ExpressionFailed as error:
            if not watched.has_complained and self._report is not None:
                watched.has_complained = True
                facts = {"node": attempt.node.id, "expression": condition.text}
                self._report.diagnostic(attempt, error.code, "warning", f"breakpoint: {error.detail}", facts)
            return False


def require_valid(breakpoints: Sequence[Breakpoint], plan: Plan, *, at: str = "") -> None:
    """Check breakpoints against a plan.

    Args:
        at: Begins the pointers.

    Raises:
        InvalidInput: With every problem: a node that is not there, a condition that does not compile.
    """
    problems: list[Problem] = []
    known: set[str] | None = None
    near = NearNames()
    for index, breakpoint in enumerate(breakpoints):
        if breakpoint.node not in plan.index:
            known = known or set(node_ids(plan))
            if breakpoint.node not in known:
                detail = f"there is no node {quoted(breakpoint.node)}{near(breakpoint.node, known)}"
                problems.append(Problem(at + pointer(index, "node"), "unknown_node", detail))
        if breakpoint.condition is not None:
            try:
                compile_expression(breakpoint.condition)
            except ExpressionInvalid as error:
                place = at + pointer(index, "condition")
                problems += [Problem(place, each.code, each.detail, each.line, each.column) for each in error.problems]
    if problems:
        raise InvalidInput("a breakpoint is wrong" if len(problems) > 1 else problems[0].detail, problems)


def node_ids(plan: Plan) -> Iterator[str]:
    """Iterate over the ids of all nodes, those inside bodies and of graphs that it runs included."""
    waiting, seen = [plan], {id(plan)}
    for each in waiting:
        for node in each.nodes:
            yield node.id
            if node.body is not None and id(node.body) not in seen:  # several nodes may run the same graph
                seen.add(id(node.body))
                waiting.append(node.body)
