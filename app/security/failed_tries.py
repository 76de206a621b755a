"""How often an address may offer a wrong key."""

from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from math import ceil


class FailedTries:
    """Counts wrong keys by address, in bounded memory.

    An address with ``limit`` failures within ``window_s`` is not heard until the oldest is over, not even with the
    right key: else it could go on guessing. The exception is an address that the right key came from before. It may
    be a proxy's, which everybody shares: one of them must not lock the others out. What is wrong from there can
    only be answered late.

    Args:
        clock: Seconds that never go back.
        max_addresses: How many are remembered; the oldest are forgotten.
    """

    def __init__(
        self, clock: Callable[[], float], *, limit: int = 10, window_s: float = 60.0, max_addresses: int = 10_000
    ) -> None:
        self._clock = clock
        self._limit = limit
        self._window_s = window_s
        self._max_addresses = max_addresses
        self._failed: dict[str, list[float]] = {}
        self._known: dict[str, None] = {}

    def wait_s(self, address: str) -> int:
        """Return the whole seconds until an address may be wrong again; 0 where it may be now."""
        if not self._failed:
            return 0
        network = _network(address)
        recent = [moment for moment in self._failed.get(network, ()) if self._clock() - moment < self._window_s]
        if not recent:
            self._failed.pop(network, None)
        if len(recent) < self._limit:
            return 0
        return max(1, ceil(recent[0] + self._window_s - self._clock()))

    def is_known(self, address: str) -> bool:
        """Return whether the right key has come from an address."""
        return address in self._known

    def add_failure(self, address: str) -> None:
        """Remember that an address was wrong."""
        network = _network(address)
        moments = self._failed.pop(network, [])
        self._failed[network] = [*moments[1 - self._limit :], self._clock()]
        _forget(self._failed, self._max_addresses)

    def add_success(self, address: str) -> None:
        """Remember that the right key came from an address."""
        if address not in self._known:
            self._known[address] = None
            _forget(self._known, self._max_addresses)


def _forget(remembered: dict[str, list[float]] | dict[str, None], most: int) -> None:
    while len(remembered) > most:
        del remembered[next(iter(remembered))]


@lru_cache(maxsize=1_024)
def _network(address: str) -> str:
    """Return what one caller has at least: all of a /64 of IPv6 belongs to one."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    return str(parsed.ipv4_mapped or parsed.exploded[:19])
