"""What tests share with the nodes of the graphs in ``graphs/``, when both are in one process."""

import asyncio
import threading
from collections import defaultdict


class Gate:
    """A place where nodes wait until the test lets them pass."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()

    async def pass_through(self) -> None:
        """Say that a node is here, and wait."""
        self.reached.set()
        await self.opened.wait()


gates: defaultdict[str, Gate] = defaultdict(Gate)

awake = threading.Event()
"""Set by the test that wants threads to go on."""
keys: list[str] = []
"""The idempotency keys of those that note theirs."""
