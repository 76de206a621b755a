"""What a node does about failures, as fields of its definition."""

import re
from collections.abc import Iterator
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BaseModel, Field

from graphwire.errors import (
    ExpressionCost,
    ExpressionFailed,
    InputError,
    MergeConflict,
    NodeQuarantined,
    Problem,
    ReducerError,
    RoutingError,
    StateInvalid,
    StateNotSerializable,
    StateTooLarge,
    quoted,
)
from graphwire.graphs.fields import STRICT, FromList, Given, Seconds

NEVER_RETRIED: Final = frozenset(
    {
        *(error.code for error in (RoutingError, InputError, ReducerError, MergeConflict)),
        *(error.code for error in (StateTooLarge, StateNotSerializable, StateInvalid)),
        *(error.code for error in (ExpressionFailed, ExpressionCost)),
        NodeQuarantined.code,
        *("max_steps_exceeded", "loop_limit_exceeded", "no_route"),
    }
)
"""Codes of failures that lie in the graph, its state or its policies: the next attempt would meet the same."""

DEFAULT_MAX_DELAY_S: Final = 30.0

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")

ErrorName: TypeAlias = Annotated[str, Field(max_length=200)]
Pause: TypeAlias = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]


class Retry(BaseModel):
    """What follows when an attempt of a node fails: more attempts of the same activation.

    Attributes:
        max_attempts: How many attempts an activation has, the first one included.
        strategy: ``fixed`` waits ``delay_s`` each time, ``linear`` n times that before retry n, ``exponential``
            ``multiplier`` times as long as before.
        delay_s: The wait before the first retry.
        multiplier: For ``exponential``.
        max_delay_s: The longest wait, in seconds; 30, or ``delay_s`` where that is longer. Only what an upstream asks
            for (``Retry-After``) may be longer.
        jitter: ``full`` draws each wait between none and what the strategy says; ``none`` waits just that.
        on: Which failures: codes, and names of exception classes with their subclasses. Without it all that the
            node's own work fails with, unless the exception says that it is for good.
        time_budget_s: No attempt begins later than so many seconds after the first one.
    """

    model_config = STRICT

    max_attempts: int = Field(default=4, ge=1, le=1_000)
    strategy: Literal["fixed", "linear", "exponential"] = "exponential"
    delay_s: Pause = 1.0
    multiplier: float = Field(default=2.0, ge=1, le=100, allow_inf_nan=False)
    max_delay_s: Annotated[Pause | None, Given()] = None
    jitter: Literal["full", "none"] = "full"
    on: Annotated[Annotated[tuple[ErrorName, ...], FromList()] | None, Given()] = None
    time_budget_s: Annotated[Seconds | None, Given()] = None

    @property
    def longest_s(self) -> float:
        """The longest wait, also where the definition leaves it to the default."""
        return max(DEFAULT_MAX_DELAY_S, self.delay_s) if self.max_delay_s is None else self.max_delay_s


class CircuitBreaker(BaseModel):
    """Keeps attempts from what does not work at the moment.

    Attributes:
        name: Nodes that name the same share one, over all graphs; without it the node has its own.
        failure_threshold: So many failures within ``window_s`` open it.
        open_s: How long it lets nothing through.
        half_open_attempts: So many are let through after that, as tests: when they have succeeded it closes.
        on: Which failures count, as for ``Retry``.
    """

    model_config = STRICT

    name: Annotated[str | None, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_./-]{0,127}$"), Given()] = None
    failure_threshold: int = Field(default=5, ge=1, le=10_000)
    window_s: Seconds = 60.0
    open_s: Seconds = 30.0
    half_open_attempts: int = Field(default=3, ge=1, le=1_000)
    on: Annotated[Annotated[tuple[ErrorName, ...], FromList()] | None, Given()] = None


class Quarantine(BaseModel):
    """Leaves a node alone that keeps failing.

    Attributes:
        failures: So many activations in a row that failed begin it.
        duration_s: How long the node is skipped.
    """

    model_config = STRICT

    failures: int = Field(default=5, ge=1, le=10_000)
    duration_s: Seconds = 60.0


def breaker_problems(breaker: CircuitBreaker, place: str) -> Iterator[Problem]:
    """Give what is wrong with a circuit breaker whose fields are sound each for itself."""
    if breaker.on is not None:
        yield from error_name_problems(breaker.on, f"{place}/on", "counted")


def retry_problems(retry: Retry, place: str) -> Iterator[Problem]:
    """Give what is wrong with a retry policy whose fields are sound each for itself."""
    if retry.max_delay_s is not None and retry.max_delay_s < retry.delay_s:
        detail = f"must not be less than delay_s ({retry.delay_s:g})"
        yield Problem(f"{place}/max_delay_s", "invalid_value", detail)
    if retry.on is not None:
        yield from error_name_problems(retry.on, f"{place}/on", "retried")


def error_name_problems(names: tuple[str, ...], place: str, done: str) -> Iterator[Problem]:
    """Give what is wrong with a list of failures that something is to be done about."""
    if not names:
        yield Problem(place, "invalid_value", "names no failure; leave the field out for the default")
    for index, name in enumerate(names):
        if not _NAME.fullmatch(name):
            detail = f"{quoted(name)} is neither a code nor the name of a class"
            yield Problem(f"{place}/{index}", "invalid_value", detail)
        elif name in NEVER_RETRIED:
            yield Problem(
                f"{place}/{index}",
                "invalid_value",
                f"{quoted(name)} is never {done}: it lies in the graph or its state, and would come again",
            )
