"""A run of a graph in this process that can be followed and cancelled while it goes on. No server, no database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import msgspec

from graphwire.clock import SystemClock
from graphwire.engine.commands import Command
from graphwire.engine.guards import Guards
from graphwire.engine.memory import MemoryStore
from graphwire.engine.plan import Plan
from graphwire.engine.ports import ExecutionEnd
from graphwire.engine.progress import Progress
from graphwire.engine.runner import Runner, Start
from graphwire.engine.supervisor import Supervisor
from graphwire.errors import CommandNotAllowed
from graphwire.events.feed import Feed
from graphwire.events.filters import Filter
from graphwire.events.hub import Behind, End, Hub, NoticeItem, Page, Published
from graphwire.events.types import Failure
from graphwire.ids import new_execution_id
from graphwire.sinks import Sinks
from graphwire.types import ExecutionId, Outcome, TerminalStatus
from graphwire.values import thaw

_PAGE_EVENTS = 10_000
_PAGE_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Finished:
    """How a run ended.

    Attributes:
        state: The final state; for a run that did not complete, the merge of what there was.
        error: The failure, for ``failed``.
        duration_ms: From the start to the end.
    """

    status: TerminalStatus
    outcome: Outcome | None
    state: dict[str, Any]
    error: Failure | None = None
    steps: int = 0
    errors: list[dict[str, Any]] = field(default_factory=list)
    duration_ms: float = field(default=0.0, compare=False)


class LiveRun:
    """A run that goes on. Made by ``start_live``; used on its event loop."""

    def __init__(self, runner: Runner, store: MemoryStore, *, is_read_once: bool) -> None:
        self._runner = runner
        self._store = store
        self._is_read_once = is_read_once

    @property
    def id(self) -> ExecutionId:
        """The execution's id, as its events name it."""
        return self._runner.id

    def progress(self) -> Progress:
        """Return how far it is."""
        return self._runner.look().progress

    async def pages(self) -> AsyncIterator[list[bytes]]:
        """Yield every event, whole, as the JSON that the service would send, in lists; ends after the sentinel.

        One reader at a time; each begins with the first event.
        """
        subscription = self._runner.hub.subscribe()
        feed = Feed(subscription)
        events: list[Published]
        while True:
            match await feed.read():
                case Page(items):
                    events = items
                case Behind(after, upto):
                    events = await self._store.read_events(
                        self.id, after=after, upto=upto, limit=_PAGE_EVENTS, max_bytes=_PAGE_BYTES
                    )
                    subscription.advance(events[-1].seq)
                case End():
                    return
                case _:
                    continue
            yield [event.whole or event.line for event in events]
            if self._is_read_once:
                self._store.forget_events(self.id, subscription.cursor)

    def deliver(self, sinks: Sinks) -> None:
        """Give every event to the sinks."""
        sinks.follow(self._runner.hub, self._open)

    def _open(self, hub: Hub, after: int, filter: Filter | None) -> "_Reader":
        return _Reader(self.id, self._store, hub, after, filter)

    async def cancel(self, reason: str | None = None) -> None:
        """Ask for cancellation; safe to repeat. The end comes as events do."""
        with suppress(CommandNotAllowed):  # it has ended, perhaps a moment ago
            await self._runner.cancel(reason)

    async def command(self, command: Command) -> int:
        """Steer the run; returns the number of the ``command_accepted`` event.

        Raises:
            GraphwireError: It does not fit: what is wrong with it, or what fits instead.
        """
        return await self._runner.command(command)

    async def finished(self) -> Finished:
        """Wait for the end and return it."""
        await self._runner.wait_ended()
        end = self._store.end_of(self.id)
        assert end is not None
        return finished(end)


class _Reader:
    """What a sink reads from. See ``graphwire.sinks.delivery.Source``."""

    def __init__(
        self, execution_id: ExecutionId, store: MemoryStore, hub: Hub, after: int, filter: Filter | None
    ) -> None:
        self._execution_id = execution_id
        self._store = store
        self._subscription = hub.subscribe(after, filter)

    @property
    def cursor(self) -> int:
        return self._subscription.cursor

    async def poll(self, limit: int) -> Page | NoticeItem | End | None:
        item = self._subscription.poll(limit)
        if not isinstance(item, Behind):
            return item
        events = await self._store.read_events(
            self._execution_id, after=item.after, upto=item.upto, limit=limit, max_bytes=_PAGE_BYTES
        )
        self._subscription.advance(events[-1].seq)
        wanted = self._subscription.filter
        shown = [event for event in events if wanted is None or wanted.passes(event.type, event.node_id)]
        return Page(shown, self.cursor)

    def close(self) -> None:
        """There is nothing to let go of."""


@asynccontextmanager
async def start_live(
    plan: Plan,
    start: Start,
    *,
    is_read_once: bool = False,
    is_attended: bool = False,
    guards: Guards | None = None,
) -> AsyncIterator[LiveRun]:
    """Start a graph and follow it within the block; leaving the block before the end drops the run.

    Args:
        is_read_once: The run has one reader and no sinks, so what was read is forgotten: memory does not grow with
            the number of events.
        is_attended: Somebody answers what nodes ask; else a run fails where all that is active waits for input.
        guards: Circuit breakers and quarantines that it shares with other runs; None gives it its own.
    """
    store = MemoryStore(defer=asyncio.get_running_loop().call_soon)
    clock = SystemClock()
    async with Supervisor(drain_s=0) as supervisor:
        runner = Runner(
            plan,
            start,
            id=new_execution_id(clock),
            store=store,
            clock=clock,
            spawn=supervisor.spawn,
            threads=supervisor.threads,
            hub=Hub(),
            is_restorable=False,
            is_attended=is_attended,
            guards=guards,
        )
        await runner.accept()
        supervisor.submit(runner)
        yield LiveRun(runner, store, is_read_once=is_read_once)


def finished(end: ExecutionEnd) -> Finished:
    """Return a stored end as plain values."""
    return Finished(
        status=end.status,
        outcome=end.outcome,
        state=thaw(end.state),
        error=None if end.error is None else msgspec.json.decode(end.error, type=Failure),
        steps=end.steps,
        errors=thaw(end.errors),
        duration_ms=end.duration_ms,
    )
