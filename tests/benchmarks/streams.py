"""Table 2: run and stream over HTTP. Client, service, ceiling and peers are a process each, on this machine."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

from tests.benchmarks import servers
from tests.benchmarks.engine_floors import ForcedCommits
from tests.benchmarks.http_client import Answer, ask, request, run_and_stream
from tests.benchmarks.measuring import Contender, Series, combined, interleave
from tests.benchmarks.peers import workflow_servers
from tests.benchmarks.printing import kept, table, title, verdict
from tests.benchmarks.servers import Server
from tests.benchmarks.stream_behaviour import behaviour

MILLI = 1e3
CLIENTS = 50
RUNS = 20
SLOWEST = workflow_servers.ON_SQLITE  # fifty clients of it would take longer than all the rest
CEILING, OURS, COMMIT = "a bare asyncio server (the ceiling)", "graphwire serve", "a forced commit, in a thread"

Run = Callable[[str], Awaitable[Answer]]
"""Runs the graph of this name and reads its stream to the end."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where runs are asked for."""

    name: str
    run: Run
    is_peer: bool = False

    def contender(self, sample: Callable[[], Awaitable[float]], *, more_is_better: bool = False) -> Contender:
        """Make it a contender; a peer is measured once for each value, since it takes so much longer."""
        return Contender(self.name, sample, best_of=1 if self.is_peer else 3, more_is_better=more_is_better)

    def check(self, answers: Sequence[Answer]) -> None:
        """Refuse streams that are not whole; what a peer's should be is not known here."""
        for answer in answers:
            if not self.is_peer:
                answer.check_whole()


