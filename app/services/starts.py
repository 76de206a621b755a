"""Turning what a caller wishes into what the engine starts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from graphwire.engine.breakpoints import Breakpoint, require_valid
from graphwire.engine.options import Options
from graphwire.engine.plan import Plan
from graphwire.engine.policies.admission import FREE, Rules
from graphwire.engine.ports import Claim
from graphwire.engine.runner import Start
from graphwire.engine.start_state import freeze_start
from graphwire.errors import InvalidInput, Problem, StateInvalid, quoted
from graphwire.graphs.shape import PROBLEMS_LIMIT
from graphwire.ids import draw_seed
from graphwire.json_text import pointer
from graphwire.near_names import NearNames
from graphwire.types import Detail, Durability, Ordering, Priority


@dataclass(frozen=True, slots=True)
class Wishes:
    """How an execution is to start.

    Attributes:
        state: Replaces initial values of the graph, key by key.
        version: None for the newest.
        entry: None for the graph's.
        seed: None for a drawn one.
        limits: Those that replace the graph's, by name.
        priority: Decides who is first where executions wait.
    """

    state: Mapping[str, Any] = field(default_factory=dict)
    version: int | None = None
    entry: Sequence[str] | None = None
    seed: int | None = None
    limits: Mapping[str, Any] = field(default_factory=dict)
    durability: Durability = "async"
    detail: Detail = "standard"
    ordering: Ordering = "as_finished"
    on_disconnect: Literal["continue", "cancel"] = "continue"
    breakpoints: Sequence[Breakpoint] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    priority: Priority = "normal"


class _Wishes(msgspec.Struct):
    """``Start.kept``, read again. What it does not have was left to the default."""

    seed: int
    version: int | None = None
    state: dict[str, Any] = {}
    entry: list[str] | None = None
    limits: dict[str, Any] = {}
    durability: Durability = "async"
    detail: Detail = "standard"
    ordering: Ordering = "as_finished"
    on_disconnect: Literal["continue", "cancel"] = "continue"
    breakpoints: list[Breakpoint] = []
    metadata: dict[str, Any] = {}
    priority: Priority = "normal"


def wishes_of(kept: bytes) -> Wishes:
    """Return the wishes that were stored as ``Start.kept``; the seed is the one that was drawn.

    Raises:
        ValueError: It is no such document.
    """
    return Wishes(**msgspec.structs.asdict(msgspec.json.decode(kept, type=_Wishes)))


def rules_of(plan: Plan, wishes: Wishes) -> Rules:
    """Return what a graph says of executions of it that run at once, and the start instead of it."""
    definition = plan.definition
    limit = wishes.limits.get("max_running", definition.limits.max_running)
    overlap = definition.on_overlap or ("allow" if limit is None else "queue")
    return FREE if overlap == "allow" else Rules(limit or 1, overlap)


def prepare(wishes: Wishes, plan: Plan, claim: Claim | None = None) -> Start:
    """Check a start against its graph and make it ready.

    Raises:
        StateInvalid: The state is too large, names a reserved key, or does not fit the graph's schema.
        InvalidInput: An entry, or what a breakpoint names, is no node of the graph; a condition does not compile.
    """
    near = NearNames()
    strange = [(index, name) for index, name in enumerate(wishes.entry or ()) if name not in plan.index]
    unknown = [
        Problem(pointer("entry", index), "unknown_node", f"there is no node {quoted(name)}{near(name, plan.index)}")
        for index, name in strange[:PROBLEMS_LIMIT]
    ]
    left_out = len(strange) - len(unknown)
    try:
        state = freeze_start(wishes.state, plan)
    except StateInvalid as error:
        if unknown:
            raise InvalidInput(
                "the entry and the state are wrong",
                [*unknown, *error.problems],
                left_out=left_out + error.left_out,
            ) from None
        raise
    if unknown:
        raise InvalidInput("an entry is no node of this graph", unknown, left_out=left_out)
    require_valid(wishes.breakpoints, plan, at="/breakpoints")
    seed = draw_seed() if wishes.seed is None else wishes.seed
    limits = wishes.limits
    told: dict[str, Any] = {
        "version": plan.version,
        "durability": wishes.durability,
        "detail": wishes.detail,
        "ordering": wishes.ordering,
        "on_disconnect": wishes.on_disconnect,
        "limits": dict(limits),
        **({"breakpoints": wishes.breakpoints} if wishes.breakpoints else {}),
        "metadata": wishes.metadata,
    }
    if wishes.priority != "normal":
        told["priority"] = wishes.priority
    kept = {**told, "seed": seed, "entry": wishes.entry, "state": wishes.state, "graphs": plan.graphs}
    return Start(
        state=state,
        options=Options(
            seed=seed,
            entry=wishes.entry,
            in_order=wishes.ordering == "deterministic",
            breakpoints=wishes.breakpoints,
            max_steps=limits.get("max_steps"),
            max_parallelism=limits.get("max_parallelism"),
            max_state_bytes=limits.get("max_state_bytes"),
            max_events_per_activation=limits.get("max_events_per_activation"),
        ),
        durability=wishes.durability,
        detail=wishes.detail,
        timeout_s=limits.get("timeout_s"),
        node_timeout_s=limits.get("node_timeout_s"),
        told=msgspec.json.encode(told),
        kept=msgspec.json.encode(kept),
        claim=claim,
        priority=wishes.priority,
    )


class _Kept(msgspec.Struct):
    graphs: dict[str, int] = {}


def graphs_of(kept: bytes) -> Mapping[str, int]:
    """Return the versions of the graphs that a stored start's graph runs (``Plan.graphs``)."""
    return msgspec.json.decode(kept, type=_Kept).graphs
