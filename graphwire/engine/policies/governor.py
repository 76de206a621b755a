"""How fast nodes begin when the machine is busy: pure decisions. The time is given with each call."""

from collections.abc import Callable, Mapping
from typing import Final

from msgspec import Struct

from graphwire.engine.policies.line import Line
from graphwire.types import Priority

FACTORS: Final[Mapping[Priority, float]] = {"critical": 0.5, "high": 0.6, "normal": 1.0, "low": 1.5}
LEAST_COST: Final = 0.5
LEAST_SHARE: Final = 0.1
"""Of the rate, while the machine is at its limit: then only what is critical begins."""


class Options(Struct, frozen=True):
    """How much a service lets its nodes do.

    Attributes:
        cpu_percent, cpu_soft_percent: From the lower one on less begins, from the higher one on only what is critical.
        memory_mb: Of free memory; below it likewise.
        rate: Permits a second.
        burst: Most permits that gather while nobody takes any.
        max_wait_s: How long a node waits for a permit before it fails; None for as long as it takes.

    Raises:
        ValueError: They make no sense.
    """

    cpu_percent: float = 85.0
    cpu_soft_percent: float = 70.0
    memory_mb: float = 512.0
    rate: float = 50.0
    burst: float = 100.0
    max_wait_s: float | None = None

    def __post_init__(self) -> None:
        if self.cpu_soft_percent > self.cpu_percent:
            raise ValueError("the lower limit of the CPU lies above the higher one")
        if self.rate <= 0 or self.burst < 1:
            raise ValueError("there has to be some rate, and a burst of at least 1")


PRESETS: Final[Mapping[str, Options]] = {
    "default": Options(),
    "development": Options(cpu_percent=95, cpu_soft_percent=80, memory_mb=256, rate=200, burst=500),
    "production": Options(cpu_percent=80, cpu_soft_percent=65, memory_mb=2_048, rate=50, burst=100),
    "performance": Options(cpu_percent=98, cpu_soft_percent=83, memory_mb=128, rate=1_000, burst=2_000),
}


def charge(cost: float, priority: Priority) -> float:
    """Return how many permits a node takes."""
    return max(LEAST_COST, cost * FACTORS[priority])


class Lease:
    """Permits that a node has. Whoever has it releases it, once or more often."""

    __slots__ = ("_governor", "_permits", "is_held")

    def __init__(self, governor: "Governor", permits: float) -> None:
        self._governor = governor
        self._permits = permits
        self.is_held = True
        governor.held += 1

    def release(self) -> None:
        """The node is over. Idempotent."""
        if self.is_held:
            self.is_held = False
            self._governor.held -= 1

    def give_back(self) -> None:
        """The node did not begin at all: others may have the permits. Idempotent."""
        if self.is_held:
            self.release()
            self._governor.refund(self._permits)


class Waiter:
    """Somebody who waits for permits; ``told`` is called once, with the lease, or with None when it took too long."""

    __slots__ = ("permits", "priority", "since_s", "told")

    def __init__(
        self, permits: float, priority: Priority, since_s: float, told: Callable[[Lease | None], None]
    ) -> None:
        self.permits = permits
        self.priority = priority
        self.since_s = since_s
        self.told = told


class Governor:
    """A bucket of permits that fills with time, and those who wait for some.

    Attributes:
        held: Leases that are not released.
        exhausted: How often somebody had to wait, or waited too long.
        exhausted_s: When that was last; None where it never was.
    """

    def __init__(self, options: Options, now_s: float) -> None:
        self.options = options
        self.held = 0
        self.exhausted = 0
        self.exhausted_s: float | None = None
        self.cpu_percent: float | None = None
        self.memory_mb: float | None = None
        self._tokens = options.burst
        self._at_s = now_s
        self._line: Line[Waiter] = Line()
        self._arrivals = 0

    @property
    def is_at_limit(self) -> bool:
        """Whether only what is critical begins."""
        options = self.options
        is_short = self.memory_mb is not None and self.memory_mb < options.memory_mb
        return is_short or (self.cpu_percent is not None and self.cpu_percent >= options.cpu_percent)

    @property
    def rate(self) -> float:
        """Permits a second, as busy as the machine is."""
        options, cpu = self.options, self.cpu_percent
        if self.is_at_limit:
            return options.rate * LEAST_SHARE
        if cpu is None or cpu <= options.cpu_soft_percent:
            return options.rate
        over = (cpu - options.cpu_soft_percent) / (options.cpu_percent - options.cpu_soft_percent)
        return options.rate * (1 - over * (1 - LEAST_SHARE))

    def tokens(self, now_s: float) -> float:
        """Return how many permits there are."""
        self._tokens = min(self.options.burst, self._tokens + max(0.0, now_s - self._at_s) * self.rate)
        self._at_s = max(now_s, self._at_s)
        return self._tokens

    def counts(self) -> dict[Priority, int]:
        """Return how many wait with each priority, where somebody does."""
        return self._line.counts()

    def measured(self, cpu_percent: float | None, memory_mb: float | None, now_s: float) -> None:
        """Take what was measured; None is not known. ``serve`` follows."""
        self.tokens(now_s)  # until now they came at the rate before
        self.cpu_percent, self.memory_mb = cpu_percent, memory_mb

    def take(self, cost: float, priority: Priority, now_s: float) -> Lease | None:
        """Return a lease at once; None where one has to wait."""
        if len(self._line) or (self.is_at_limit and priority != "critical"):
            return None
        return self._granted(self._permits(cost, priority), now_s)

    def wait(self, cost: float, priority: Priority, now_s: float, told: Callable[[Lease | None], None]) -> Waiter:
        """Wait for a lease; ``cancel`` ends the wait. ``serve`` follows."""
        waiter = Waiter(self._permits(cost, priority), priority, now_s, told)
        self._arrivals += 1
        self._line.add(waiter, priority, number=self._arrivals, since_s=now_s)
        self._exhaust(now_s)
        return waiter

    def cancel(self, waiter: Waiter) -> None:
        """Let one go that waits. Idempotent."""
        self._line.remove(waiter)

    def refund(self, permits: float) -> None:
        """Put permits back that were not used."""
        self._tokens = min(self.options.burst, self._tokens + permits)

    def serve(self, now_s: float) -> float | None:
        """Tell those whose turn it is; return after how long to look again, None where nobody waits."""
        limit_s = self.options.max_wait_s
        while limit_s is not None and len(self._line) and self._line.oldest_s(now_s) >= limit_s:
            for waiter in self._line.overdue(now_s - limit_s):
                self._line.remove(waiter)
                self._exhaust(now_s)
                waiter.told(None)
        while (waiter_ := self._next(now_s)) is not None:
            lease = self._granted(waiter_.permits, now_s)
            if lease is None:
                return max(0.001, (waiter_.permits - self._tokens) / self.rate)
            self._line.remove(waiter_)
            waiter_.told(lease)
        return 1.0 if len(self._line) else None

    def _next(self, now_s: float) -> Waiter | None:
        if self.is_at_limit:
            return self._line.first_of("critical")
        head = self._line.first(now_s)
        return None if head is None else head[1]

    def _granted(self, permits: float, now_s: float) -> Lease | None:
        if self.tokens(now_s) < permits - 1e-9:
            return None
        self._tokens -= permits
        return Lease(self, permits)

    def _permits(self, cost: float, priority: Priority) -> float:
        return min(charge(cost, priority), self.options.burst)  # what costs more than ever gathers begins all the same

    def _exhaust(self, now_s: float) -> None:
        self.exhausted += 1
        self.exhausted_s = now_s
