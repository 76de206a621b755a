"""Streams as their readers have them."""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, TypeAlias, TypeVar, cast

from graphwire.client.answers import Result
from graphwire.client.following import Following
from graphwire.client.reading import NOT_YET, OVER, Missing, Reading
from graphwire.client.selecting import Predicate, Selectable
from graphwire.client.status import StreamStatus
from graphwire.events.encoding import Envelope
from graphwire.events.notices import NoticeEnvelope
from graphwire.events.service_encoding import ServiceEnvelope

E = TypeVar("E")

Begin: TypeAlias = Callable[[Callable[[StreamStatus], None]], Awaitable[tuple[str, Following]]]
"""Gives the name of what is followed and the way to follow it; takes what hears of the status."""
OnStatus: TypeAlias = Callable[[StreamStatus], None]
OnNotice: TypeAlias = Callable[[NoticeEnvelope], None]


class Stream(Reading[E]):
    """A stream that is resumed by itself. Used with ``async with``.

    Attributes:
        status: What it is doing.
    """

    def __init__(
        self,
        begin: Begin,
        *,
        now: Callable[[], float],
        on_status: OnStatus | None,
        on_notice: OnNotice | None,
    ) -> None:
        """Made by ``AsyncClient``."""
        self._begin = begin
        self._now = now
        self._on_status = on_status
        self._on_notice = on_notice
        self._following: Following | None = None
        self._step: asyncio.Task[None] | None = None
        self._name = ""
        self.status = StreamStatus(name="connecting")

    async def __aenter__(self) -> Self:
        self._name, self._following = await self._begin(self._tell)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        step, self._step = self._step, None
        try:
            if step is not None:
                step.cancel()
                await asyncio.wait({step})
        finally:
            if self._following is not None:
                await self._following.close()

    @property
    def cursor(self) -> int:
        """The ``seq`` up to which events were handed out or left out: where another stream's ``after`` goes on."""
        return self._entered.cursor

    def tell_by(self, post: Callable[[Callable[[], None]], None]) -> None:
        """Have the status be told by whoever calls what is posted, and not where it changes."""
        on_status = self._on_status
        if on_status is not None:
            self._on_status = lambda status: post(lambda: on_status(status))

    async def next(self, timeout_s: float | None) -> E | Missing:
        """See ``Reading``."""
        loop = asyncio.get_running_loop()
        deadline = None if timeout_s is None else loop.time() + timeout_s
        while (event := self.take()) is None:
            if self.has_all():
                self.conclude()
                return OVER
            if not await self.step(None if deadline is None else max(0.0, deadline - loop.time())):
                return NOT_YET
        return event

    def has_all(self) -> bool:
        """Whether nothing more will arrive; what has arrived may still be taken."""
        return self._entered.is_over

    def conclude(self) -> None:
        """Tell, once everything was taken, that nothing follows. Raises what the stream was given up for."""
        following = self._entered
        following.conclude()
        if following.error is not None:
            raise following.error

    async def step(self, timeout_s: float | None) -> bool:
        """Have the stream take its next step; False where that is not done in time: the next call goes on with it."""
        if self._step is None:  # a task, so that a wait that ends early breaks no connection
            self._step = asyncio.create_task(self._entered.advance(), name="graphwire.client:stream")
        done, _ = await asyncio.wait({self._step}, timeout=timeout_s)
        if done:
            step, self._step = self._step, None
            await step
        return bool(done)

    def take(self) -> E | None:
        """Return the next event if it is there already; notices before it are told."""
        following = self._entered
        while (item := following.take()) is not None:
            if not isinstance(item, NoticeEnvelope):
                return cast(E, item)  # what is followed has events of one kind
            if self._on_notice is not None:
                self._on_notice(item)
        return None

    def now(self) -> float:
        """See ``Reading``."""
        return self._now()

    def _tell(self, status: StreamStatus) -> None:
        self.status = status
        if self._on_status is not None:
            self._on_status(status)

    @property
    def _entered(self) -> Following:
        if self._following is None:
            raise RuntimeError("a stream is used within `async with`, or `with`")
        return self._following


class ServiceStream(Stream[ServiceEnvelope]):
    """What happens in the service: its graphs, its executions, itself. It has no end."""


class Events(Reading[Envelope], Selectable["EventView"]):
    """Events of an execution, of which some can be chosen."""

    def where(self, predicate: Predicate) -> "EventView":
        """See ``Selectable``."""
        return EventView(self, predicate)


class EventView(Events):
    """Some of the events of a stream. Reading it moves the stream on."""

    def __init__(self, events: Events, predicate: Predicate) -> None:
        self._events = events
        self._predicate = predicate

    async def next(self, timeout_s: float | None) -> Envelope | Missing:
        """See ``Reading``."""
        loop = asyncio.get_running_loop()
        deadline = None if timeout_s is None else loop.time() + timeout_s
        while True:
            event = await self._events.next(timeout_s)
            if isinstance(event, Missing) or self._predicate(event):
                return event
            if deadline is not None:
                timeout_s = max(0.0, deadline - loop.time())

    def now(self) -> float:
        """See ``Reading``."""
        return self._events.now()


class EventStream(Stream[Envelope], Events):
    """The events of an execution, to its end."""

    def __init__(
        self,
        begin: Begin,
        finish: Callable[[str], Awaitable[Result]],
        *,
        now: Callable[[], float],
        on_status: OnStatus | None,
        on_notice: OnNotice | None,
    ) -> None:
        """Made by ``AsyncClient``."""
        super().__init__(begin, now=now, on_status=on_status, on_notice=on_notice)
        self._finish = finish

    @property
    def execution_id(self) -> str:
        """The execution that is followed; known from the beginning of the block."""
        return self._name

    async def result(self) -> Result:
        """Read on to the end, and return how the execution ended, with its state. A failed one is no exception."""
        while await self.next(None) is not OVER:
            pass
        return await self.finish()

    async def finish(self) -> Result:
        """Return how the execution ended, with its state; only once it has."""
        return await self._finish(self.execution_id)
