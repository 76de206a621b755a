"""Finds the node that keeps an event loop from everybody else, while it does, at no cost to those that do not."""

import asyncio
import os
import sys
import threading
import time
from types import CodeType, FrameType
from weakref import ref

from graphwire.engine.attempt import Attempt
from graphwire.graphs.behaviour import Call, Mode

BEAT_S = 0.02
LATE_NS = 40_000_000
HELD_NS = 100_000_000


class Watchdog:
    """A beat on the loop, and a look at the loop's stack when the beat fails to come.

    An attempt that is found there all the time, from its first sight on, for more than 100 ms is marked
    (``held_ns``); whoever performs it reports that when it gets control again. Those that share a turn of the loop
    which takes as long together are not. Timing each step of each coroutine instead would take a tenth of the
    engine's time per node.

    It beats as long as there is something to watch, and once more: runs that follow each other closely find it at work.
    A loop that stands still, though it is left open, is not looked at until it turns again.

    Args:
        performing: The code of the coroutine that performs attempts; its local ``attempt`` is the one that holds.
    """

    def __init__(self, performing: CodeType) -> None:
        self._reference = ref(self)
        self._performing = performing
        self._watched = 0
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._beaten_ns = 0
        self._is_beating = False
        self._next_beat: asyncio.TimerHandle | None = None
        self._suspect: Attempt | None = None
        self._suspected_beat = 0
        self._suspected_ns = 0

    @classmethod
    def here(cls, performing: CodeType) -> "Watchdog":
        """Return the one that beats on this loop, else a new one."""
        loop = asyncio.get_running_loop()
        for reference in _WATCH.beating():
            watchdog = reference()
            if watchdog is not None and watchdog._loop is loop and watchdog._performing is performing:
                return watchdog
        return cls(performing)

    def enter(self) -> None:
        """There is something to watch, until as many have left as have entered."""
        self._watched += 1
        if not self._is_beating:
            self._beat()

    def leave(self) -> None:
        """What was entered is over."""
        self._watched -= 1

    def look(self, now_ns: int) -> None:
        """Look who holds the loop, if it is late; called every ``BEAT_S`` or so, on a thread of its own."""
        beaten_ns = self._beaten_ns
        if now_ns - beaten_ns < LATE_NS:
            self._suspect = None
            return
        if not self._loop.is_running():
            self._rest()
            return
        found = self._holder()
        # A turn of the loop gives each coroutine one step, and between two turns it beats: found twice without a beat
        # between them is found in the same step.
        if found is None or found is not self._suspect or beaten_ns != self._suspected_beat:
            self._suspect, self._suspected_beat, self._suspected_ns = found, beaten_ns, now_ns
        elif now_ns - self._suspected_ns > HELD_NS:
            found.held_ns = max(found.held_ns, now_ns - self._suspected_ns)

    def _beat(self) -> None:
        self._beaten_ns = time.monotonic_ns()
        if self._next_beat is not None:
            self._next_beat.cancel()  # it is due yet if the loop stood still and somebody entered meanwhile
            self._next_beat = None
        if self._watched:
            self._next_beat = self._loop.call_later(BEAT_S, self._beat)
            self._is_beating = True
            _WATCH.add(self._reference)  # each time: the other thread lets it rest when it finds the loop at a stand
        else:
            self._rest()

    def _rest(self) -> None:
        self._is_beating = False
        _WATCH.discard(self._reference)
        self._suspect = None

    def _holder(self) -> Attempt | None:
        frame: FrameType | None = sys._current_frames().get(self._loop_thread)
        while frame is not None:
            if frame.f_code is self._performing:
                found = frame.f_locals.get("attempt")
                return found if isinstance(found, Attempt) and _is_on_loop(found) else None
            frame = frame.f_back
        return None


class _Watch:
    """The one thread of a process that looks after the watchdogs of all loops; it sleeps while none of them beats.

    It holds none of them, so that a loop which was left without being closed can go. Adding and discarding take no
    lock: a finalizer may run them at any moment, in whichever thread.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin anew: in a forked process the thread is not there, and the lock may be held for ever."""
        self._beating: set[ref[Watchdog]] = set()
        self._needed = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, watchdog: "ref[Watchdog]") -> None:
        self._beating.add(watchdog)
        if self._thread is None:
            self._start()
        if not self._needed.is_set():
            self._needed.set()

    def beating(self) -> "set[ref[Watchdog]]":
        return self._beating.copy()

    def discard(self, watchdog: "ref[Watchdog]") -> None:
        self._beating.discard(watchdog)

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="graphwire-watchdog", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            self._needed.wait()
            time.sleep(BEAT_S)
            self._look()

    def _look(self) -> None:
        now_ns = time.monotonic_ns()
        for reference in self.beating():
            watchdog = reference()
            if watchdog is None:
                self._beating.discard(reference)
            else:
                watchdog.look(now_ns)
        if not self._beating:
            self._needed.clear()
            if self._beating:  # added meanwhile by one that saw the event still set
                self._needed.set()


_WATCH = _Watch()
os.register_at_fork(after_in_child=_WATCH.reset)


def _is_on_loop(attempt: Attempt) -> bool:
    # Where threads keep the interpreter's lock the loop is late too; that is not the doing of the node it is at.
    behaviour = attempt.node.behaviour
    return isinstance(behaviour, Call) and behaviour.mode is not Mode.THREAD
