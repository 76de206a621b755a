"""How events get to one sink: at its own speed, from where it stands in each history."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from inspect import iscoroutinefunction
from typing import Final, Protocol, TypeAlias, cast

from graphwire.engine.threads import NodeThreads
from graphwire.errors import HistoryDamaged, StorageUnavailable
from graphwire.events.filters import Filter
from graphwire.events.hub import End, Hub, NoticeItem, Page, Published
from graphwire.events.notices import StreamLagged
from graphwire.sinks.port import OnlySomeTakenError, Sink, SinkReport, SinkTrouble, TroubleKind

BATCH_EVENTS: Final = 1_024
MAX_HISTORIES: Final = 10_000
"""That may wait for one sink. Beyond, the oldest one is given up."""
MAX_HELD_HUBS: Final = 64
"""Of ended executions, with the events in their rings. What waits beyond is read from the store when its turn comes."""
LAST_RETRY_S: Final = 10.0
STUCK_S: Final = 30.0
TELL_S: Final = 10.0


class Source(Protocol):
    """A reader of one history, which the caller asks when there may be something."""

    @property
    def cursor(self) -> int:
        """The last event that was given, or left out."""
        ...

    async def poll(self, limit: int) -> Page | NoticeItem | End | None:
        """Return what is there already; None when it is up to date.

        Raises:
            HistoryDamaged, StorageUnavailable: The stored history cannot be read, or not now.
        """
        ...

    def close(self) -> None:
        """Say that nobody reads any more."""
        ...


Opener: TypeAlias = Callable[[Hub, int, Filter | None], Source]
"""Opens a history behind an event that the reader has."""


class _History:
    """One history on its way into a sink."""

    __slots__ = ("_after", "_filter", "_is_polled", "_opener", "_source", "_woken", "hub")

    def __init__(
        self, hub: Hub, opener: Opener, after: int, filter: Filter | None, woken: Callable[["_History"], None]
    ) -> None:
        self.hub = hub
        self._opener = opener
        self._after = after
        self._filter = filter
        self._woken = woken
        self._source: Source | None = None
        self._is_polled = False

    @property
    def waiting(self) -> int:
        return self.hub.visible - (self._after if self._source is None else self._source.cursor)

    async def poll(self, limit: int) -> Page | NoticeItem | End | None:
        if self._source is None:
            self._source = self._opener(self.hub, self._after, self._filter)
        self._is_polled = True
        try:
            return await self._source.poll(limit)
        finally:
            self._is_polled = False

    def wake(self) -> None:
        self._woken(self)

    def let_go(self) -> None:
        """Hold the place only; what is missing is in the store. Nothing is done while it is read."""
        if not self._is_polled:
            self.close()
            self.hub = Hub.ended(self.hub.visible)

    def close(self) -> None:
        self.hub.forget(self.wake)
        source, self._source = self._source, None
        if source is not None:
            self._after = source.cursor
            source.close()


class Delivery:
    """One sink, and where it stands. For one event loop.

    While it is up to date it costs a callback for what becomes visible, and nothing else; while it is behind, a cursor
    for each execution.

    Args:
        retries: How often a call that failed is repeated, after ``retry_s`` and then twice as long each time, 10 s at
            most.
        switched_off_after: Failures in a row after which it is given nothing any more; None keeps trying.
        told: Called with what an operator should know.
    """

    def __init__(
        self,
        sink: Sink,
        name: str,
        *,
        filter: Filter | None,
        retries: int,
        retry_s: float,
        switched_off_after: int | None,
        told: Callable[[SinkTrouble], None],
    ) -> None:
        self.name = name
        self._sink = sink
        self._filter = filter
        self._retries = retries
        self._retry_s = retry_s
        self._switched_off_after = switched_off_after
        self._told = told
        self._thread = None if iscoroutinefunction(sink.handle) else NodeThreads(1, name=f"graphwire-sink-{name}")
        self._histories: dict[_History, None] = {}
        self._ready: dict[_History, None] = {}
        self._due = asyncio.Event()
        self._idle = asyncio.Event()
        self._in_hand = 0
        self._handled = self._failed = self._lost = self._failures_in_a_row = 0
        self._last_error: str | None = None
        self._last_error_at: datetime | None = None
        self._is_on = True
        self._untold: dict[TroubleKind, tuple[int, str]] = {}
        self._telling: asyncio.TimerHandle | None = None

    def report(self) -> SinkReport:
        """Return how the sink fares."""
        return SinkReport(
            name=self.name,
            handled=self._handled,
            failed=self._failed,
            lost=self._lost,
            waiting=self._in_hand + sum(history.waiting for history in self._histories),
            last_error=self._last_error,
            last_error_at=self._last_error_at,
            is_on=self._is_on,
        )

    def follow(self, hub: Hub, opener: Opener, after: int) -> None:
        """Deliver a history from here on, until its end."""
        if not self._is_on:
            return
        if len(self._histories) >= MAX_HISTORIES:
            self._give_up(next(iter(self._histories)))
        history = _History(hub, opener, after, self._filter, self._woken)
        self._histories[history] = None
        self._woken(history)

    async def run(self) -> None:
        """Deliver until cancelled, or until the sink is switched off."""
        while self._is_on:
            self._due.clear()
            if self._ready:
                await self._hand_over(await self._gather())
            else:
                self._idle.set()
                await self._due.wait()
        self._idle.set()

    async def finish(self, timeout_s: float) -> int:
        """Give it what may be told by now, as far as the time goes, and close it; return how much it did not get.

        ``run`` goes on meanwhile and is cancelled by the caller afterwards.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while self._is_behind:
                    self._idle.clear()
                    await self._idle.wait()
        except TimeoutError:
            pass
        return self.report().waiting

    async def close(self, timeout_s: float) -> None:
        """Close the sink; ``run`` has ended. One that does not close in time is left to itself."""
        if self._telling is not None:
            self._telling.cancel()
        for history in list(self._histories):
            history.close()
        try:
            async with asyncio.timeout(timeout_s):
                await self._call(self._sink.close)
        except BaseException as error:  # border: a sink's own code
            if _is_cancelled():
                raise
            self._note(error)
        if self._thread is not None:
            self._thread.shutdown(wait=False)

    def broke(self, error: Exception) -> None:
        """Switch the sink off: what delivers to it has failed."""
        self._note(error)
        self._switch_off(f"the delivery to it failed ({type(error).__name__})")

    @property
    def _is_behind(self) -> bool:
        return self._is_on and (
            bool(self._ready) or self._in_hand > 0 or any(hub.visible < hub.published for hub in self._hubs())
        )

    def _hubs(self) -> list[Hub]:
        return [history.hub for history in self._histories]

    def _woken(self, history: _History) -> None:
        if history not in self._histories:
            return
        if not history.hub.closed:
            history.hub.when_visible(history.wake)  # its end has to be heard of, however long it has to wait
        elif len(self._ready) >= MAX_HELD_HUBS:
            history.let_go()
        self._ready[history] = None
        self._due.set()

    async def _gather(self) -> list[Published]:
        """Take what is ready, of each history in turn, until it is enough for one call."""
        batch: list[Published] = []
        while self._ready and len(batch) < BATCH_EVENTS:
            history = next(iter(self._ready))
            del self._ready[history]
            try:
                item = await history.poll(BATCH_EVENTS - len(batch))
            except StorageUnavailable:
                asyncio.get_running_loop().call_later(LAST_RETRY_S, history.wake)
                continue
            except HistoryDamaged as error:
                self._note(error)
                self._give_up(history)
                continue
            match item:
                case Page(items=items):
                    batch += items
                    self._in_hand = len(batch)
                    self._ready[history] = None
                case NoticeItem(notice=notice):
                    if isinstance(notice, StreamLagged):
                        self._lose(notice.dropped)
                    self._ready[history] = None
                case End():
                    self._drop(history)
                case None:
                    history.hub.when_visible(history.wake)
        return batch

    async def _hand_over(self, batch: Sequence[Published]) -> None:
        failures = 0
        while batch:
            self._in_hand = len(batch)
            taken = await self._attempt(batch)
            self._handled += taken
            batch = batch[taken:]
            if not batch:
                break
            failures = failures + 1 if taken == 0 else 1
            if self._switched_off_after is not None and self._failures_in_a_row >= self._switched_off_after:
                self._failed += len(batch)
                self._switch_off(f"it failed {self._failures_in_a_row} times in a row")
                return
            if failures > self._retries:
                self._failed += len(batch)
                self._tell("failed", len(batch), self._last_error or "")
                break
            await asyncio.sleep(min(LAST_RETRY_S, self._retry_s * 2 ** (failures - 1)))
        self._in_hand = 0

    async def _attempt(self, batch: Sequence[Published]) -> int:
        """Call the sink once; return how many events it took."""
        stuck = asyncio.get_running_loop().call_later(
            STUCK_S, self._tell, "stuck", len(batch), f"it has been busy with one call for {STUCK_S:.0f} s"
        )
        try:
            await self._call(self._sink.handle, batch)
        except BaseException as error:  # border: a sink's own code
            if _is_cancelled():
                raise asyncio.CancelledError from error
            is_partly = isinstance(error, OnlySomeTakenError)
            self._note((error.__cause__ if is_partly else None) or error)
            return error.taken if isinstance(error, OnlySomeTakenError) else 0
        finally:
            stuck.cancel()
        self._failures_in_a_row = 0
        return len(batch)

    async def _call(self, method: Callable[..., object], *arguments: object) -> None:
        if self._thread is None:
            await cast("Callable[..., asyncio.Future[None]]", method)(*arguments)
        else:
            await asyncio.get_running_loop().run_in_executor(self._thread, method, *arguments)

    def _note(self, error: BaseException) -> None:
        self._failures_in_a_row += 1
        self._last_error = f"{type(error).__name__}: {error}"
        self._last_error_at = datetime.now(UTC)

    def _switch_off(self, reason: str) -> None:
        self._is_on = False
        self._in_hand = 0
        for history in list(self._histories):
            self._lost += max(0, history.waiting)
            self._drop(history)
        self._tell("switched_off", self._failures_in_a_row, reason)

    def _give_up(self, history: _History) -> None:
        self._lose(max(0, history.waiting))
        self._drop(history)

    def _lose(self, count: int) -> None:
        self._lost += count
        self._tell("lost", count, "it is too far behind")

    def _drop(self, history: _History) -> None:
        history.close()
        self._histories.pop(history, None)
        self._ready.pop(history, None)

    def _tell(self, kind: TroubleKind, count: int, detail: str) -> None:
        before, _ = self._untold.get(kind, (0, ""))
        self._untold[kind] = before + count, detail
        if self._telling is None:
            self._tell_all()

    def _tell_all(self) -> None:
        self._telling = None
        if not self._untold:
            return
        self._telling = asyncio.get_running_loop().call_later(TELL_S, self._tell_all)
        untold, self._untold = self._untold, {}
        for kind, (count, detail) in untold.items():
            self._told(SinkTrouble(self.name, kind, count, detail))


def _is_cancelled() -> bool:
    """Whether it is this task that is to end, and not a sink that raises what looks like it."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
