"""Runs small graphs and looks at what they told."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import msgspec

from graphwire import Finished, Graph, run
from graphwire.events.encoding import Envelope
from graphwire.types import Ordering


@dataclass
class Course:
    """A finished run, with its events."""

    finished: Finished
    events: list[Any] = field(default_factory=list)  # envelopes; their data is looked at by type

    @property
    def state(self) -> dict[str, Any]:
        return self.finished.state

    def types(self) -> list[str]:
        return [event.type for event in self.events]

    def of(self, *types: str) -> list[Any]:
        return [event for event in self.events if event.type in types]

    def nodes(self, type_: str = "node_completed") -> list[str]:
        """The nodes of these events, in order."""
        return [str(event.node_id) for event in self.of(type_)]

    def one(self, type_: str) -> Any:
        """The data of the only event of this type."""
        (event,) = self.of(type_)
        return event.data


async def course(
    graph: Graph,
    state: Mapping[str, Any] | None = None,
    *,
    seed: int = 7,
    ordering: Ordering = "as_finished",
) -> Course:
    """Run a graph and return what happened, having checked what holds for every run."""
    events: list[Envelope] = []
    finished = await run(graph, state, seed=seed, ordering=ordering, on_event=events.append)
    check_laws(events)
    return Course(finished, events)


def check_laws(events: list[Envelope]) -> None:
    """What holds for the events of every execution that ended."""
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert [event.type for event in events].count("stream_end") == 1
    assert events[-1].type == "stream_end"
    assert events[-2].type in {"execution_completed", "execution_failed", "execution_cancelled"}
    assert all(early.mono_ns <= late.mono_ns for early, late in pairwise(events))
    open_attempts: set[tuple[Any, ...]] = set()
    suspended: set[tuple[Any, ...]] = set()
    for event in events:
        name = (event.activation, str(event.path))
        if event.type == "node_started":
            assert name not in open_attempts
            open_attempts.add(name)
            suspended.discard(name)
        elif event.type == "node_suspended":
            open_attempts.remove(name)
            suspended.add(name)
        elif event.type == "node_cancelled" and name in suspended:
            suspended.remove(name)
        elif event.type in {"node_completed", "node_failed", "node_cancelled"}:
            open_attempts.remove(name)
    assert not open_attempts | suspended


def without_times(events: list[Envelope]) -> list[tuple[Any, ...]]:
    """Return what two runs with the same outcomes have in common under ``ordering: deterministic``: all but times."""

    def data(event: Envelope) -> Any:
        fields = msgspec.json.decode(msgspec.json.encode(event.data))
        fields.pop("duration_ms", None)
        return fields

    return [(e.seq, e.type, e.node_id, e.activation, e.pass_number, e.path, data(e)) for e in events]


async def turn() -> None:
    """Let everything else that is ready run once."""
    waiter = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(waiter.set_result, None)
    await waiter


@dataclass
class Others:
    """How often something else got to run."""

    turns: int = 0


@asynccontextmanager
async def others() -> AsyncIterator[Others]:
    """Count, within the block, how often something else gets to run."""
    counted = Others()

    async def count() -> None:
        while True:
            counted.turns += 1
            await turn()

    counting = asyncio.create_task(count())
    try:
        yield counted
    finally:
        counting.cancel()
        await asyncio.wait([counting])


def nothing() -> Callable[[], Any]:
    """Return a node function that does nothing."""

    async def noop() -> None:
        return None

    return noop


def stubborn_until(release: asyncio.Event) -> Callable[[], Any]:
    """Return a node function that swallows every cancellation until it is released."""

    async def stubborn() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    return stubborn
