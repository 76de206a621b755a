"""Points in time as they stand on the wire: RFC 3339, UTC, always six digits of microseconds and ``Z``."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@lru_cache(maxsize=4)  # executions that begin in the same second share it; each also asks for second 0
def format_second(second: int) -> str:
    """Return a whole second since the Unix epoch up to and with the decimal point: ``2026-11-20T19:45:30.``."""
    return f"{(_EPOCH + timedelta(seconds=second)).strftime('%Y-%m-%dT%H:%M:%S')}."


def format_timestamp(wall_ns: int) -> str:
    """Return nanoseconds since the Unix epoch as ``2026-11-20T19:45:30.123456Z``; what is below is cut off."""
    second, rest = divmod(wall_ns, 1_000_000_000)
    return f"{format_second(second)}{rest // 1000:06d}Z"


def parse_timestamp(text: str) -> int:
    """Return a timestamp in nanoseconds since the Unix epoch.

    Raises:
        ValueError: The text is no timestamp, or names no offset.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a timestamp without offset")
    return (moment - _EPOCH) // _MICROSECOND * 1000
