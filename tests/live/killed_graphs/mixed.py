"""Graphs of all that may be under way when a process dies; their final states do not depend on it."""

import asyncio
from typing import Any

from graphwire import Context, Graph, Retry

ROUNDS = 12
REST_S = 0.003
BODY = {
    "nodes": [
        {"id": "rest", "type": "delay", "config": {"seconds": REST_S}},
        {"id": "double", "type": "transform", "config": {"set": {"twice": "state.item * 2"}}},
    ],
    "edges": [{"source": "rest", "target": "double"}],
}

mixed = Graph("mixed", state={"n": 0, "log": [], "items": list(range(10))}, reducers={"log": "append"})
mixed.node("start", "transform", {"set": {"began": "true"}})


@mixed.node()
async def count(n: int) -> dict[str, Any]:
    """Take a few milliseconds, and count."""
    await asyncio.sleep(REST_S)  # the work
    return {"n": n + 1, "log": n}


@mixed.node(retry=Retry(max_attempts=3, strategy="fixed", delay_s=0.01, jitter="none"))
async def shaky(ctx: Context, n: int) -> dict[str, Any]:
    """Fail in every first attempt."""
    await asyncio.sleep(REST_S)  # the work
    if ctx.attempt == 1:
        raise ConnectionError("not yet")
    return {"shaken": n}


@mixed.node()
async def ask(ctx: Context) -> dict[str, Any]:
    """Ask a program."""
    return {"answer": ctx.interrupt("which?", schema={"type": "object"})}


mixed.node("each", "foreach", {"items": "state.items", "max_parallelism": 3, "body": BODY})
mixed.node("form", "human_input", {"prompt": "Sure?", "schema": {"type": "object"}}, output="form")
mixed.node("long", "delay", {"seconds": 1.1})
mixed.node("end", "transform", {"set": {"ended": "true"}})
for branch in ("count", "each", "ask", "long"):
    mixed.edge("start", branch)
mixed.edge("count", "shaky").edge("shaky", "count", when=f"state.n < {ROUNDS}").edge("shaky", "end", else_=True)
mixed.edge("ask", "form").edge("form", "end").edge("each", "end").edge("long", "end")

looping = Graph("looping", state={"n": 0, "log": []}, reducers={"log": "append"})


@looping.node()
async def step(n: int) -> dict[str, Any]:
    """Take a few milliseconds, and count."""
    await asyncio.sleep(REST_S)  # the work
    return {"n": n + 1, "log": n}


looping.node("each", "foreach", {"items": "range(3)", "body": BODY})
looping.node("begin", "transform").edge("begin", step).edge(step, "each").edge("each", step, when="state.n < 40")
