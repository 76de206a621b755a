"""Graphs that say much: text in pieces, calls of tools, branches side by side, items, and failures."""

from typing import Any

from graphwire import Context, Graph
from tests.live.control import gates

tolerant = Graph("tolerant", name="Goes on", state={"gate": None})


@tolerant.node(on_error="continue", name="Breaks")
def broken() -> None:
    """Fail."""
    raise ValueError("no luck")


tolerant.node("after", "transform", {"set": {"went_on": "true"}}).edge("broken", "after")

strict = Graph("strict")
strict.node(broken)

agent = Graph(
    "agent",
    state={"gate": None, "notes": [], "items": [3, 4]},
    reducers={"notes": "append"},
)


@agent.node(name="Says hello")
async def greet(ctx: Context, gate: str | None) -> dict[str, Any]:
    """Say a text in three pieces; between the second and the third wait at the gate, if there is one."""
    await ctx.token("Hel")
    await ctx.token("lo, ")
    if gate is not None:
        await gates[gate].pass_through()
    await ctx.token("wörld\u2028", final=True)
    return {"greeted": True, "notes": "greeted"}


@agent.node()
async def search(ctx: Context) -> dict[str, Any]:
    """Call a tool, and never finish a sentence."""
    await ctx.emit({"id": "c1", "name": "search"}, scope="tool_call_start")
    await ctx.emit({"id": "c1", "delta": '{"q":'}, scope="tool_call_args")
    await ctx.emit({"id": "c1", "delta": '"x"}'}, scope="tool_call_args")
    await ctx.emit({"id": "c1"}, scope="tool_call_end")
    await ctx.emit({"id": "c1", "content": {"hits": 2}}, scope="tool_call_result")
    await ctx.token("I found", "draft")
    await ctx.emit({"id": "c2", "name": "forgotten"}, scope="tool_call_start")
    await ctx.emit({"of": 2}, scope="hits")
    await ctx.emit("no object", scope="tool_call_args")
    return {"hits": 2, "notes": "searched"}


async def double(item: int, ctx: Context) -> int:
    """Double an item, and say so."""
    await ctx.token(f"{item}", final=True)
    ctx.log("doubled", item=item)
    return 2 * item


agent.node("left", "transform", {"set": {"side": "'left'", "notes": "'left'"}})
agent.node("right", "transform", {"set": {"notes": "'right'"}})
agent.node("each", "foreach", {"items": "state.items", "body": Graph("body").node(double)})
agent.node("join", "transform", {"set": {"greeted": "null", "items": "state.items + [5]"}})
for _branch in ("left", "right", "each"):
    agent.edge("search", _branch).edge(_branch, "join")
agent.edge("greet", "search")
