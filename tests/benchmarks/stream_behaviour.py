"""The rest of table 2: what readers lose, what a cancellation takes, who delays whom, what it all keeps in memory."""

import asyncio
import random
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec

from tests.benchmarks import servers
from tests.benchmarks.http_client import ask, connected, request, run_and_stream
from tests.benchmarks.measuring import Series
from tests.benchmarks.printing import kept, table, title
from tests.benchmarks.servers import Server

CUTS = 20
PACED_EVENTS = 2_000
CHATTER = 30_000
OPEN = 200
MIB, KIB = 2**20, 2**10


async def behaviour(server: Server, repeats: int) -> None:
    """Measure and print it."""
    title("Table 2, the rest")
    lost, repeated = await _cuts(server)
    cancelled = Series([await _cancel(server) for _ in range(3 * repeats)])
    alone, delays = await _beside_chatter(server, max(2, repeats // 2))
    rest, per_execution, per_reader = await _memory()
    ms = 1e3
    table(
        ("", "measured", "budget", ""),
        [
            (
                f"a reader cut {CUTS} times and resumed",
                f"{lost} lost, {repeated} repeated",
                "0, 0",
                "within" if lost == repeated == 0 else "OVER",
            ),
            (
                "cancel to the end of the stream",
                f"{cancelled.spread(ms)} ms",
                "3 ms",
                kept(cancelled, 0.003),
            ),
            (
                f"worst delay of a chain ({alone.spread(ms)} ms alone) beside {CHATTER:,} events",
                f"{delays.spread(ms)} ms",
                "50 ms",
                kept(delays, 0.05),
            ),
            ("resident memory at rest", f"{rest / MIB:.0f} MiB", "115 MB", kept(Series([rest]), 115e6)),
            (
                "… more per running execution with a reader",
                f"{per_execution / KIB:.1f} KiB",
                "60 KB",
                kept(Series([per_execution]), 60e3),
            ),
            (
                "… more per further reader",
                f"{per_reader / KIB:.1f} KiB",
                "25 KB",
                kept(Series([per_reader]), 25e3),
            ),
        ],
    )


async def _cuts(server: Server) -> tuple[int, int]:
    """Cut a live stream at random places, resume by the last number, and count what is missing and what came twice."""
    draw = random.Random(7)
    answer = await ask(server.port, run_and_stream("paced", count=PACED_EVENTS), cut_after=draw.randint(2, 150))
    seen = answer.numbers()
    where = f"{answer.location}/events"
    for cut in range(CUTS):
        cut_after = draw.randint(1, 150) if cut < CUTS - 1 else None
        again = request("GET", where, Last_Event_ID=str(seen[-1]))
        seen += (await ask(server.port, again, cut_after=cut_after)).numbers()
    expected = range(1, PACED_EVENTS + 6)  # started, node started, the ticks, node completed, completed, sentinel
    return len(set(expected) - set(seen)), len(seen) - len(set(seen))


async def _cancel(server: Server) -> float:
    """Return the seconds from asking for a cancellation to the end of the stream."""
    async with connected(server.port) as reading, connected(server.port) as steering:
        stream = asyncio.create_task(reading.ask(run_and_stream("waiting")))
        await reading.begun.wait()
        where = await _newest(server)
        started = time.perf_counter()
        told = asyncio.create_task(steering.ask(request("POST", f"{where}/cancel")))
        await stream
        seconds = time.perf_counter() - started
        await told
    return seconds


async def _newest(server: Server) -> str:
    page = await ask(server.port, request("GET", "/executions?limit=1&status=running", Accept="application/json"))
    return f"/executions/{msgspec.json.decode(page.body)['items'][0]['id']}"


async def _beside_chatter(server: Server, repeats: int) -> tuple[Series, Series]:
    """Run chains alone, then beside an execution that talks as fast as it can; return times alone and worst delays."""

    async def chain() -> float:
        return (await ask(server.port, run_and_stream("chain"))).total_s

    alone = Series([await chain() for _ in range(50)][20:])  # what came before is settled by then
    delays = []
    for _ in range(repeats):
        talking = asyncio.create_task(ask(server.port, run_and_stream("chatty", count=CHATTER)))
        beside = [await chain()]
        while not talking.done():
            beside.append(await chain())
        (await talking).check_whole()
        delays.append(max(0.0, max(beside) - alone.median))
    return alone, Series(delays)


async def _memory() -> tuple[float, float, float]:
    """Return bytes of a fresh service at rest, per running execution with a reader, and per further reader."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="graphwire-bench-")))
        server = await stack.enter_async_context(servers.graphwire(folder))
        await ask(server.port, request("GET", "/health/ready"))
        rest = server.resident_bytes()
        tasks = stack.enter_context(servers.Tasks())
        for _ in range(20):  # what the first executions bring in is not theirs
            await _open(stack, tasks, server, run_and_stream("waiting"))
        before = server.resident_bytes()
        for _ in range(OPEN):
            await _open(stack, tasks, server, run_and_stream("waiting"))
        running = server.resident_bytes()
        where = await _newest(server)
        for _ in range(OPEN):
            await _open(stack, tasks, server, request("GET", f"{where}/events"))
        read = server.resident_bytes()
    return rest, (running - before) / OPEN, (read - running) / OPEN


async def _open(stack: AsyncExitStack, tasks: "servers.Tasks", server: Server, text: bytes) -> None:
    connection = await stack.enter_async_context(connected(server.port))
    tasks.add(asyncio.create_task(connection.ask(text)))
    await connection.begun.wait()
