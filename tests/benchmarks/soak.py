"""The command behind ``make bench-soak``: a mixed load for a long time, and what the server holds meanwhile.

Starts, readers of every form whose connections are cut at random bytes, readers that read nothing, sockets, readers of
the service's own events, cancellations and deletions. Each reader compares what it got with the stored history, so the
soak fails where an event is lost, repeated or out of order, and not only where something grows.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import uvloop

from tests.benchmarks.printing import introduce, say, title
from tests.benchmarks.servers import GRAPHS, Server, running
from tests.benchmarks.soak_samples import Sample, Samples
from tests.live.promises.following import Follower, cuts_of
from tests.live.promises.forms import CODED_FORMS, FORMS

WORKERS = 8
IDLE = 40
SLOW = 4
RECOVERY_S = 10.0
WRITE_TIMEOUT_S = 3.0


class Load:
    """What is done to a server until a moment comes.

    Attributes:
        done: How often each thing was done.
    """

    def __init__(self, server: Server, client: httpx.AsyncClient, seconds: float, seed: int) -> None:
        self._server = server
        self._client = client
        self._until = time.monotonic() + seconds
        self._chance = random.Random(seed)
        self.done: Counter[str] = Counter()

    @property
    def goes_on(self) -> bool:
        return time.monotonic() < self._until

    async def again(self, once: Callable[[], Awaitable[None]]) -> None:
        """Do something until the time is over."""
        while self.goes_on:
            await once()

    async def follow(self) -> None:
        """Start an execution, follow it with cuts, compare that with the history, and delete it."""
        execution = await self._start("chatter", {"count": self._chance.randint(5, 80)})
        form = self._chance.choice([*CODED_FORMS.values()])
        live = Follower(form, self._server.port, execution)
        cuts = cuts_of(self._chance, self._chance.randint(0, 4), largest=20_000)
        if self._chance.random() < 0.1:
            await self._client.post(f"/executions/{execution}/cancel")
            self.done["cancellations"] += 1
        await live.follow_with_cuts(cuts, self._chance)
        late = Follower(self._chance.choice([*CODED_FORMS.values()]), self._server.port, execution)
        await late.follow()
        if live.lines != late.lines:
            raise AssertionError(f"{form.name} got {live.seqs}, the history of {execution} is {late.seqs}")
        await self._asked("DELETE", f"/executions/{execution}")
        self.done["executions"] += 1
        self.done["events"] += len(live.events) + len(late.events)
        self.done["connections"] += live.connections + late.connections
        self.done["deletions"] += 1

    async def post(self) -> None:
        """Start an execution by a stream, and leave in the middle."""
        async with self._client.stream("POST", "/graphs/chatter/execute/stream") as answer:
            if answer.status_code == 503:
                await asyncio.sleep(float(answer.headers["retry-after"]))  # as it says
                return
            async for _ in answer.aiter_raw():
                break
        execution = answer.headers["location"]
        self.done["streams left in the middle"] += 1
        await self._end("poll", execution.rpartition("/")[2])

    async def stall(self) -> None:
        """Ask for more than sockets hold, and read nothing until the server cuts the connection."""
        execution = await self._start("chatter", {"count": 1_000, "interval_s": 0, "text": "x" * 2_000})
        loop = asyncio.get_running_loop()
        follower = Follower(self._chance.choice([FORMS["sse"], FORMS["ndjson"], FORMS["websocket"]]),
                            self._server.port, execution)  # fmt: skip
        async with follower.connected(receive_buffer=4_096) as connection:
            await loop.sock_sendall(connection.plain, connection.session.sending)
            await asyncio.sleep(WRITE_TIMEOUT_S * 2)  # that it does nothing is what it does
        await self._end("ndjson", execution)
        self.done["readers that read nothing"] += 1

    async def idle(self, execution: str) -> None:
        """Hold a connection to an execution on which nothing happens; come back when it is over."""
        form = self._chance.choice([*CODED_FORMS.values()])
        follower = Follower(form, self._server.port, execution, query={"heartbeat": "1"})
        leave = time.monotonic() + self._chance.uniform(1, 10)
        async with follower.connected() as connection:
            while self.goes_on and time.monotonic() < leave:
                if not await connection.step():
                    raise AssertionError(f"an idle {form.name} was ended")
        self.done["idle readers"] += 1

    async def watch(self) -> None:
        """Follow the service's own events for a while."""
        left = self._chance.randint(1, 50)
        headers = {"Accept": "application/x-ndjson"}
        async with self._client.stream("GET", "/events", params={"heartbeat": "1"}, headers=headers) as answer:
            async for _ in answer.aiter_lines():
                left -= 1
                if not left or not self.goes_on:
                    break
        self.done["readers of the service's events"] += 1

    async def _end(self, form: str, execution: str) -> None:
        """Follow an execution to its end, and delete it."""
        await Follower(FORMS[form], self._server.port, execution).follow_with_cuts([], self._chance)
        await self._asked("DELETE", f"/executions/{execution}")

    async def _start(self, graph: str, state: dict[str, object]) -> str:
        answer = await self._asked("POST", f"/graphs/{graph}/execute", json={"state": state})
        return str(answer.json()["id"])

    async def _asked(self, method: str, address: str, **options: Any) -> httpx.Response:
        return await asked(self._client, self.done, method, address, **options)


