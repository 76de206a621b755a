"""When to try again: full jitter, bounded, and never sooner than the service asks for."""

from collections.abc import Callable
from dataclasses import dataclass

from graphwire.client.errors import ClientError, ProblemError, StreamClosedError, UnexpectedAnswer


@dataclass(frozen=True, slots=True)
class Retry:
    """How a stream that broke is resumed.

    Before the first attempt it waits for a random time between 0 and ``first_s``, and the bound doubles with every
    further one, up to ``most_s``. Where the service said how long to wait (``Retry-After``,
    ``stream_closed.retry_ms``) it waits that long before, so that not all clients come back at once; the ``retry:`` of
    an event stream takes the place of ``first_s``.

    Attributes:
        attempts: So many in a row may fail; None for any number. A stream that works again begins anew.
        first_s: The bound of the first wait, in seconds.
        most_s: The bound of every wait, beyond what the service asks for.
        longest_wished_s: A service that wants more than this is given up.
    """

    attempts: int | None = 10
    first_s: float = 1.0
    most_s: float = 30.0
    longest_wished_s: float = 300.0


class Backoff:
    """The waits of one stream or request. Knows no clock."""

    def __init__(self, retry: Retry, random: Callable[[], float]) -> None:
        """Take a source of random numbers in [0, 1)."""
        self._retry = retry
        self._random = random
        self._base_s = retry.first_s
        self.attempt = 0

    def suggest(self, base_s: float) -> None:
        """Take a new bound for the first wait; it stays within that of every wait."""
        self._base_s = min(max(base_s, 0.0), self._retry.most_s)

    def reset(self) -> None:
        """Begin anew: it works."""
        self.attempt = 0

    def next(self, wished_s: float | None = None) -> float | None:
        """Count an attempt and return how many seconds to wait before it; None where none is left.

        Args:
            wished_s: How long the service wants to be left alone, if it said so.
        """
        if self._retry.attempts is not None and self.attempt >= self._retry.attempts:
            return None
        if wished_s is not None and wished_s > self._retry.longest_wished_s:
            return None
        bound = min(self._retry.most_s, self._base_s * 2.0 ** min(self.attempt, 60))
        self.attempt += 1
        return (wished_s or 0.0) + self._random() * bound


def wished_wait(failure: ClientError) -> float | None:
    """Return how long the service wants to be left alone, as a failure says it."""
    match failure:
        case ProblemError() | StreamClosedError() | UnexpectedAnswer():
            return failure.retry_after_s
        case _:
            return None
