"""Streams for callers without an event loop: what ``reading`` and ``stream`` have, with plain methods."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from types import TracebackType
from typing import Generic, Self, TypeVar

from graphwire.client.answers import Result
from graphwire.client.batching import Batching
from graphwire.client.errors import NothingYet, StreamOver
from graphwire.client.loop_thread import LoopThread, Mailbox
from graphwire.client.reading import NOT_YET, OVER, Missing
from graphwire.client.selecting import Predicate, Selectable
from graphwire.client.status import StreamStatus
from graphwire.client.stream import EventStream, Stream
from graphwire.events.encoding import Envelope
from graphwire.events.service_encoding import ServiceEnvelope

E = TypeVar("E")


class BlockingReading(ABC, Generic[E]):
    """See ``Reading``, which this is without ``async``."""

    @abstractmethod
    def next(self, timeout_s: float | None) -> E | Missing:
        """Return the next event; wait so long for it, for ever without a time."""

    def __iter__(self) -> Iterator[E]:
        while not isinstance(event := self.next(None), Missing):
            yield event

    def recv(self) -> E:
        """See ``Reading.recv``."""
        event = self.next(None)
        if isinstance(event, Missing):
            raise StreamOver("the stream has ended")
        return event

    def try_recv(self) -> E:
        """See ``Reading.try_recv``."""
        event = self.next(0.0)
        if isinstance(event, Missing):
            raise StreamOver("the stream has ended") if event is OVER else NothingYet("no event has come yet")
        return event

    def next_timeout(self, timeout_s: float) -> E | None:
        """See ``Reading.next_timeout``."""
        event = self.next(timeout_s)
        return None if isinstance(event, Missing) else event

    def batches(self, n: int = 100, *, max_wait_s: float = 0.1) -> Iterator[list[E]]:
        """See ``Reading.batches``."""
        batching = Batching[E](n, max_wait_s)
        while True:
            event = self.next(batching.patience(time.monotonic()))
            if not isinstance(event, Missing):
                if (full := batching.add(event, time.monotonic())) is not None:
                    yield full
            elif rest := batching.flush():
                yield rest
            if event is OVER:
                return


class BlockingStream(BlockingReading[E]):
    """See ``Stream``, which this is without ``async``. Used with ``with``, by one thread at a time.

    Callbacks are called in the thread that reads, while it waits for the next event.
    """

    def __init__(self, stream: Stream[E], thread: LoopThread) -> None:
        """Made by ``Client``."""
        self._stream = stream
        self._thread = thread
        self._mailbox = Mailbox()
        stream.tell_by(self._mailbox.post)

    def __enter__(self) -> Self:
        self._thread.call(self._stream.__aenter__(), self._mailbox)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._thread.call(self._stream.__aexit__(kind, error, traceback))

    @property
    def cursor(self) -> int:
        """See ``Stream.cursor``."""
        return self._stream.cursor

    @property
    def status(self) -> StreamStatus:
        """What it is doing."""
        return self._stream.status

    def next(self, timeout_s: float | None) -> E | Missing:
        """See ``BlockingReading``."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            # What has arrived is taken here, not by the loop's thread: one change of threads brings many events.
            has_all = self._stream.has_all()  # asked first: what comes in between is taken then
            if (event := self._stream.take()) is not None:
                return event
            if has_all:
                try:
                    self._stream.conclude()
                finally:
                    self._mailbox.work()
                return OVER
            left_s = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not self._thread.call(self._stream.step(left_s), self._mailbox):
                return NOT_YET


class BlockingServiceStream(BlockingStream[ServiceEnvelope]):
    """See ``ServiceStream``."""


class BlockingEvents(BlockingReading[Envelope], Selectable["BlockingEventView"]):
    """See ``Events``."""

    def where(self, predicate: Predicate) -> "BlockingEventView":
        """See ``Selectable``."""
        return BlockingEventView(self, predicate)


class BlockingEventView(BlockingEvents):
    """Some of the events of a stream. Reading it moves the stream on."""

    def __init__(self, events: BlockingEvents, predicate: Predicate) -> None:
        self._events = events
        self._predicate = predicate

    def next(self, timeout_s: float | None) -> Envelope | Missing:
        """See ``BlockingReading``."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            event = self._events.next(timeout_s)
            if isinstance(event, Missing) or self._predicate(event):
                return event
            if deadline is not None:
                timeout_s = max(0.0, deadline - time.monotonic())


class BlockingEventStream(BlockingStream[Envelope], BlockingEvents):
    """See ``EventStream``."""

    def __init__(self, stream: EventStream, thread: LoopThread) -> None:
        """Made by ``Client``."""
        super().__init__(stream, thread)
        self._events = stream

    @property
    def execution_id(self) -> str:
        """See ``EventStream.execution_id``."""
        return self._events.execution_id

    def result(self) -> Result:
        """See ``EventStream.result``."""
        while self.next(None) is not OVER:
            pass
        return self._thread.call(self._events.finish())