async def asked(
    client: httpx.AsyncClient, done: Counter[str], method: str, address: str, **options: Any
) -> httpx.Response:
    """Ask, and again where the service says that it cannot now, which is counted."""
    while True:
        answer = await client.request(method, address, **options)
        if answer.status_code != 503:
            return answer.raise_for_status()
        done[f"refused for the moment: {answer.json()['detail']}"] += 1
        await asyncio.sleep(float(answer.headers["retry-after"]))  # as it says


async def sampled(server: Server, client: httpx.AsyncClient, samples: Samples) -> Sample:
    """Look at what the server holds."""
    refused = Counter[str]()
    held = (await asked(client, refused, "POST", "/graphs/census/execute/wait")).json()
    await asked(client, refused, "DELETE", f"/executions/{held['id']}")
    process = psutil.Process(server.pid)
    counts = held["state"]
    return samples.add(
        resident_bytes=server.resident_bytes(),
        files=process.num_fds(),
        tasks=counts["tasks"],
        threads=counts["threads"],
    )


async def soak(seconds: float, seed: int) -> bool:
    """Soak a server; return whether nothing grew."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "GRAPHWIRE_DATABASE_URL": f"sqlite:///{folder}/graphwire.db",
            "GRAPHWIRE_GRAPHS": str(GRAPHS),
            "GRAPHWIRE_WRITE_TIMEOUT_S": str(WRITE_TIMEOUT_S),
            "GRAPHWIRE_RING_EVENTS": "32",
            "GRAPHWIRE_DRAIN_S": "1",
            "GRAPHWIRE_LOG_LEVEL": "warning",
            "PYTHONFAULTHANDLER": "1",
        }
        async with running("app", "serve", "--port", "0", environment=settings, stderr=None) as server:
            samples = Samples()
            async with _client(server) as client:
                before = await sampled(server, client, Samples())
                load = Load(server, client, seconds, seed)
                await _loaded(load, server, client, samples, seconds)
            async with _client(server) as client:  # of one connection, as at the beginning
                after = await _recovered(server, client, before)
    title(f"A soak of {seconds / 60:.1f} minutes, seed {seed}")
    say(", ".join(f"{count:,} {what}" for what, count in sorted(load.done.items())))
    return samples.show(before, after)


def _client(server: Server) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", timeout=60)


async def _loaded(load: Load, server: Server, client: httpx.AsyncClient, samples: Samples, seconds: float) -> None:
    silent = (await asked(client, load.done, "POST", "/graphs/endless/execute")).json()["id"]
    async with asyncio.TaskGroup() as group:
        for _ in range(WORKERS):
            group.create_task(load.again(load.follow))
        for _ in range(IDLE):
            group.create_task(load.again(lambda: load.idle(silent)))
        for _ in range(SLOW):
            group.create_task(load.again(load.stall))
        for once in (load.post, load.watch, load.watch):
            group.create_task(load.again(once))
        while load.goes_on:
            await asyncio.sleep(max(0.5, min(10.0, seconds / 60)))  # samples are taken over time
            await sampled(server, client, samples)
    await client.post(f"/executions/{silent}/cancel")


async def _recovered(server: Server, client: httpx.AsyncClient, before: Sample) -> Sample:
    """Give the server the time in which everything must be as before, and look again."""
    until = time.monotonic() + RECOVERY_S
    while True:
        after = await sampled(server, client, Samples())
        if (after.files <= before.files and after.tasks <= before.tasks) or time.monotonic() > until:
            return after
        await asyncio.sleep(0.5)  # another process recovers


def main() -> None:
    """Soak for as long as was asked for; the exit status is 1 where something grows."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0, help="how long (20)")
    parser.add_argument("--seed", type=int, default=1, help="of what is drawn (1)")
    arguments = parser.parse_args()
    introduce(Path(tempfile.gettempdir()))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        is_flat = runner.run(soak(arguments.minutes * 60, arguments.seed))
    say("nothing grows" if is_flat else "something GROWS")
    sys.exit(not is_flat)


if __name__ == "__main__":
    main()
