"""One execution, played with everything that can go wrong around it: crashes, a slow and failing store, readers."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

import msgspec

from app.services.derived import Runnable
from app.services.recovery import Recovery
from app.services.starts import Wishes, prepare
from app.storage.repositories.executions import ExecutionSummary, UnfinishedExecution
from graphwire.engine.commands import Command, Input, Pause, Resume, Step
from graphwire.engine.plan import Plan
from graphwire.engine.revived import Revived
from graphwire.engine.runner import Runner
from graphwire.engine.starting import Past, Start
from graphwire.errors import GraphwireError
from graphwire.events.encoding import Envelope, decode_line
from graphwire.events.feed import Feed
from graphwire.events.hub import Behind, End, Hub, Page
from graphwire.events.types import CheckpointRestored
from graphwire.types import Durability, ExecutionId, Ordering
from tests.services.simulation.store import Disk, SimulatedStore
from tests.services.simulation.virtual_time import VirtualClock, VirtualLoop
from tests.services.simulation.world import World, graph

HOUR_NS = 3_600 * 10**9
ID = ExecutionId("e")


@dataclass
class Outcome:
    """How a simulated execution ended, and all that was stored of it."""

    status: str
    state: Any
    committed: frozenset[str]
    disk: Disk
    crashes: int = 0
    readers: list["Reader"] = field(default_factory=list)


class Process:
    """A service process that carries the execution out. ``crash`` ends it, and all its tasks.

    Stands for the repository, the graphs, the launcher and the supervisor of its recovery.
    """

    def __init__(self, plan: Plan, disk: Disk, random: Random, *, faults: bool) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        # Another machine may go on: its clocks are not those of the first.
        jump = random.randrange(-HOUR_NS, HOUR_NS) if disk.start is not None else 0
        self.clock = VirtualClock(loop, wall_ns=1_790_000_000 * 10**9 + jump, mono_ns=random.randrange(1 << 50))
        self.store = SimulatedStore(disk, random, delay_s=0.4 if faults else 0.0, failures=0.2 if faults else 0.0)
        self._plan = plan
        self._disk = disk
        self._ring_events = random.choice((2, 8, 1024)) if faults else 1024
        self.admissions = self
        self.runner: Runner

    async def begin(self, wishes: Wishes) -> None:
        """Start the execution, or go on with what another process left."""
        if self._disk.start is None:
            self.runner = self._make(prepare(wishes, self._plan), durability=wishes.durability)
            await self.runner.accept()
            self.submit(self.runner)
            return
        stands_for: Any = self
        recovery = Recovery(stands_for, stands_for, self.store, stands_for, stands_for, self.clock)
        went_on: list[Runner] = []
        await recovery.begin(lambda runner, wishes, last_seq: went_on.append(runner))
        await recovery.taken_up(ID)
        self.runner = went_on[0] if went_on else self._ended()

    def _ended(self) -> Runner:
        """Return what stands for an execution whose end was told and is stored now."""
        assert self._disk.end is not None
        runner = self._make(Start())
        runner.hub = Hub.ended(self._disk.end.last_seq)
        runner.abort()
        return runner

    def _make(
        self, start: Start, *, durability: Durability = "async", past: Past | None = None, first_seq: int = 1
    ) -> Runner:
        hub = Hub(durability=durability, ring_events=self._ring_events, first_seq=first_seq)
        kind = Runner if past is None else Revived
        return kind(
            self._plan,
            start,
            id=ID,
            store=self.store,
            clock=self.clock,
            spawn=self.spawn,
            threads=Executor(),
            hub=hub,
            past=past,
        )

    # --- what the recovery asks for ---------------------------------------------------------------------------------

    async def unfinished(self) -> list[UnfinishedExecution]:
        start = self._disk.start
        if start is None or self._disk.end is not None:
            return []
        ended = dict.fromkeys(("outcome", "ended_at", "duration_ms", "steps", "last_seq", "reason", "error", "damage"))
        summary = ExecutionSummary(
            id=ID,
            graph_id=start.graph_id,
            graph_version=1,
            engine="graphwire",
            status="running",
            seed=start.seed,
            correlation_id=None,
            started_at=start.started_at,
            **ended,
        )
        return [UnfinishedExecution(summary, start.options, self._disk.last_seq)]

    async def end_damaged(self, id: ExecutionId, reason: str, **end: Any) -> None:
        raise AssertionError(f"its history is damaged: {reason}")

    async def runnable(self, *_: Any) -> Runnable:
        return Runnable(self._plan, frozenset())

    async def make_again(self, plan: Plan, start: Start, id: ExecutionId, past: Past, next_seq: int) -> Runner:
        return self._make(start, durability=start.durability, past=past, first_seq=next_seq)

    def expect(self, *_: Any) -> None:
        """There is room for one."""

    refuse = expect

    def submit(self, runner: Runner) -> None:
        self.spawn(runner.run(), name="run")

    def spawn(self, coro: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(coro, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # ----------------------------------------------------------------------------------------------------------------

    async def crash(self) -> None:
        """End at once, wherever everything is."""
        self.store.crash()
        self.runner.abort()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Reader:
    """Follows the execution from its beginning, over lost connections and lost processes.

    Attributes:
        seen: The lines that it folded, by number; what a crash took back is dropped.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self.seen: dict[int, bytes] = {}
        self.taken_back = 0

    @property
    def cursor(self) -> int:
        return max(self.seen, default=0)

    async def follow(self, process: Process) -> None:
        """Read until the end of the stream, or until cancelled."""
        while True:
            feed = Feed(process.runner.hub.subscribe(self.cursor))
            for _ in range(self._random.randint(1, 20)):
                item = await feed.read(limit=self._random.choice((1, 5, 1024)))
                if isinstance(item, End):
                    return
                if isinstance(item, Page):
                    for event in item.items:
                        self._take(event.seq, event.line)
                elif isinstance(item, Behind):
                    events = await process.store.read_events(
                        ID, after=item.after, upto=item.upto, limit=100, max_bytes=1 << 20
                    )
                    for event in events:
                        self._take(event.seq, event.line)
                    feed.subscription.advance(events[-1].seq if events else item.upto)
            feed.close()
            await asyncio.sleep(self._random.choice((0, 0, 0.1, 2)))  # gone for a while, on the virtual loop

    def _take(self, seq: int, line: bytes) -> None:
        assert seq > self.cursor, f"event {seq} after {self.cursor}"
        event = decode_line(line)
        if isinstance(event.data, CheckpointRestored):
            void = [known for known in self.seen if known > event.data.valid_to]
            self.taken_back += len(void)
            for known in void:
                del self.seen[known]
        self.seen[seq] = line


