"""What a process knows of how well its nodes work: circuit breakers and quarantines, by name."""

from collections.abc import Callable
from typing import Final, TypeVar

from graphwire.clock import Clock, SystemClock
from graphwire.engine.policies.breaker import Breaker
from graphwire.engine.policies.quarantine import Isolation
from graphwire.graphs.resilience import CircuitBreaker, Quarantine

KEPT: Final = 10_000
"""So many are kept before those are dropped that nothing is known of."""

Kept = TypeVar("Kept")


class Guards:
    """The breakers and quarantines that executions share. Used on one event loop; never stored.

    One that a definition uses under a name is whoever's has that name; the others belong to a node of a graph,
    whichever version of it runs.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._mono_ns = (clock or SystemClock()).mono_ns
        self._breakers: dict[str, Breaker] = {}
        self._isolations: dict[str, Isolation] = {}

    def now_s(self) -> float:
        """Return the time that breakers and quarantines go by."""
        return self._mono_ns() / 1e9

    def breaker(self, name: str, settings: CircuitBreaker) -> Breaker:
        """Return the breaker of that name, which goes by these settings from now on."""
        now_s = self.now_s()
        found = self._find(self._breakers, name, lambda: Breaker(settings), lambda each: each.is_idle(now_s))
        found.settings = settings
        return found

    def isolation(self, name: str, settings: Quarantine) -> Isolation:
        """Return the quarantine of the node of that name, which goes by these settings from now on."""
        found = self._find(self._isolations, name, lambda: Isolation(settings), lambda each: each.is_idle)
        found.settings = settings
        return found

    def _find(
        self, kept: dict[str, Kept], name: str, make: Callable[[], Kept], is_idle: Callable[[Kept], bool]
    ) -> Kept:
        found = kept.get(name)
        if found is None:
            if len(kept) >= KEPT and len(kept) % KEPT == 0:
                for idle in [each for each in kept if is_idle(kept[each])]:
                    del kept[idle]
            found = kept[name] = make()
        return found
