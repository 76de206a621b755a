"""Which transport to take: the best that is not known to be blocked."""

from collections.abc import Callable, Sequence
from typing import Final, Literal, TypeAlias, get_args

Transport: TypeAlias = Literal["websocket", "sse", "poll"]
Wanted: TypeAlias = Literal["auto"] | Transport

TRANSPORTS: Final[tuple[Transport, ...]] = get_args(Transport)
"""From the best to the one that passes everywhere."""

FIRST_BLOCK_S: Final = 60.0
LONGEST_BLOCK_S: Final = 900.0


class TransportChoice:
    """What a client has learned about the way to its service; its streams share it.

    A transport that does not get through is left out for a minute, for twice as long whenever it fails again, up to
    a quarter of an hour; then the next connection tries it again.

    Args:
        now: Seconds of a clock that never goes back.
        offered: What there is to choose from, from the best to the one that passes everywhere.
    """

    def __init__(self, now: Callable[[], float], offered: Sequence[Transport] = TRANSPORTS) -> None:
        self._now = now
        self._offered = offered
        self._until: dict[Transport, float] = {}
        self._blocks: dict[Transport, int] = {}

    def pick(self, wanted: Wanted) -> Transport:
        """Return the transport for the next connection. The last one, polling, is never left out."""
        if wanted != "auto":
            return wanted
        now = self._now()
        return next((each for each in self._offered if self._until.get(each, now) <= now), self._offered[-1])

    def block(self, transport: Transport, wanted: Wanted) -> bool:
        """Leave a transport out that does not get through; whether another one can be tried now."""
        if wanted != "auto" or transport == TRANSPORTS[-1]:
            return False
        times = self._blocks.get(transport, 0)
        self._blocks[transport] = times + 1
        self._until[transport] = self._now() + min(FIRST_BLOCK_S * 2.0 ** min(times, 60), LONGEST_BLOCK_S)
        return True

    def works(self, transport: Transport) -> None:
        """Forget what was held against a transport: it carried something."""
        self._until.pop(transport, None)
        self._blocks.pop(transport, None)

    def has_better(self, transport: Transport, wanted: Wanted) -> bool:
        """Whether a better transport may be tried again."""
        return TRANSPORTS.index(self.pick(wanted)) < TRANSPORTS.index(transport)