async def answer(process: Process, world: World, random: Random, *, hurried: bool) -> None:
    """Answer whatever is asked, sooner or later."""
    wait_s = 0.1
    while True:
        await asyncio.sleep(wait_s if hurried else random.choice((0.1, 1, 30)))  # a person's time, on the virtual loop
        interrupts = process.runner.interrupts()
        wait_s = 0.1 if interrupts else min(60.0, 2 * wait_s)  # to look often costs more than all the rest
        for interrupt in interrupts:
            with suppress(GraphwireError):  # it was closed meanwhile
                await process.runner.command(Input(interrupt.id, world.answer(interrupt.attempt.activation.id)))


async def steer(process: Process, random: Random) -> None:
    """Pause, step and resume, again and again."""
    while True:
        await asyncio.sleep(random.choice((0.05, 0.5, 5, 50)))  # a person's time, on the virtual loop
        commands: list[Command] = [Pause()] if process.runner.status == "running" else [Resume(), Step("over")]
        with suppress(GraphwireError):  # it does not fit
            await process.runner.command(random.choice(commands))


async def play(seed: int, *, faults: bool) -> Outcome:
    """Play one execution to its end."""
    random = Random(f"play:{seed}")
    world, disk = World(seed), Disk()
    plan = world.plan(graph(seed))
    durability: Durability = random.choice(("async", "sync"))
    ordering: Ordering = "deterministic" if random.random() < 0.3 else "as_finished"
    wishes = Wishes(seed=seed, ordering=ordering, durability=durability)
    readers = [Reader(random) for _ in range(random.randint(0, 2))] if faults else []
    crashes = random.choice((0, 1, 1, 2, 3)) if faults else 0
    is_steered = faults and random.random() < 0.5
    done = 0
    while True:
        process = Process(plan, disk, random, faults=faults)
        await process.begin(wishes)
        process.spawn(answer(process, world, random, hurried=not faults), name="answer")
        if is_steered:
            process.spawn(steer(process, random), name="steer")
        following = [process.spawn(reader.follow(process), name="reader") for reader in readers]
        ended = asyncio.ensure_future(process.runner.wait_ended())
        # Two crashes may come without a commit between; a third would be the last.
        wait_s = random.choice((0, 0.05, 0.5, 3, 100)) if done < crashes else None
        await asyncio.wait([ended], timeout=wait_s)
        if ended.done():
            await asyncio.gather(*following)
            await process.crash()
            break
        ended.cancel()
        await process.crash()
        done += 1
    assert disk.end is not None
    return Outcome(disk.end.status, _comparable(disk.end.state), _committed(disk), disk, done, readers)


