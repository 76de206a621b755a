"""Servers in processes of their own."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psutil

GRAPHS = Path(__file__).parent / "graphs"
START_S = 30.0
_ADDRESS = re.compile(rb"http://[^:/]+:(\d+)")


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs."""

    port: int
    pid: int

    def resident_bytes(self) -> int:
        """Return the memory that its process holds."""
        return int(psutil.Process(self.pid).memory_info().rss)


@asynccontextmanager
async def running(
    *arguments: str, environment: Mapping[str, str] | None = None, stderr: int | None = asyncio.subprocess.DEVNULL
) -> AsyncIterator[Server]:
    """Run a Python module that prints its address; ended with the block. None as ``stderr`` is that of this process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *arguments,
        env={**os.environ, **(environment or {})},
        stdout=asyncio.subprocess.PIPE,
        stderr=stderr,
    )
    try:
        yield Server(await asyncio.wait_for(_port(process), START_S), process.pid)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


@asynccontextmanager
async def graphwire(folder: Path, *, graphs: Path = GRAPHS) -> AsyncIterator[Server]:
    """Run the service as a user does, with a database in this folder."""
    settings = {
        "GRAPHWIRE_DATABASE_URL": f"sqlite:///{folder}/graphwire.db",
        "GRAPHWIRE_GRAPHS": str(graphs),
        "GRAPHWIRE_DRAIN_S": "1",
    }
    async with running("app", "serve", "--port", "0", environment=settings) as server:
        yield server


class Tasks:
    """Tasks that go on until the block ends, and are cancelled then."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[Any]] = []

    def add(self, task: asyncio.Task[Any]) -> None:
        """Keep a task."""
        self._tasks.append(task)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        for task in self._tasks:
            task.cancel()


async def _port(process: asyncio.subprocess.Process) -> int:
    assert process.stdout is not None
    while line := await process.stdout.readline():
        if (found := _ADDRESS.search(line)) is not None:
            return int(found[1])
    raise RuntimeError(f"the server ended with {await process.wait()} before it served")
