"""An event loop in a thread of its own, for callers without one."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")
Message: TypeAlias = Callable[[], None]


class Mailbox:
    """What the loop's thread wants the caller's to do while that waits: callbacks are called where they were given."""

    def __init__(self) -> None:
        self._messages: SimpleQueue[Message | object] = SimpleQueue()

    def post(self, message: Message) -> None:
        """Have something done by whoever waits next. May be called from any thread."""
        self._messages.put(message)

    def work_until(self, done: object) -> None:
        """Do what is posted until ``done`` is."""
        while (message := self._messages.get()) is not done:
            if callable(message):  # what is not is the end of a call that was interrupted
                message()

    def end(self, done: object) -> None:
        """Post the end of a call."""
        self._messages.put(done)

    def work(self) -> None:
        """Do what has been posted."""
        while True:
            try:
                message = self._messages.get_nowait()
            except Empty:
                return
            if callable(message):
                message()


class LoopThread:
    """Runs coroutines for other threads; started by the first, ended by ``close``."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def call(self, coroutine: Coroutine[Any, Any, T], mailbox: Mailbox | None = None) -> T:
        """Run a coroutine and return its result. Whatever interrupts the wait, such as Ctrl-C, cancels it.

        Raises:
            RuntimeError: It is closed.
        """
        try:
            loop = self._started()
        except RuntimeError:
            coroutine.close()
            raise
        future = asyncio.run_coroutine_threadsafe(coroutine, loop)
        try:
            if mailbox is not None:
                done = object()
                future.add_done_callback(lambda _: mailbox.end(done))
                mailbox.work_until(done)
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a last coroutine, cancel what else runs, and end the loop and its thread. Safe to repeat."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
            self._is_closed = True
        if loop is not None and thread is not None:
            try:
                asyncio.run_coroutine_threadsafe(_wind_up(last), loop).result()
            finally:
                loop.call_soon_threadsafe(loop.stop)
                thread.join()
                loop.close()

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._is_closed:
                raise RuntimeError("the client is closed")
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                run = self._loop.run_forever
                self._thread = threading.Thread(target=run, name="graphwire.client", daemon=True)
                self._thread.start()
            return self._loop


async def _wind_up(last: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """End whatever runs on this loop: streams whose block was never left, too."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await last()
    await asyncio.get_running_loop().shutdown_asyncgens()
