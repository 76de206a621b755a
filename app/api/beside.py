"""Work on texts that would hold the event loop: done in threads of its own, and bounded."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Final, TypeVar

from graphwire.errors import AtCapacity
from graphwire.graphs.documents import Format

T = TypeVar("T")

LARGE_BYTES: Final[Mapping[Format, int]] = {"json": 20_000, "yaml": 5_000}
"""What is larger is not worked on by the event loop: some 20 ms."""
MOST_BYTES: Final[Mapping[str, int]] = {"json": 64 * 1024 * 1024, "yaml": 16 * 1024 * 1024, "answers": 64 * 1024 * 1024}
"""What may wait in each lane, together with what is worked on: of YAML a megabyte takes seconds."""


class Lane:
    """One thread that does one thing after the other, in the order in which they came.

    Args:
        name: Of the thread.
        most_bytes: Of what is worked on and waits; one thing of any size is always taken.
    """

    def __init__(self, name: str, *, most_bytes: int) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._most_bytes = most_bytes
        self._bytes = 0
        self._lock = Lock()

    async def do(self, size: int, work: Callable[[], T]) -> T:
        """Return what ``work`` makes of a text of so many bytes.

        Raises:
            AtCapacity: Too much waits already.
        """
        with self._lock:
            if self._bytes and self._bytes + size > self._most_bytes:
                raise AtCapacity("too many large texts are being read or written; try again", limit=self._most_bytes)
            self._bytes += size
        done = self._thread.submit(work)
        # The thread's own future: what nobody waits for any more cannot be stopped, and counts until it is over.
        done.add_done_callback(lambda _: self._give_back(size))
        return await asyncio.wrap_future(done)

    def close(self) -> None:
        """Begin nothing more. What is being worked on is not waited for."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _give_back(self, size: int) -> None:
        with self._lock:
            self._bytes -= size


class Beside:
    """The lanes: who reads JSON does not wait for YAML, and who reads does not wait for answers that are written."""

    def __init__(self) -> None:
        self._lanes = {name: Lane(f"texts-{name}", most_bytes=most) for name, most in MOST_BYTES.items()}

    async def read(self, format: Format, size: int, work: Callable[[], T]) -> T:
        """Return what is made of a text that came, at once if it is small. Raises as ``Lane.do``."""
        return work() if size <= LARGE_BYTES[format] else await self._lanes[format].do(size, work)

    async def write(self, size: int, work: Callable[[], T]) -> T:
        """Return an answer that is made of a text, at once if it is small. Raises as ``Lane.do``."""
        return work() if size <= LARGE_BYTES["yaml"] else await self._lanes["answers"].do(size, work)

    def close(self) -> None:
        """Close the lanes."""
        for lane in self._lanes.values():
            lane.close()
