"""How one execution runs, fixed at its start."""

from collections.abc import Sequence

from msgspec import Struct

from graphwire.engine.breakpoints import Breakpoint


class Options(Struct, frozen=True):
    """How an execution runs, fixed at its start.

    Attributes:
        entry: Entry nodes by id; None for the definition's.
        breakpoints: Valid for the plan.
        tracebacks: Errors show where in the code they were raised.
        max_steps, max_parallelism, max_state_bytes, max_events_per_activation: None for the plan's.
    """

    seed: int = 0
    entry: Sequence[str] | None = None
    in_order: bool = False
    max_steps: int | None = None
    max_parallelism: int | None = None
    max_state_bytes: int | None = None
    max_events_per_activation: int | None = None
    breakpoints: Sequence[Breakpoint] = ()
    tracebacks: bool = False
