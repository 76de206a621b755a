"""``graphwire serve`` as a process of its own, as it is run by people."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.live.serving import GRAPHS
from tests.waiting import PATIENCE_S

COMMAND = (sys.executable, "-m", "app", "serve", "--port", "0")


@dataclass
class Served:
    """A process that serves.

    Attributes:
        address: Of the service, as it said.
    """

    process: asyncio.subprocess.Process
    address: str

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    async def ended(self, within_s: float = PATIENCE_S) -> int:
        """Wait for its end, and return its status."""
        async with asyncio.timeout(within_s):
            return await self.process.wait()


def environment(folder: Path, **variables: str) -> dict[str, str]:
    """Return what a process is given: a database in this folder, and the graphs of the tests."""
    return {
        **os.environ,
        "GRAPHWIRE_DATABASE_URL": f"sqlite:///{folder}/graphwire.db",
        "GRAPHWIRE_GRAPHS": str(GRAPHS),
        **variables,
    }


@asynccontextmanager
async def process(folder: Path, *, stderr: int = asyncio.subprocess.DEVNULL, **variables: str) -> AsyncIterator[Served]:
    """Run the command until the block ends, which kills it if it still runs; ``stderr`` is where its log goes."""
    running = await asyncio.create_subprocess_exec(
        *COMMAND, env=environment(folder, **variables), stdout=asyncio.subprocess.PIPE, stderr=stderr
    )
    try:
        assert running.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            said = (await running.stdout.readuntil(b"curl -N")).decode()
        found = re.search(r"http://\S+", said)
        assert found is not None
        yield Served(running, found[0])
    finally:
        if running.returncode is None:
            running.kill()
        await running.wait()
