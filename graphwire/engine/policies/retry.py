"""Whether a failed attempt is followed by another, and after how long. Pure: time and chance come in as arguments."""

import hashlib
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final, Self

from graphwire.graphs.resilience import NEVER_RETRIED, Retry

BLOCKED: Final = "circuit_breaker_open"
NAMED_ONLY: Final = frozenset({BLOCKED, "interrupt_expired"})
"""Failures without work of the node's own: a breaker let nothing through, nobody answered. Retried only by name."""


@dataclass(frozen=True, slots=True)
class Failed:
    """What a policy looks at of a failure.

    Attributes:
        names: What it may be called in a policy; its code is one of them.
        is_for_good: The exception says that trying again is of no use.
        retry_after_s: What the upstream asks for.
    """

    code: str
    names: AbstractSet[str]
    is_for_good: bool = False
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a node is tried again. See ``graphs.resilience.Retry`` for what the fields mean."""

    max_attempts: int
    strategy: str
    delay_s: float
    multiplier: float
    max_delay_s: float
    has_jitter: bool
    on: frozenset[str] | None
    time_budget_s: float | None

    @classmethod
    def of(cls, retry: Retry) -> Self:
        return cls(
            max_attempts=retry.max_attempts,
            strategy=retry.strategy,
            delay_s=retry.delay_s,
            multiplier=retry.multiplier,
            max_delay_s=retry.longest_s,
            has_jitter=retry.jitter == "full",
            on=None if retry.on is None else frozenset(retry.on),
            time_budget_s=retry.time_budget_s,
        )

    def covers(self, failed: Failed) -> bool:
        """Whether failures of this kind are retried at all."""
        return covers(self.on, failed)

    def after(self, tries: int, failed: Failed, *, used_s: float, draw: float) -> float | None:
        """Return the seconds to wait before the next attempt; None if this one was the last.

        Args:
            tries: Attempts so far, the failed one included.
            used_s: Since the first one began.
            draw: From 0 to 1, at random.
        """
        if tries >= self.max_attempts or not self.covers(failed):
            return None
        wait_s = self.back_off_s(tries)
        if self.has_jitter:
            wait_s *= draw
        if failed.retry_after_s is not None:
            wait_s = max(wait_s, failed.retry_after_s)
        if self.time_budget_s is not None and used_s + wait_s > self.time_budget_s:
            return None
        return wait_s

    def back_off_s(self, tries: int) -> float:
        """Return what the strategy says after so many attempts, without jitter."""
        if self.strategy == "fixed":
            return min(self.delay_s, self.max_delay_s)
        if self.strategy == "linear":
            return min(self.delay_s * tries, self.max_delay_s)
        if self.delay_s == 0:
            return 0.0
        try:
            grown = self.delay_s * self.multiplier ** (tries - 1)
        except OverflowError:
            return self.max_delay_s
        return min(grown, self.max_delay_s)


def covers(on: AbstractSet[str] | None, failed: Failed) -> bool:
    """Whether a list of names means a failure; without one all but those that are for good and blocked ones."""
    if failed.code in NEVER_RETRIED:
        return False
    if on is not None:
        return not on.isdisjoint(failed.names)
    return not failed.is_for_good and failed.code not in NAMED_ONLY


def draw(seed: int, activation: str, attempt: int) -> float:
    """Return a number from 0 to 1 that follows from an execution's seed, an activation and the number of a try."""
    name = f"{seed}:{activation}:retry:{attempt}".encode()
    return int.from_bytes(hashlib.blake2b(name, digest_size=7).digest()) / (1 << 56)
