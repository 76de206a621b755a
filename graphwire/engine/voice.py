"""What the nodes of one execution say on its way to the log: from the loop and from threads, with back-pressure."""

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Protocol

from graphwire.engine.attempt import Attempt, Phase
from graphwire.engine.execution import Execution
from graphwire.events.hub import Hub
from graphwire.events.types import EventData

MAX_FROM_THREADS = 1_000


class Speaking(Protocol):
    """Whose nodes speak."""

    @property
    def hub(self) -> Hub: ...

    @property
    def execution(self) -> Execution: ...


class Voice:
    """Takes what nodes emit. Made on the event loop.

    Attributes:
        from_threads: What threads have handed over and is not published yet.
    """

    def __init__(self, host: Speaking, turn: Awaitable[None], *, is_in_order: bool) -> None:
        self._host = host
        self._hub = host.hub
        self._loop = asyncio.get_running_loop()
        self._is_in_order = is_in_order
        self._turn = turn
        self._thread = threading.get_ident()
        self.from_threads: deque[tuple[Attempt, EventData, int]] = deque()
        self._gate = threading.Condition()
        self._is_draining = False

    def emit(self, attempt: Attempt, event: EventData, size: int) -> Awaitable[None]:
        """Publish what a node says; awaited, it waits for room. May be called in a thread."""
        if threading.get_ident() != self._thread:
            self._emit_from_thread(attempt, event, size)
            return self._turn
        if self.may_emit(attempt, size):
            self._host.execution.emit(attempt, event, size)
            return self._turn
        return _Delivery(self, attempt, event, size)

    def may_emit(self, attempt: Attempt, size: int) -> bool:
        """Whether there is room for an emission, in memory and in what is held until its turn."""
        return self._hub.has_room and (not self._is_in_order or self._host.execution.emissions.has_room(attempt, size))

    def _emit_from_thread(self, attempt: Attempt, event: EventData, size: int) -> None:
        with self._gate:
            while len(self.from_threads) >= MAX_FROM_THREADS and _may_speak(attempt):
                self._gate.wait(timeout=1.0)  # woken by the drain; looks again whether the attempt is to end
            if not _may_speak(attempt):
                return
            self.from_threads.append((attempt, event, size))
            if self._is_draining:
                return
            self._is_draining = True
        self._loop.call_soon_threadsafe(self._drain)

    def flush(self) -> None:
        """Publish what threads have handed over: what was taken from a thread is not lost at the end of its attempt."""
        with self._gate:
            handed_over = list(self.from_threads)
            self.from_threads.clear()
            self._gate.notify_all()
        for attempt, event, size in handed_over:
            self._host.execution.emit(attempt, event, size)

    def _drain(self) -> None:
        """Publish what threads emitted, as far as there is room."""
        try:
            while self.from_threads and self._hub.has_room:
                self._host.execution.emit(*self.from_threads.popleft())
        finally:
            with self._gate:
                waits = self._is_draining = bool(self.from_threads)
                self._gate.notify_all()
        if waits:
            self._hub.wait_room(self._drain_soon)

    def _drain_soon(self) -> None:
        self._loop.call_soon(self._drain)

    async def until_emitted(self, attempt: Attempt, size: int) -> None:
        """Wait until there is room for an emission."""
        while not self.may_emit(attempt, size):
            if not self._hub.has_room:
                await self.until_room()
                continue
            turn: asyncio.Future[None] = self._loop.create_future()
            attempt.on_turn = resolver(turn)
            await turn

    def deliver(self, attempt: Attempt, event: EventData, size: int) -> None:
        """Publish what has waited for room."""
        self._host.execution.emit(attempt, event, size)

    async def until_room(self) -> None:
        """Wait until there is room in memory."""
        while not self._hub.has_room:
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._hub.wait_room(resolver(waiter))
            await waiter


class _Delivery:
    """An emission at the bound: delivered when it is awaited and there is room, else dropped and counted."""

    __slots__ = ("_attempt", "_event", "_is_delivered", "_size", "_voice")

    def __init__(self, voice: Voice, attempt: Attempt, event: EventData, size: int) -> None:
        self._voice = voice
        self._attempt = attempt
        self._event = event
        self._size = size
        self._is_delivered = False
        attempt.dropped += 1

    def __await__(self) -> Generator[Any, None, None]:
        if self._is_delivered:
            return
        self._is_delivered = True
        yield from self._voice.until_emitted(self._attempt, self._size).__await__()
        self._attempt.dropped -= 1
        self._voice.deliver(self._attempt, self._event, self._size)


def _may_speak(attempt: Attempt) -> bool:
    return attempt.phase is Phase.RUNNING and attempt.reason is None


def resolver(waiter: "asyncio.Future[None]") -> Callable[[], None]:
    """Return what ends a wait. Idempotent."""

    def resolve() -> None:
        if not waiter.done():
            waiter.set_result(None)

    return resolve