def _comparable(state: bytes) -> Any:
    """Return a state without what a crash may change: the numbers of attempts, and which of some failed first."""

    def without(value: Any) -> Any:
        if isinstance(value, list):
            return [without(each) for each in value]
        if not isinstance(value, dict):
            return value
        kept = {key: without(each) for key, each in value.items() if key not in {"attempt", "path"}}
        if "errors" in kept:
            kept["errors"] = sorted(kept["errors"], key=str)
        return kept

    return without(msgspec.json.decode(state))


def _committed(disk: Disk) -> frozenset[str]:
    events = [decode_line(event.line) for event in disk.events]
    # How far the items of a failing ``foreach`` came is a matter of timing.
    return frozenset(str(event.activation) for event in events if event.type == "node_completed" and not event.path)


def play_once(seed: int, *, faults: bool, loop: VirtualLoop | None = None) -> Outcome:
    """Play one execution to its end on a virtual loop.

    Args:
        faults: Whether anything goes wrong; without, it is what the other course is held against.
    """
    loop = loop or VirtualLoop()
    loop.begin_anew()
    return loop.run_until_complete(play(seed, faults=faults))


def check_same(smooth: Outcome, rough: Outcome) -> None:
    """What went wrong around an execution changed nothing of what it came to."""
    assert rough.status == smooth.status
    if rough.status == "completed":  # of one that fails, how far its branches came is a matter of timing
        assert rough.state == smooth.state
        assert rough.committed == smooth.committed


def check(outcome: Outcome) -> None:
    """What holds for every execution, whatever went wrong around it."""
    events = [decode_line(event.line) for event in outcome.disk.events]
    numbers = [event.seq for event in events]
    assert numbers == sorted(set(numbers))
    assert [event.type for event in events].count("stream_end") == 1
    assert events[-1].type == "stream_end"
    assert events[-2].type in {"execution_completed", "execution_failed", "execution_cancelled"}
    _check_attempts(events)
    _check_numbers(events)
    for reader in outcome.readers:
        assert list(reader.seen.values()) == [event.line for event in outcome.disk.events]


def _check_attempts(events: list[Envelope]) -> None:
    """Every start is closed once; what is suspended may end without another; what has completed never begins again."""
    opened: set[Any] = set()
    suspended: set[Any] = set()
    over: set[Any] = set()
    for event in events:
        name = event.activation
        if event.type == "node_started":
            assert name not in opened | over
            opened.add(name)
            suspended.discard(name)
        elif event.type == "node_suspended":
            opened.remove(name)
            suspended.add(name)
        elif event.type in {"node_completed", "node_failed", "node_cancelled"}:
            (suspended if name in suspended else opened).remove(name)
            if event.type == "node_completed":
                over.add(name)
    assert not opened | suspended


def _check_numbers(events: list[Envelope]) -> None:
    """The numbers have no gap but where a process died, which the next event says."""
    last, last_ns, last_ts = 0, 0, ""
    for event in events:
        if event.seq != last + 1:
            assert isinstance(event.data, CheckpointRestored)
            assert (event.data.valid_to, event.data.next) == (last, event.seq)
        assert event.mono_ns >= last_ns
        assert event.ts >= last_ts
        last, last_ns, last_ts = event.seq, event.mono_ns, event.ts
