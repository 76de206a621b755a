"""Log lines of a service in this process, for tests that wait for what it notices by itself."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from tests.waiting import PATIENCE_S


class LogLines(logging.Handler):
    """Takes lines as they are logged, in any thread."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._news = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def emit(self, record: logging.LogRecord) -> None:
        self._loop.call_soon_threadsafe(self._take, record.getMessage())

    def _take(self, line: str) -> None:
        self.lines.append(line)
        self._news.set()

    async def until(self, *texts: str) -> str:
        """Wait for a line with these texts in it; it and those before it are used up by that."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                self._news.clear()
                for number, line in enumerate(self.lines):
                    if all(text in line for text in texts):
                        del self.lines[: number + 1]
                        return line
                await self._news.wait()


@contextmanager
def log_lines(logger: str) -> Iterator[LogLines]:
    """Follow a logger, from level INFO on."""
    followed = logging.getLogger(logger)
    lines, level = LogLines(), followed.level
    followed.addHandler(lines)
    followed.setLevel(logging.INFO)
    try:
        yield lines
    finally:
        followed.removeHandler(lines)
        followed.setLevel(level)
