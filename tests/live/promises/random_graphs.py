"""Graphs drawn from a seed: branches, joins, loops that end, errors that are handled and some that are not."""

import random
from typing import Any


def random_graph(name: str, seed: int) -> dict[str, Any]:
    """Return a definition that is valid and ends, whatever the seed."""
    chance = random.Random(seed)
    count = chance.randint(1, 9)
    nodes = [_node(chance, number) for number in range(count)]
    edges: list[dict[str, Any]] = []
    for target in range(1, count):
        sources = chance.sample(range(target), k=min(target, chance.randint(1, 3)))
        edges += [{"source": f"n{source}", "target": f"n{target}", **_condition(chance)} for source in sources]
    if count > 2:  # a way back, taken a few times at most
        source, target = sorted(chance.sample(range(1, count), 2), reverse=True)
        edges.append({"source": f"n{source}", "target": f"n{target}", "when": f"get(state, 'c{source}', 9) < 3"})
    return {
        "id": name,
        "nodes": nodes,
        "edges": edges,
        "entry": ["n0"],
        "on_error": chance.choice(["fail", "continue", "skip"]),
        "limits": {"max_steps": 60},
        "state": {"initial": {"list": []}, "reducers": {"list": "append"}},
    }


def _node(chance: random.Random, number: int) -> dict[str, Any]:
    key = f"c{number}"
    sets = {key: f"get(state, '{key}', 0) + 1", "list": f"'{chance.choice(['x', 'é', '😀'])}' + str({number})"}
    if chance.random() < 0.15:
        sets["broken"] = "1 / 0"
    if chance.random() < 0.2:
        sets["same"] = str(number)
    node: dict[str, Any] = {"id": f"n{number}", "type": "transform", "config": {"set": sets}}
    if chance.random() < 0.2:
        node["join"] = chance.choice(["any", 1, 2])
    return node


def _condition(chance: random.Random) -> dict[str, Any]:
    return chance.choice([{}, {}, {"when": "len(state.list) > 2"}, {"on": "always"}, {"on": "error"}])
