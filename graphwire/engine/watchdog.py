"""Finds the node that keeps the event loop from everybody else, while it does, at no cost to those that do not."""

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from types import CodeType, FrameType

from graphwire.engine.attempt import Attempt
from graphwire.graphs.behaviour import Call, Mode

BEAT_S = 0.02
HELD_NS = 100_000_000


class Watchdog:
    """A beat on the loop, and a thread that looks at the loop's stack when the beat fails to come.

    The attempt that is found there is marked (``held_ns``); whoever performs it reports that when it gets control
    again. Timing each step of each coroutine instead would take a tenth of the engine's time per node.

    Args:
        performing: The code of the coroutine that performs attempts; its local ``attempt`` is the one that holds.
        is_busy: Whether there is anything to watch.
    """

    def __init__(self, performing: CodeType, is_busy: Callable[[], bool]) -> None:
        self._performing = performing
        self._is_busy = is_busy
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._beaten_ns = 0
        self._is_beating = False
        self._timer: asyncio.TimerHandle | None = None
        self._watching = threading.Event()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """There is something to watch. Cheap to repeat."""
        if self._is_beating:
            return
        self._is_beating = True
        self._beat()
        self._watching.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="graphwire-watchdog", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Watch no more."""
        self._closed.set()
        self._watching.set()
        if self._timer is not None:
            self._timer.cancel()

    def _beat(self) -> None:
        self._beaten_ns = time.monotonic_ns()
        if self._is_busy():
            self._timer = self._loop.call_later(BEAT_S, self._beat)
        else:
            self._is_beating = False
            self._watching.clear()

    def _watch(self) -> None:
        while not self._closed.is_set():
            self._watching.wait()
            self._closed.wait(BEAT_S)
            late_ns = time.monotonic_ns() - self._beaten_ns
            if late_ns > HELD_NS and self._watching.is_set():
                attempt = self._holder()
                if attempt is not None:
                    attempt.held_ns = max(attempt.held_ns, late_ns)

    def _holder(self) -> Attempt | None:
        frame: FrameType | None = sys._current_frames().get(self._loop_thread)
        while frame is not None:
            if frame.f_code is self._performing:
                found = frame.f_locals.get("attempt")
                return found if isinstance(found, Attempt) and _is_on_loop(found) else None
            frame = frame.f_back
        return None


def _is_on_loop(attempt: Attempt) -> bool:
    # Where threads keep the interpreter's lock the loop is late too; that is not the doing of the node it is at.
    behaviour = attempt.node.behaviour
    return isinstance(behaviour, Call) and behaviour.mode is not Mode.THREAD
