"""What deletions freed in a SQLite file, given back to the system."""

import sqlite3
from collections.abc import Callable
from contextlib import closing

KEPT_BYTES = 16 * 1024 * 1024
KEPT_SHARE = 8
"""One part of so many stays free for what comes, since taking room anew costs more than using what is there."""
_INCREMENTAL = 2


def spare_pages(free: int, total: int, page_bytes: int) -> int:
    """Return how many of a file's free pages are more than it needs."""
    return max(0, free - max(total // KEPT_SHARE, KEPT_BYTES // page_bytes))


def reclaim(connect: Callable[[], sqlite3.Connection], max_bytes: int) -> bool:
    """Make the file a little smaller, in one short transaction; whether there is more to give back.

    The file itself shrinks with the next checkpoint of its log.

    Raises:
        sqlite3.Error: Not now.
    """
    with closing(connect()) as connection:
        if _ask(connection, "auto_vacuum") != _INCREMENTAL:
            return False  # made elsewhere: free pages are used again, but only VACUUM gives them back
        page_bytes = _ask(connection, "page_size")
        spare = spare_pages(_ask(connection, "freelist_count"), _ask(connection, "page_count"), page_bytes)
        pages = min(spare, max(1, max_bytes // page_bytes))
        if pages:
            # A step of this statement frees one page, and only a script takes all the steps.
            connection.executescript(f"PRAGMA incremental_vacuum({pages})")
        return spare > pages


def _ask(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])
