"""What the engine is compared with: the least that does the same."""

import asyncio
import sqlite3
from pathlib import Path

import msgspec

from app.storage import sqlite
from tests.benchmarks.measuring import Sample, Stopwatch
from tests.benchmarks.shapes import noop

NODES = 100


class _Event(msgspec.Struct):
    seq: int
    type: str
    node_id: str


def bare_loop(nodes: int = NODES, *, rounds: int = 100) -> Sample:
    """Return a sample of awaiting functions that do nothing: seconds per node."""
    functions = [noop() for _ in range(nodes)]

    async def sample() -> float:
        with Stopwatch() as watch:
            for _ in range(rounds):
                for function in functions:
                    await function()
        return watch.cpu_s / nodes / rounds

    return sample


def bare_loop_with_events(nodes: int = NODES, *, rounds: int = 100) -> Sample:
    """Return a sample of the same loop with a started and a completed event per node, encoded, in a list."""
    functions = [(f"n{number}", noop()) for number in range(nodes)]
    encode = msgspec.json.Encoder().encode

    async def sample() -> float:
        with Stopwatch() as watch:
            for _ in range(rounds):
                lines: list[bytes] = []
                seq = 0
                for name, function in functions:
                    seq += 1
                    lines.append(encode(_Event(seq, "node_started", name)))
                    await function()
                    seq += 1
                    lines.append(encode(_Event(seq, "node_completed", name)))
        return watch.cpu_s / nodes / rounds

    return sample


class ForcedCommits:
    """Commits of one row each, forced to disk in the file that the executions are stored in, by another connection."""

    ROW = b"x" * 600

    def __init__(self, path: Path) -> None:
        self._connection = sqlite.connect(path, busy_timeout_s=5)
        self._connection.execute("CREATE TABLE IF NOT EXISTS benchmark_floor (id INTEGER PRIMARY KEY, body BLOB)")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def sample(self, commits: int = 10) -> Sample:
        """Return a sample of commits, one after the other, each through a thread: seconds per commit."""

        async def sample() -> float:
            loop = asyncio.get_running_loop()
            with Stopwatch() as watch:
                for _ in range(commits):
                    await loop.run_in_executor(None, self._commit)
            return watch.seconds / commits

        return sample

    def direct(self, commits: int = 10) -> Sample:
        """Return a sample of commits without a thread: what the disk alone takes."""

        async def sample() -> float:
            with Stopwatch() as watch:
                for _ in range(commits):
                    self._commit()
            return watch.seconds / commits

        return sample

    def _commit(self) -> None:
        connection: sqlite3.Connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO benchmark_floor (body) VALUES (?)", (self.ROW,))
        connection.execute("COMMIT")
