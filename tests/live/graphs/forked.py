"""Graphs whose nodes have effects, or fail until the test mends them."""

from typing import Any

from graphwire import Context, Graph
from tests.live.control import gates, keys

paid = Graph("paid", state={"gate": "gate", "name": "Ada"})
paid.node("before", "transform", {"set": {"greeting": "'Hello, ' + state.name"}})


@paid.node(effects=True)
async def pay(ctx: Context, gate: str) -> dict[str, Any]:
    """Note the key, then wait until the test opens the gate."""
    keys.append(ctx.idempotency_key)
    await gates[gate].pass_through()
    return {"paid": True}


paid.node("after", "transform", {"set": {"farewell": "'Bye, ' + state.name"}})
paid.edge("before", "pay").edge("pay", "after")

fragile = Graph("fragile", state={"runs": 0, "items": [1, 2, 3]})
fragile.node("count", "transform", {"set": {"runs": "state.runs + 1"}})


@fragile.node()
def breaks(runs: int) -> dict[str, Any]:
    """Fail until it is mended."""
    if not gates["mended"].opened.is_set():
        raise ValueError("no luck")
    return {"held": runs}


fragile.edge("count", "breaks")
