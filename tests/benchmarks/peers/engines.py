"""Other engines, each doing the chain of nodes that do nothing. Those that are not installed are one line each."""

import importlib
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from tests.benchmarks.measuring import Sample
from tests.benchmarks.printing import say

FAMILIES = ("langgraph", "pydantic_graph", "llama_index_workflows")


@dataclass(frozen=True, slots=True)
class Peer:
    """A way to run the chain with another engine.

    Attributes:
        has_events: Whether a started and a completed event per node are made and encoded.
        is_durable: Whether each node's commit is stored in SQLite, forced to disk.
    """

    name: str
    sample: Sample
    has_events: bool = False
    is_durable: bool = False


Family = Callable[[AsyncExitStack, int], Awaitable[list[Peer]]]


async def find(stack: AsyncExitStack, *, nodes: int) -> list[Peer]:
    """Return the peers that are installed; the stack closes what they opened."""
    found: list[Peer] = []
    for name in FAMILIES:
        try:
            family: Family = importlib.import_module(f"{__package__}.{name}").peers
        except ImportError as error:
            say(f"{name}: left out, {error.name} is not installed (pip install -e '.[bench]')")
            continue
        found += await family(stack, nodes)
    return found
