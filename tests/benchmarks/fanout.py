"""Table 3: one execution, a thousand readers. Client and contenders are a process each, on this machine."""

import asyncio
import resource
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
import psutil

from tests.benchmarks import servers
from tests.benchmarks.http_client import ask, request
from tests.benchmarks.measuring import Series
from tests.benchmarks.printing import kept, table, title
from tests.benchmarks.servers import Server

READERS: Final = 1_000
ONE, BURST = 1, 10
EVENTS: Final = {ONE: 100, BURST: 500}
"""Of a round: so many are published, one after the other or ten at once, each time all readers have what there was."""
RAW, LIBRARY, OURS = "a raw asyncio server", "sse-starlette, a dict per event", "graphwire serve"
ROUND_S: Final = 120.0
MICRO, KIB = 1e6, 2**10


class Reader(asyncio.Protocol):
    """One connection, which counts the blocks of a stream."""

    def __init__(self, audience: "Audience") -> None:
        self._audience = audience
        self._ends_with_lf = False
        self.begun = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as loops call it
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if not self.begun.done():
            self.begun.set_result(None)
        self._count(data)

    def _count(self, data: bytes) -> None:
        blocks = data.count(b"\n\n") + (self._ends_with_lf and data.startswith(b"\n"))
        self._ends_with_lf = data.endswith(b"\n") and not data.endswith(b"\n\n")
        self._audience.got(blocks)


class Audience:
    """Readers of one stream, waited for all together.

    Args:
        make: Makes a reader.
    """

    def __init__(self, make: "Callable[[Audience], Reader]" = Reader) -> None:
        self._make = make
        self._missing = 0
        self._done: asyncio.Future[None] | None = None
        self.readers: list[Reader] = []

    def got(self, blocks: int) -> None:
        """Count blocks that came."""
        self._missing -= blocks
        if self._missing <= 0 and self._done is not None and not self._done.done():
            self._done.set_result(None)

    async def open(self, port: int, path: str, count: int, **headers: str) -> None:
        """Open so many readers."""
        loop = asyncio.get_running_loop()
        for _ in range(count):
            _, reader = await loop.create_connection(lambda: self._make(self), "127.0.0.1", port)
            self.readers.append(reader)
            reader.transport.write(request("GET", path, b"", **headers))
        await asyncio.gather(*(reader.begun for reader in self.readers))
        await asyncio.sleep(0.5)  # a server may answer before it counts a reader

    def expect(self, events: int) -> asyncio.Future[None]:
        """Return what is done when each reader has got so many more events."""
        self._missing += events * len(self.readers)
        self._done = asyncio.get_running_loop().create_future()
        self.got(0)
        return self._done

    def close(self) -> None:
        """Close all."""
        for reader in self.readers:
            reader.transport.abort()


