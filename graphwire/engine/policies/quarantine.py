"""When a node that keeps failing is left alone for a while. Pure: time comes in as an argument."""

from typing import Literal, TypeAlias

from graphwire.graphs.resilience import Quarantine

Cleared: TypeAlias = Literal["expired", "succeeded"]


class Isolation:
    """The quarantine of one node: ``failures`` in a row begin it, and it lasts ``duration_s``.

    After it the node runs again, and its next failure begins another one; a success clears everything.
    All times are seconds of one clock that never goes back.
    """

    def __init__(self, settings: Quarantine) -> None:
        self.settings = settings
        self.failures = 0
        self._until: float | None = None

    @property
    def is_idle(self) -> bool:
        """Whether a new one would do the same."""
        return self.failures == 0 and self._until is None

    def left_s(self, now_s: float) -> float:
        """Return for how long the node is not run; 0 if it is."""
        return 0.0 if self._until is None else max(0.0, self._until - now_s)

    def enter(self, now_s: float) -> Cleared | None:
        """The node is about to run, which it may; whether that ends a quarantine."""
        if self._until is None or self._until > now_s:
            return None
        self._until = None
        return "expired"

    def succeed(self) -> Cleared | None:
        """The node has worked; whether that ends a quarantine."""
        was_on = self._until is not None
        self.failures, self._until = 0, None
        return "succeeded" if was_on else None

    def fail(self, now_s: float) -> bool:
        """The node has failed for good; whether that begins a quarantine."""
        self.failures += 1
        if self._until is not None or self.failures < self.settings.failures:
            return False
        self._until = now_s + self.settings.duration_s
        return True
