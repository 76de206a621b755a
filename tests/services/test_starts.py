"""What a start wishes, and what is kept of it."""

from app.services.starts import Wishes, prepare, wishes_of
from graphwire import Graph, prepare as plan_of
from graphwire.engine.breakpoints import Breakpoint
from tests.engine.running import nothing


def test_breakpoints_of_a_start_are_kept_with_it() -> None:
    plan = plan_of(Graph("g").node("a", "function", {"function": nothing()}))
    breakpoints = [Breakpoint("a", "after", "state.n > 1", 2)]

    start = prepare(Wishes(breakpoints=breakpoints), plan)

    assert start.options.breakpoints == breakpoints
    assert wishes_of(start.kept).breakpoints == breakpoints
