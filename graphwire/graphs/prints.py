"""What a thread prints, taken before it mixes with what the process itself has to say."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_MAX_LINES = 20
_MAX_LINE = 500


@contextmanager
def prints_of_this_thread(take: Callable[[str], None]) -> Iterator[None]:
    """Give what this thread prints, out or as an error, to ``take``, a line at a time and not without end.

    Other threads print as before. What goes around ``sys.stdout``, to the file descriptor, does too.
    """
    taken: list[str] = []
    before = sys.stdout, sys.stderr
    streams = _Stream(sys.stdout, taken), _Stream(sys.stderr, taken)
    sys.stdout, sys.stderr = streams
    try:
        yield
    finally:
        for stream in streams:
            stream.is_open = False
        if (sys.stdout, sys.stderr) == streams:  # else somebody has replaced them since
            sys.stdout, sys.stderr = before
        lines = "".join(taken).splitlines()
        for line in lines[:_MAX_LINES]:
            take(line[:_MAX_LINE])
        if len(lines) > _MAX_LINES:
            take(f"and {len(lines) - _MAX_LINES:,} more lines")


class _Stream:
    def __init__(self, stream: Any, taken: list[str]) -> None:
        self.is_open = True
        self._stream = stream
        self._taken = taken
        self._thread = threading.get_ident()

    def write(self, text: str) -> int:
        if not self.is_open or threading.get_ident() != self._thread:
            return int(self._stream.write(text))
        if len(self._taken) < 10_000:
            self._taken.append(text[:10_000])
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