@dataclass(slots=True)
class Stage:
    """A contender with its readers, and what was measured of it.

    Attributes:
        events: How many a round publishes, by how many of them are published at once.
        per_reader: Bytes of memory for each idle reader.
        rates: Deliveries per second, by how many events are published at once.
        cpu: Seconds of the server's processor per delivery, likewise.
    """

    name: str
    server: Server
    path: Path
    audience: Audience = field(default_factory=Audience)
    events: Mapping[int, int] = field(default_factory=lambda: EVENTS)
    per_reader: float = 0.0
    rates: dict[int, Series] = field(default_factory=lambda: {ONE: Series(), BURST: Series()})
    cpu: dict[int, Series] = field(default_factory=lambda: {ONE: Series(), BURST: Series()})

    async def fill(self, address: str, seen: int) -> None:
        """Open the readers; ``seen`` events are there already."""
        before = self.server.resident_bytes()
        await self.audience.open(self.server.port, address, READERS)
        await self.audience.expect(seen)
        await self.publish(ONE, ONE)
        self.per_reader = (self.server.resident_bytes() - before) / READERS

    async def publish(self, events: int, at_once: int) -> None:
        """Publish events, and wait each time until all readers have them."""
        _, order = await asyncio.open_unix_connection(self.path)
        async with asyncio.timeout(ROUND_S):
            for _ in range(events // at_once):
                done = self.audience.expect(at_once)
                order.write(b"%d\n" % at_once)
                await done
        order.close()

    async def round(self, at_once: int, *, counts: bool) -> None:
        """Measure once."""
        events = self.events[at_once]
        process = psutil.Process(self.server.pid)
        cpu, started = process.cpu_times(), time.perf_counter()
        await self.publish(events, at_once)
        seconds, after = time.perf_counter() - started, process.cpu_times()
        if counts:
            deliveries = events * len(self.audience.readers)
            self.rates[at_once].values.append(deliveries / seconds)
            self.cpu[at_once].values.append((after.user - cpu.user + after.system - cpu.system) / deliveries)


async def measure(repeats: int) -> None:
    """Measure and print the table."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit[1], limit[1]))
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="graphwire-bench-")))
        stages = [
            await _peer(stack, RAW, "raw", folder),
            await _peer(stack, LIBRARY, "sse-starlette", folder),
            await _service(stack, folder),
        ]
        for repeat in range(-1, repeats):  # the first round is thrown away
            for at_once in (ONE, BURST):
                for stage in (*stages[repeat % 3 :], *stages[: repeat % 3]):
                    await stage.round(at_once, counts=repeat >= 0)
        _print(stages)


async def _peer(stack: AsyncExitStack, name: str, kind: str, folder: Path) -> Stage:
    path = folder / f"{kind}.socket"
    server = await stack.enter_async_context(servers.running("tests.benchmarks.fanout_servers", kind, str(path)))
    return await _filled(stack, Stage(name, server, path), "/", 0)


async def _service(stack: AsyncExitStack, folder: Path) -> Stage:
    path = folder / "graphwire.socket"
    server = await stack.enter_async_context(servers.graphwire(folder))
    return await _filled(stack, Stage(OURS, server, path), await told(server, path), 2)


async def told(server: Server, path: Path) -> str:
    """Start an execution that listens at this path; return the address of its events, of which there are two."""
    body = msgspec.json.encode({"state": {"path": str(path)}})
    execution = msgspec.json.decode((await ask(server.port, request("POST", "/graphs/told/execute", body))).body)["id"]
    page = request("GET", f"/executions/{execution}/events?wait=5&after=1", Accept="application/json")
    await ask(server.port, page)
    return f"/executions/{execution}/events"


async def _filled(stack: AsyncExitStack, stage: Stage, address: str, seen: int) -> Stage:
    stack.callback(stage.audience.close)
    await stage.fill(address, seen)
    return stage


def _print(stages: Sequence[Stage]) -> None:
    title(f"Table 3: one execution, {READERS:,} readers")
    table(
        ("", "one at a time, deliveries/s", "CPU, us", "ten at once, deliveries/s", "CPU, us", "KiB per idle reader"),
        [
            (
                stage.name,
                stage.rates[ONE].spread(form=",.0f"),
                stage.cpu[ONE].spread(MICRO, form=".2f"),
                stage.rates[BURST].spread(form=",.0f"),
                stage.cpu[BURST].spread(MICRO, form=".2f"),
                f"{stage.per_reader / KIB:.1f}",
            )
            for stage in stages
        ],
    )
    raw, library, ours = stages
    table(
        ("graphwire against its budget", "by the clock", "", "by its processor", ""),
        [
            ("one at a time: 0.8 x the raw server", *_share(ours, raw, ONE, 0.8)),
            ("one at a time: 8 x sse-starlette", *_share(ours, library, ONE, 8)),
            ("ten at once: 0.8 x the raw server", *_share(ours, raw, BURST, 0.8)),
            ("ten at once: 8 x sse-starlette", *_share(ours, library, BURST, 8)),
        ],
    )
    cpu = ours.cpu[ONE]
    table(
        ("", "measured", "budget", ""),
        [
            ("CPU per delivery, one at a time", f"{cpu.spread(MICRO, form='.2f')} us", "5 us", kept(cpu, 5e-6)),
            ("per idle reader", f"{ours.per_reader / KIB:.1f} KiB", "25 KB", kept(Series([ours.per_reader]), 25e3)),
        ],
    )


def _share(ours: Stage, other: Stage, at_once: int, wanted: float) -> tuple[str, str, str, str]:
    """Compare how much is delivered in a time, and how much for a time of the server's processor; more is better."""
    by_clock = ours.rates[at_once].over(other.rates[at_once])
    by_cpu = other.cpu[at_once].over(ours.cpu[at_once])
    cells = [(ratio.spread(form=".2f"), "within" if ratio.median >= wanted else "OVER") for ratio in (by_clock, by_cpu)]
    return (*cells[0], *cells[1])
