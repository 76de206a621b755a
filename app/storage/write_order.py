"""One order for all that a process writes to a SQLite file, across the event loop and threads.

SQLite itself gives its lock to whoever happens to try when it is free: a writer can lose again and again to another
one of the same process until its patience is over, though nobody writes for long.
"""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future, TimeoutError as WaitTimeoutError
from contextlib import asynccontextmanager, contextmanager

WAIT_S = 2.0


class WriteOrder:
    """Gives turns in the order in which they were asked for. May be used by several threads."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._is_taken = False
        self._waiting: deque[Future[None]] = deque()

    def ask(self) -> Future[None]:
        """Ask for a turn, which lasts until ``release``; the future is done when it has come."""
        turn: Future[None] = Future()
        with self._guard:
            if self._is_taken:
                self._waiting.append(turn)
                return turn
            self._is_taken = True
        turn.set_result(None)
        return turn

    def release(self) -> None:
        """End a turn."""
        with self._guard:
            while self._waiting:
                turn = self._waiting.popleft()
                if turn.set_running_or_notify_cancel():
                    break
            else:
                self._is_taken = False
                return
        turn.set_result(None)

    def give_up(self, turn: Future[None]) -> None:
        """End the wait for a turn, or the turn if it has come meanwhile."""
        if not turn.cancel():
            self.release()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """A turn on an event loop, for as long as the block lasts."""
        turn = self.ask()
        if not turn.done():
            try:
                await asyncio.wrap_future(turn)
            except BaseException:
                self.give_up(turn)
                raise
        try:
            yield
        finally:
            self.release()

    @contextmanager
    def turn_of_thread(self, wait_s: float = WAIT_S) -> Iterator[None]:
        """A turn in a thread. One that does not come in time is not waited for: SQLite's lock decides then."""
        turn = self.ask()
        try:
            turn.result(wait_s)
        except WaitTimeoutError:
            self.give_up(turn)
            yield
            return
        try:
            yield
        finally:
            self.release()
