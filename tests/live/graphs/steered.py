"""Graphs that tests pause, step through and answer."""

from typing import Any

from graphwire import Context, Graph
from tests.live.control import gates

steered = Graph("steered", state={"gate": "steered", "n": 0})


@steered.node()
async def wait(gate: str) -> None:
    """Wait for its gate, if it has one."""
    if gate:
        await gates[gate].pass_through()


@steered.node()
async def first(n: int) -> dict[str, int]:
    """Count."""
    return {"n": n + 1}


@steered.node()
async def second(n: int) -> dict[str, int]:
    """Count."""
    return {"n": n + 10}


steered.edge(wait, first).edge(first, second)

asking = Graph("asking")


@asking.node()
async def ask(ctx: Context) -> dict[str, Any]:
    """Ask twice."""
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    sure = ctx.interrupt("sure?", schema=schema)
    return {"sure": sure, "name": ctx.interrupt({"ask": "name"}, timeout_s=3600)}


typed = Graph(
    "typed",
    state={"n": 1},
    schema={"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]},
)


@typed.node()
async def hold() -> None:
    """Do nothing."""
