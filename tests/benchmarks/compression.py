"""What compression of streams takes and saves: readers of each coding, beside the same without one."""

import resource
import tempfile
import zlib
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Final

from backports import zstd

from tests.benchmarks import servers
from tests.benchmarks.fanout import BURST, ONE, Audience, Reader, Stage, told
from tests.benchmarks.measuring import Series
from tests.benchmarks.printing import table, title

READERS: Final = 200
EVENTS: Final = {ONE: 300, BURST: 1_500}
MICRO: Final = 1e6
OWN: Final = "?types=node_message"
"""A filter that lets all pass: such readers share nothing."""
CONTENDERS: Final = (
    ("identity", "identity", ""),
    ("gzip", "gzip", ""),
    ("zstd", "zstd", ""),
    ("identity, a filter each", "identity", OWN),
    ("gzip, a filter each", "gzip", OWN),
    ("zstd, a filter each", "zstd", OWN),
)


class Decoding(Reader):
    """A reader that takes chunks and the coding off."""

    def __init__(self, audience: Audience, coding: str) -> None:
        super().__init__(audience)
        self._decode = _decoder(coding)
        self._head = b""
        self._buffer: bytes | None = None
        self.size = 0

    def _count(self, data: bytes) -> None:
        if self._buffer is None:
            head, end, self._buffer = (self._head + data).partition(b"\r\n\r\n")
            if not end:
                self._head, self._buffer = head, None
                return
        else:
            self._buffer += data
        while (end_of_size := self._buffer.find(b"\r\n")) >= 0:
            upto = end_of_size + 2 + int(self._buffer[:end_of_size], 16)
            if len(self._buffer) < upto + 2:
                return
            chunk, self._buffer = self._buffer[end_of_size + 2 : upto], self._buffer[upto + 2 :]
            self.size += len(chunk)
            super()._count(self._decode(chunk))


def _decoder(coding: str) -> Callable[[bytes], bytes]:
    if coding == "gzip":
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress
    if coding == "identity":
        return bytes
    frames = [zstd.ZstdDecompressor()]

    def decode(data: bytes) -> bytes:
        parts = [frames[-1].decompress(data)]
        while frames[-1].eof:
            rest = frames.pop().unused_data
            frames.append(zstd.ZstdDecompressor())
            parts.append(frames[-1].decompress(rest))
        return b"".join(parts)

    return decode


async def measure(repeats: int) -> None:
    """Measure and print the table."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit[1], limit[1]))
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="graphwire-bench-")))
        server = await stack.enter_async_context(servers.graphwire(folder))
        stages: list[Stage] = []
        for number, (name, coding, query) in enumerate(CONTENDERS):
            path = folder / f"{number}.socket"
            stage = Stage(name, server, path, Audience(partial(Decoding, coding=coding)), events=EVENTS)
            address = await told(server, path)
            stack.callback(stage.audience.close)
            await stage.audience.open(server.port, address + query, READERS, Accept_Encoding=coding)
            await stage.publish(ONE, ONE)
            stages.append(stage)
        sizes: dict[tuple[str, int], Series] = {}
        for repeat in range(-1, repeats):  # the first round is thrown away
            for at_once in (ONE, BURST):
                for turn in range(len(stages)):
                    stage = stages[(turn + repeat) % len(stages)]
                    before = _size(stage)
                    await stage.round(at_once, counts=repeat >= 0)
                    share = (_size(stage) - before) / EVENTS[at_once] / READERS
                    if repeat >= 0:
                        sizes.setdefault((stage.name, at_once), Series()).values.append(share)
        _print(stages, sizes)


def _size(stage: Stage) -> int:
    return sum(reader.size for reader in stage.audience.readers if isinstance(reader, Decoding))


def _print(stages: list[Stage], sizes: dict[tuple[str, int], Series]) -> None:
    plain = stages[0]
    for at_once, words in ((ONE, "one at a time"), (BURST, "ten at once")):
        title(f"Compression: {READERS} readers of an execution, {words}")
        rows = []
        for stage in stages:
            size, base = sizes[stage.name, at_once], sizes[plain.name, at_once]
            rows.append(
                (
                    stage.name,
                    size.spread(form=",.0f"),
                    base.over(size).spread(form=".2f"),
                    stage.cpu[at_once].spread(MICRO, form=".2f"),
                    stage.cpu[at_once].over(plain.cpu[at_once]).spread(form=".2f"),
                )
            )
        table(("", "bytes per event", "times smaller", "CPU per delivery, us", "of identity's"), rows)
