"""Worker threads for plain functions of nodes and sinks."""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class NodeThreads(Executor):
    """A bounded pool of daemon threads: one that hangs in a node does not keep the process from ending.

    The standard library's pool is joined when the interpreter exits, however it was shut down.
    """

    def __init__(self, limit: int = 32, *, name: str = "graphwire-node") -> None:
        self._limit = limit
        self._name = name
        self._work: deque[Callable[[], None]] = deque()
        self._ready = threading.Condition()
        self._idle = 0
        self._threads = 0
        self._is_closed = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """See ``concurrent.futures.Executor.submit``."""
        future: Future[T] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:  # border: whoever waits for the future gets it
                future.set_exception(error)
            else:
                future.set_result(result)

        with self._ready:
            if self._is_closed:
                raise RuntimeError("the threads were shut down")
            self._work.append(work)
            if self._idle >= len(self._work):
                self._ready.notify()
            elif self._threads < self._limit:
                self._threads += 1
                name = f"{self._name}-{self._threads}"
                threading.Thread(target=self._run, name=name, daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Accept no more; threads end when they have nothing to do. Never waits for a node."""
        with self._ready:
            self._is_closed = True
            if cancel_futures:
                self._work.clear()
            if self._threads:
                self._ready.notify_all()

    def _run(self, *_: Any) -> None:
        while True:
            with self._ready:
                while not self._work:
                    if self._is_closed:
                        return
                    self._idle += 1
                    self._ready.wait()
                    self._idle -= 1
                work = self._work.popleft()
            work()
