"""Turning what a caller wishes into what the engine starts."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from graphwire.engine.options import Options
from graphwire.engine.plan import Plan
from graphwire.engine.runner import Start
from graphwire.errors import InvalidInput, Problem, StateInvalid, StateNotSerializable, quoted
from graphwire.graphs.state_schema import StateSchema
from graphwire.json_text import pointer
from graphwire.near_names import NearNames
from graphwire.types import Detail, Durability, Ordering
from graphwire.values import freeze, thaw

_RESERVED = "errors"


@dataclass(frozen=True, slots=True)
class Wishes:
    """How an execution is to start.

    Attributes:
        state: Replaces initial values of the graph, key by key.
        version: None for the newest.
        entry: None for the graph's.
        seed: None for a drawn one.
        limits: Those that replace the graph's, by name.
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
    metadata: Mapping[str, Any] = field(default_factory=dict)


def prepare(wishes: Wishes, plan: Plan, schema: StateSchema | None) -> Start:
    """Check a start against its graph and make it ready.

    Raises:
        StateInvalid: The state is too large, names a reserved key, or does not fit the graph's schema.
        InvalidInput: An entry is no node of the graph.
    """
    near = NearNames()
    entry_problems = [
        Problem(pointer("entry", index), "unknown_node", f"there is no node {quoted(name)}{near(name, plan.index)}")
        for index, name in enumerate(wishes.entry or ())
        if name not in plan.index
    ]
    if entry_problems:
        raise InvalidInput("an entry is no node of this graph", entry_problems)
    state = _frozen(wishes.state, plan, schema)
    seed = secrets.randbits(63) if wishes.seed is None else wishes.seed
    limits = wishes.limits
    told = {
        "version": plan.version,
        "durability": wishes.durability,
        "detail": wishes.detail,
        "ordering": wishes.ordering,
        "on_disconnect": wishes.on_disconnect,
        "limits": dict(limits),
        "metadata": wishes.metadata,
    }
    kept = {**told, "seed": seed, "entry": wishes.entry, "state": wishes.state}
    return Start(
        state=state,
        options=Options(
            seed=seed,
            entry=wishes.entry,
            in_order=wishes.ordering == "deterministic",
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
    )


def _frozen(given: Mapping[str, Any], plan: Plan, schema: StateSchema | None) -> dict[str, bytes]:
    if _RESERVED in given:
        problem = Problem(pointer("state", _RESERVED), "reserved_key", "only the engine writes this key")
        raise StateInvalid("the state names a reserved key", [problem])
    frozen: dict[str, bytes] = {}
    problems: list[Problem] = []
    for key, value in given.items():
        try:
            frozen[key] = freeze(value)
        except StateNotSerializable as error:
            problems.append(Problem(pointer("state", key), error.code, error.detail))
    if problems:
        raise StateInvalid("the state cannot be kept", problems)
    size = sum(len(key) + len(value) for key, value in {**plan.initial, **frozen}.items())
    if size > plan.max_state_bytes:
        detail = f"the state has {size:,} bytes; the limit is {plan.max_state_bytes:,} (limits.max_state_bytes)"
        raise StateInvalid(detail, [Problem("/state", "state_too_large", detail)])
    if schema is not None:
        whole = {**{key: thaw(value) for key, value in plan.initial.items()}, **given}
        found = schema.problems(whole, at="/state")
        if found:
            raise StateInvalid("the state does not fit the graph's schema", found)
    return frozen
