"""LlamaIndex workflows."""

from contextlib import AsyncExitStack
from typing import Any

import msgspec
from workflows import Workflow, step
from workflows.events import Event, StartEvent, StopEvent

from tests.benchmarks.measuring import Sample, Stopwatch
from tests.benchmarks.peers.engines import Peer


async def peers(stack: AsyncExitStack, nodes: int) -> list[Peer]:
    """Return LlamaIndex's ways to run the chain."""
    return [
        Peer("LlamaIndex workflows", _plain(chain(nodes), nodes)),
        Peer("LlamaIndex workflows, events encoded", _streamed(chain(nodes), nodes), has_events=True),
    ]


def chain(nodes: int) -> Any:
    """Return a workflow of so many steps; each is started by the event of the one before it."""
    events: list[Any] = [StartEvent]
    events += [type(f"Passed{number}", (Event,), {}) for number in range(1, nodes)]
    events.append(StopEvent)
    steps = {f"n{number}": _step(f"n{number}", events[number], events[number + 1]) for number in range(nodes)}
    workflow: Any = type("Chain", (Workflow,), steps)
    return workflow(timeout=60)


def _step(name: str, taken: Any, given: Any) -> Any:
    async def nothing(self: Any, event: Any) -> Any:
        return given()

    nothing.__name__, nothing.__qualname__ = name, f"Chain.{name}"
    nothing.__annotations__ = {"event": taken, "return": given}
    return step(nothing)


def _plain(workflow: Any, nodes: int) -> Sample:
    async def sample() -> float:
        with Stopwatch() as watch:
            await workflow.run()
        return watch.cpu_s / nodes

    return sample


def _streamed(workflow: Any, nodes: int) -> Sample:
    encode = msgspec.json.Encoder(enc_hook=str).encode

    async def sample() -> float:
        with Stopwatch() as watch:
            handler = workflow.run()
            lines = [encode(event.model_dump()) async for event in handler.stream_events(expose_internal=True)]
            await handler
        if len(lines) < 2 * nodes:
            raise RuntimeError(f"expected two events a node, got {len(lines)}")
        return watch.cpu_s / nodes

    return sample
