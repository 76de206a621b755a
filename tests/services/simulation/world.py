"""What the nodes of a simulated execution do, and graphs made of them: all drawn from a seed."""

import asyncio
from collections import Counter
from random import Random
from typing import Any

from graphwire import GraphDefinition
from graphwire.engine.context import Context
from graphwire.engine.plan import Plan, compile_plan
from graphwire.graphs.code import Code
from graphwire.nodes import builtin_registry

KEYS = ("a", "b", "log", "sum")
DELAYS_S = (0.0, 0.0, 0.0, 0.01, 0.3, 3.0)
FUNCTION = {"type": "function", "config": {"function": "world:act"}}
_REGISTRY = builtin_registry()


class World:
    """Everything outside of the service. What an activation comes to is drawn once, and always the same.

    Attributes:
        runs: How often each activation was run.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self.runs: Counter[str] = Counter()

    def plan(self, definition: GraphDefinition) -> Plan:
        """Return a graph whose functions act in this world."""
        return compile_plan(definition, _REGISTRY, Code({"world:act": self.act}))

    def answer(self, activation: str) -> int:
        """What a person says when an activation asks."""
        return Random(f"{self._seed}:{activation}:answer").randrange(5)

    async def act(self, ctx: Context) -> Any:
        """What the function of every node is."""
        drawn = Random(f"{self._seed}:{ctx.activation}")
        value = drawn.randrange(5)
        if "ask" in ctx.node_id:
            value = ctx.interrupt({"about": ctx.node_id})
        tries = self.runs[ctx.activation] = self.runs[ctx.activation] + 1
        delay_s, course, key = drawn.choice(DELAYS_S), drawn.random(), drawn.choice(KEYS)
        for word in range(drawn.choice((0, 0, 1, 3))):
            await ctx.token(f"{ctx.node_id} {word}")
        if delay_s:
            await asyncio.sleep(delay_s)  # the node's work, on the virtual loop
        # Only what is tried again may depend on how often it ran: a crash may run anything again.
        if course < 0.1 or (course < 0.5 and tries == 1 and "again" in ctx.node_id):
            raise ValueError("drawn")
        return {"log": ctx.node_id} if key == "log" else {key: value}


def graph(seed: int) -> GraphDefinition:
    """Draw a small graph: branches, joins, conditions, loops, timers, items, and nodes that fail."""
    random = Random(f"graph:{seed}")
    count = random.randint(1, 7)
    names = [f"n{place}{random.choice(('', '', '_again', '_ask'))}" for place in range(count)]
    nodes = [_node(name, random) for name in names]
    edges = [
        _edge(names[source], names[target], random)
        for target in range(1, count)
        for source in random.sample(range(target), min(target, random.choice((1, 1, 2))))
    ]
    if count > 1 and random.random() < 0.5:
        nodes.append({"id": "turn", "type": "transform", "config": {"set": {"turns": "get(state, 'turns', 0) + 1"}}})
        edges.append({"source": names[-1], "target": "turn"})
        edges.append({"source": "turn", "target": random.choice(names), "when": "state.turns < 3"})
    return GraphDefinition.model_validate(
        {
            "id": "g",
            "nodes": nodes,
            "edges": edges,
            "entry": names[:1],
            "state": {"initial": {"a": 0, "items": [1, 2, 3]}, "reducers": {"log": "append", "sum": "add"}},
            "limits": {"max_parallelism": random.choice((1, 2, 64)), "max_steps": 80},
            "on_error": random.choice(("fail", "continue", "skip")),
        }
    )


def _node(id: str, random: Random) -> dict[str, Any]:
    draw = random.random()
    node: dict[str, Any]
    if draw < 0.12:
        node = {"type": "delay", "config": {"seconds": random.choice((0, 0.5, 5, 600))}}
    elif draw < 0.3:
        collect = random.choice(("fail", "collect"))
        items = {"items": "state.items", "max_parallelism": 2, "on_item_error": collect}
        node = {"type": "foreach", "config": {**items, "body": _body(id, random)}}
    elif draw < 0.4:
        turns = {"condition": "state.i < 3", "index": "i", "max_iterations": random.choice((2, 5))}
        node = {"type": "while", "config": {**turns, "body": _body(id, random)}}
    elif draw < 0.5:
        node = {"type": "subgraph", "config": {"body": _body(id, random)}}
    else:
        node = dict(FUNCTION)
    if "again" in id and node["type"] != "delay":
        node["retry"] = {"max_attempts": 3, "delay_s": random.choice((0, 0.1, 2, 600))}
    if random.random() < 0.2:
        node["on_error"] = random.choice(("continue", "skip"))
    if random.random() < 0.1:
        node["effects"] = True
    return {"id": id, **node}


def _body(id: str, random: Random) -> dict[str, Any]:
    name = id.partition("_")[0]
    first: dict[str, Any] = {"id": f"{name}i{random.choice(('', '', '_again', '_ask'))}", **FUNCTION}
    if "again" in first["id"]:
        first["retry"] = {"max_attempts": 3, "delay_s": random.choice((0, 2))}
    if random.random() < 0.5:
        return first
    nodes = [first, {"id": f"{name}j", **FUNCTION}]
    return {"nodes": nodes, "edges": [{"source": first["id"], "target": f"{name}j"}]}


def _edge(source: str, target: str, random: Random) -> dict[str, Any]:
    edge: dict[str, Any] = {"source": source, "target": target}
    draw = random.random()
    if draw < 0.2:
        edge["when"] = f"get(state, 'a', 0) > {random.randrange(4)}"
    elif draw < 0.3:
        edge["else"] = True
    elif draw < 0.4:
        edge["on"] = random.choice(("error", "always"))
    return edge