async def measure(repeats: int) -> None:
    """Measure and print the whole table."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="graphwire-bench-")))
        commits = ForcedCommits(folder / "floor.db")
        stack.callback(commits.close)
        server = await stack.enter_async_context(servers.graphwire(folder))
        recorded = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="graphwire-bench-")))
        bare = await stack.enter_async_context(_ceiling(server, recorded))
        peers = await workflow_servers.find(stack, folder)
        places = [
            Place(CEILING, partial(_run, bare)),
            Place(OURS, partial(_run, server)),
            *(Place(peer.name, peer.run, is_peer=True) for peer in peers),
        ]
        commit = Contender(COMMIT, commits.sample())
        await _one_client(places, commit, repeats)
        await _many_clients(places, repeats)
        await behaviour(server, repeats)


async def _run(server: Server, graph: str) -> Answer:
    answer = await ask(server.port, run_and_stream(graph))
    if not answer.events:
        raise RuntimeError(f"no events from {graph}: {answer.head!r} {answer.body!r}")
    return answer


@asynccontextmanager
async def _ceiling(server: Server, folder: Path) -> AsyncIterator[Server]:
    """Record what the service sends, and run the bare server that sends the same."""
    for graph in ("chain", "chatty"):
        answer = await _run(server, graph)
        answer.check_whole()
        lines: list[bytes] = []
        while len(lines) < len(answer.numbers()):
            where = f"{answer.location}/events?after={len(lines)}"
            page = await ask(server.port, request("GET", where, Accept="application/json"))
            lines += msgspec.json.decode(page.body, type=_Page).events
        (folder / f"{graph}.ndjson").write_bytes(b"\n".join(lines))
    async with servers.running("tests.benchmarks.bare_server", str(folder)) as bare:
        yield bare


class _Page(msgspec.Struct):
    events: list[msgspec.Raw]


async def _one_client(places: list[Place], commit: Contender, repeats: int) -> None:
    title("Table 2, columns 1 and 2: one client; a 20-node chain (ms), and 1,000 events of one execution (events/s)")
    measured = await interleave(
        [commit, *(Contender(each.name, _to_the_end(each)) for each in places)], repeats=repeats
    )
    first = await interleave([commit, *(Contender(each.name, _to_the_first(each)) for each in places)], repeats=repeats)
    rates = [each.contender(_rate(each, 1), more_is_better=True) for each in places]
    rate = await interleave(rates, repeats=repeats)
    rows = [(COMMIT, measured[COMMIT].spread(MILLI), "", "")]
    for place in places:
        name = place.name
        rows.append((name, measured[name].spread(MILLI), first[name].spread(MILLI), rate[name].spread(form=",.0f")))
    table(("", "to the end, ms", "to the first event, ms", "events/s"), rows)
    whole = combined([(4, measured[CEILING]), (3, measured[COMMIT])])
    begin = combined([(3, first[CEILING]), (2, first[COMMIT])])
    table(
        ("graphwire against its budget", "budget", "of the budget"),
        [
            ("end: 4 x ceiling + 3 commits", f"{whole.spread(MILLI)} ms", verdict(measured[OURS].over(whole))),
            ("first event: 3 x ceiling + 2 commits", f"{begin.spread(MILLI)} ms", verdict(first[OURS].over(begin))),
            ("events: a third of the ceiling", *_share(rate, 3)),
        ],
    )


async def _many_clients(places: list[Place], repeats: int) -> None:
    title(f"Table 2, columns 3 and 4: {CLIENTS} clients at once, each a 20-node chain or 1,000 events")
    few = max(2, repeats // 2)
    chains = [each.contender(_executions(each), more_is_better=True) for each in places if each.name != SLOWEST]
    runs = await interleave(chains, repeats=few)
    rates = [Contender(each.name, _rate(each, CLIENTS), best_of=1, more_is_better=True) for each in places[:2]]
    rate = await interleave(rates, repeats=few)
    rows = []
    for place in places:
        cells = [found[place.name].spread(form=",.0f") if place.name in found else "-" for found in (runs, rate)]
        rows.append((place.name, *cells))
    table(("", "executions/s", "events/s"), rows)
    table(
        ("graphwire against its budget", "ratio to the ceiling", ""),
        [
            ("executions: a sixth of the ceiling", *_share(runs, 6)),
            ("events: a third of the ceiling", *_share(rate, 3)),
        ],
    )


def _share(rate: dict[str, Series], part: int) -> tuple[str, str]:
    """Compare a rate with a part of the ceiling's; more is better."""
    times = rate[CEILING].over(rate[OURS])
    share = rate[OURS].over(rate[CEILING])
    return f"{share.spread(form='.2f')} of the ceiling", kept(times, part)


def _to_the_end(place: Place) -> Callable[[], Awaitable[float]]:
    """Return a sample of runs one after the other: the median time from the request to the end of the stream."""

    async def sample() -> float:
        answers = [await place.run("chain") for _ in range(2 if place.is_peer else RUNS)]
        place.check(answers)
        return statistics.median(answer.total_s for answer in answers)

    return sample


def _to_the_first(place: Place) -> Callable[[], Awaitable[float]]:
    """Return a sample of runs one after the other: the median time from the request to the first event."""

    async def sample() -> float:
        return statistics.median([(await place.run("chain")).first_s for _ in range(2 if place.is_peer else RUNS)])

    return sample


def _rate(place: Place, clients: int) -> Callable[[], Awaitable[float]]:
    """Return a sample of executions with 1,000 events each, one per client: events per second of all of them."""

    async def sample() -> float:
        started = time.perf_counter()
        answers = await asyncio.gather(*(place.run("chatty") for _ in range(clients)))
        seconds = time.perf_counter() - started
        place.check(answers)
        return sum(len(answer.events) for answer in answers) / seconds

    return sample


def _executions(place: Place) -> Callable[[], Awaitable[float]]:
    """Return a sample of clients that run a chain again and again: executions per second."""
    each = 1 if place.is_peer else 4

    async def client() -> None:
        for _ in range(each):
            await place.run("chain")

    async def sample() -> float:
        started = time.perf_counter()
        await asyncio.gather(*(client() for _ in range(CLIENTS)))
        return CLIENTS * each / (time.perf_counter() - started)

    return sample
