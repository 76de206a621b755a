"""The graphs that the engine is measured with. Their nodes do nothing: what is left is the engine."""

from collections.abc import Callable
from typing import Any

from graphwire import Graph
from graphwire.engine.plan import Plan
from graphwire.local import prepare


def noop() -> Callable[[], Any]:
    """Return a coroutine function that does nothing."""

    async def nothing() -> None:
        return None

    return nothing


def chain(length: int, *, state: dict[str, Any] | None = None) -> Plan:
    """So many nodes, one after the other."""
    graph = Graph(f"chain_{length}", state=state or {})
    for number in range(length):
        graph.node(noop(), id=f"n{number}")
        if number:
            graph.edge(f"n{number - 1}", f"n{number}")
    return prepare(graph)


def counting_chain(length: int) -> Plan:
    """As ``chain``, and each node reads one key of the state and writes it."""
    graph = Graph(f"counting_{length}", state={"count": 0})
    for number in range(length):
        graph.node(_counter(), id=f"n{number}")
        if number:
            graph.edge(f"n{number - 1}", f"n{number}")
    return prepare(graph)


def fan_out(width: int) -> Plan:
    """A node, so many side by side, and one that joins them."""
    graph = Graph(f"fan_out_{width}")
    graph.node(noop(), id="open").node(noop(), id="join")
    for number in range(width):
        graph.node(noop(), id=f"n{number}").edge("open", f"n{number}").edge(f"n{number}", "join")
    return prepare(graph)


def lattice(size: int) -> Plan:
    """Nodes in a square; each waits for the one above it and the one to its left."""
    graph = Graph(f"lattice_{size}")
    for row in range(size):
        for column in range(size):
            graph.node(noop(), id=f"r{row}c{column}")
            if row:
                graph.edge(f"r{row - 1}c{column}", f"r{row}c{column}")
            if column:
                graph.edge(f"r{row}c{column - 1}", f"r{row}c{column}")
    return prepare(graph)


def waiting(release: Callable[[], Any]) -> Plan:
    """One node that waits for what ``release`` returns."""
    graph = Graph("waiting")

    async def wait() -> None:
        await release()

    graph.node(wait, id="wait")
    return prepare(graph)


def _counter() -> Callable[..., Any]:
    async def add_one(count: int) -> dict[str, int]:
        return {"count": count + 1}

    return add_one
