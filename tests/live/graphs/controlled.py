"""Graphs whose nodes wait for the test, talk as much as it wants, or fail."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from graphwire import Graph, Result
from tests.live.control import awake, gates

chain = Graph("chain", name="Chain <of> three", state={"count": 0})
for _name in ("first", "second", "third"):
    chain.node(_name, "transform", {"set": {"count": "state.count + 1"}})
chain.edge("first", "second").edge("second", "third")

gated = Graph("gated", state={"gate": "gate"})


@gated.node()
async def hold(gate: str) -> dict[str, Any]:
    """Wait until the test opens the gate."""
    await gates[gate].pass_through()
    return {"passed": True}


talk = Graph("talk", state={"gate": None, "count": 10, "text": "word"})


@talk.node()
async def say(gate: str | None, count: int, text: str) -> AsyncIterator[Any]:
    """Say a text so often; then wait at the gate, if there is one, and say it once more."""
    for number in range(count):
        yield {"number": number, "text": text}
    if gate is not None:
        await gates[gate].pass_through()
        yield {"number": count, "text": text}
    yield Result({"said": count})


failing = Graph("failing")


@failing.node()
def broken() -> None:
    """Fail."""
    raise ValueError("no luck")


late_talk = Graph("late_talk", state={"gate": "gate", "count": 10})


@late_talk.node()
async def say_late(gate: str, count: int) -> AsyncIterator[Any]:
    """Wait at the gate, then say so many numbers."""
    await gates[gate].pass_through()
    for number in range(count):
        yield number


late_talk.node("after", "transform", {"set": {"went_on": "true"}}).edge("say_late", "after")

asleep = Graph("asleep")


@asleep.node()
def sleep() -> None:
    """Hold a thread until the test lets it go on."""
    awake.wait()


portions = Graph("portions", state={"gate": "gate", "texts": [["word"]]})


@portions.node()
async def tell(gate: str, texts: list[list[str]]) -> AsyncIterator[Any]:
    """Say some texts at a time: the first ones at once, the others when the test opens the gate before them."""
    for number, portion in enumerate(texts):
        if number:
            await gates[f"{gate} {number}"].pass_through()
        for text in portion:
            yield {"portion": number, "text": text}


ticks = Graph("ticks", state={"count": 1_000, "interval_s": 0.01, "text": "tick"})


@ticks.node()
async def tick(count: int, interval_s: float, text: str) -> AsyncIterator[Any]:
    """Say a text so often, at intervals: what a process of its own does for so long."""
    for number in range(count):
        await asyncio.sleep(interval_s)  # nobody waits for it: it is the work
        yield {"number": number, "text": text}


holding = Graph("holding", state={"count": 12, "hold_s": 0.25})


@holding.node()
async def hold_the_loop(count: int, hold_s: float) -> AsyncIterator[Any]:
    """Hold the event loop again and again, as an async node should not."""
    for number in range(count):
        time.sleep(hold_s)  # noqa: ASYNC251 - what it does to others is what is measured
        yield {"held": number}
