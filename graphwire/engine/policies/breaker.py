"""A circuit breaker as a state machine. Pure: time comes in as an argument."""

from collections import deque
from typing import Literal, NamedTuple, TypeAlias

from graphwire.graphs.resilience import CircuitBreaker

State: TypeAlias = Literal["closed", "open", "half_open"]


class Change(NamedTuple):
    """A breaker's state became another one."""

    old: State
    new: State


class Permit(NamedTuple):
    """An attempt may run.

    Attributes:
        round: Which time of the breaker it belongs to; what comes of it later counts for nothing.
        is_test: It is one of those that show whether the breaker may close.
    """

    round: int
    is_test: bool


class Blocked(NamedTuple):
    """An attempt may not run.

    Attributes:
        retry_after_s: Until then nothing will be let through.
    """

    retry_after_s: float


class Breaker:
    """Lets attempts through while what they call works, and few of them while it may not.

    *Closed*: all run; ``failure_threshold`` failures within ``window_s`` open it. *Open*: none run, for ``open_s``.
    *Half-open* after that: ``half_open_attempts`` run as tests; when so many have succeeded it closes, and one that
    fails opens it again.

    Every permit is given back once: by ``succeed``, ``fail`` or ``release``. All times are seconds of one clock that
    never goes back.

    Attributes:
        state: What it was left in; an open one whose time is over becomes half-open at the next ``enter``.
    """

    def __init__(self, settings: CircuitBreaker) -> None:
        self.settings = settings
        self.state: State = "closed"
        self._failed_at: deque[float] = deque()
        self._opened_at = 0.0
        self._round = 0
        self._testing = 0
        self._passed = 0

    def failure_count(self, now_s: float) -> int:
        """Return the failures within the window."""
        while self._failed_at and self._failed_at[0] <= now_s - self.settings.window_s:
            self._failed_at.popleft()
        return len(self._failed_at)

    def is_idle(self, now_s: float) -> bool:
        """Whether a new one would do the same."""
        return self.state == "closed" and not self.failure_count(now_s)

    def enter(self, now_s: float) -> tuple[Permit | Blocked, Change | None]:
        """Ask for an attempt."""
        change = None
        if self.state == "open":
            left_s = self._opened_at + self.settings.open_s - now_s
            if left_s > 0:
                return Blocked(left_s), None
            change = self._become("half_open")
        if self.state == "half_open":
            if self._testing + self._passed >= self.settings.half_open_attempts:
                return Blocked(0.0), change
            self._testing += 1
            return Permit(self._round, is_test=True), change
        return Permit(self._round, is_test=False), None

    def succeed(self, permit: Permit) -> Change | None:
        """What was let through has worked."""
        if permit.round != self._round or not permit.is_test:
            return None
        self._testing -= 1
        self._passed += 1
        return self._become("closed") if self._passed >= self.settings.half_open_attempts else None

    def fail(self, permit: Permit, now_s: float) -> Change | None:
        """What was let through has failed."""
        if permit.round != self._round:
            return None
        self._failed_at.append(now_s)
        if self.failure_count(now_s) > self.settings.failure_threshold:
            self._failed_at.popleft()
        if permit.is_test or self.failure_count(now_s) >= self.settings.failure_threshold:
            self._opened_at = now_s
            return self._become("open")
        return None

    def release(self, permit: Permit) -> None:
        """What was let through has neither worked nor failed: it was cancelled, or failed for reasons of its own."""
        if permit.round == self._round and permit.is_test:
            self._testing -= 1

    def _become(self, state: State) -> Change:
        change = Change(self.state, state)
        self.state = state
        self._round += 1
        self._testing = self._passed = 0
        if state == "closed":
            self._failed_at.clear()
        return change
