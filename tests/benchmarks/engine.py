"""Table 1: the time that the engine adds per node."""

import asyncio
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from app.storage.sqlite_database import SqliteDatabase
from app.storage.store import SqlExecutionStore
from graphwire.engine.plan import Plan
from graphwire.engine.supervisor import Supervisor
from tests.benchmarks import engine_floors, shapes
from tests.benchmarks.engine_runs import Engine, in_memory, marginal, observed, unobserved
from tests.benchmarks.measuring import Contender, Series, interleave
from tests.benchmarks.peers import engines
from tests.benchmarks.printing import kept, say, table, title, verdict

MICRO = 1e6
FLOOR, FLOOR_EVENTS = "bare await loop", "bare loop, two encoded events a node"
RUN, EVENTS = "graphwire.run", "events in the hub"
ASYNC, SYNC, COMMIT, DISK = "durable, async", "durable, sync", "a forced commit, in a thread", "a forced commit"
OPEN_EXECUTIONS = 1_000


async def measure(repeats: int) -> None:
    """Measure and print the whole table."""
    await _columns(repeats)
    await _durable(repeats)
    await _dependence(repeats)
    await _untouched_state(repeats)
    await _beside_open_executions(repeats)


async def _columns(repeats: int) -> None:
    title("Table 1, columns 1 and 2: a chain of 100 nodes that do nothing, µs per node")
    plan, counting = shapes.chain(100), shapes.counting_chain(100)
    async with in_memory() as engine, AsyncExitStack() as stack:
        ours = {
            FLOOR: engine_floors.bare_loop(),
            RUN: unobserved(plan),
            "… each reads and writes a key": unobserved(counting),
            FLOOR_EVENTS: engine_floors.bare_loop_with_events(),
            EVENTS: observed(plan, engine),
            "… and each reads and writes a key": observed(counting, engine),
        }
        peers = [each for each in await engines.find(stack, nodes=100) if not each.is_durable]
        contenders = [Contender(name, sample, best_of=3) for name, sample in ours.items()]
        contenders += [Contender(each.name, each.sample, best_of=1) for each in peers]
        measured = await interleave(contenders, repeats=repeats)
    with_events = {each.name for each in peers if each.has_events} | {FLOOR_EVENTS, EVENTS, list(ours)[5]}
    rows = []
    for name, series in measured.items():
        floor = measured[FLOOR_EVENTS if name in with_events else FLOOR]
        budget = {RUN: 50.0, EVENTS: 30.0}.get(name)
        rows.append(
            (
                name,
                series.spread(MICRO),
                f"{series.over(floor).spread()}x",
                "" if budget is None else f"{budget:g}x that floor",
                "" if budget is None else verdict(Series([value / budget for value in series.over(floor).values])),
            )
        )
    table(("", "µs per node", "against its floor", "budget", "of the budget"), rows)


async def _durable(repeats: int) -> None:
    title("Table 1, column 3: the same chain, stored in SQLite, µs per node (both forced commits of its ends included)")
    plan = shapes.chain(100)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="graphwire-bench-")))
        database = await stack.enter_async_context(SqliteDatabase(folder / "engine.db"))
        store = await stack.enter_async_context(SqlExecutionStore(database))
        supervisor = await stack.enter_async_context(Supervisor(drain_s=0))
        commits = engine_floors.ForcedCommits(database.path)
        stack.callback(commits.close)
        peers = [each for each in await engines.find(stack, nodes=100) if each.is_durable]
        contenders = [
            Contender(DISK, commits.direct()),
            Contender(COMMIT, commits.sample()),
            Contender(ASYNC, observed(plan, Engine(supervisor, store))),
            Contender("… 10 executions at once", observed(plan, Engine(supervisor, store), at_once=10), best_of=2),
            Contender(SYNC, observed(plan, Engine(supervisor, store, "sync")), best_of=1),
            *(Contender(each.name, each.sample, best_of=1) for each in peers),
        ]
        measured = await interleave(contenders, repeats=repeats)
    commit = measured[COMMIT]
    rows = []
    for name, series in measured.items():
        allowed = {ASYNC: Series([30e-6] * repeats), SYNC: Series([2 * value for value in commit.values])}.get(name)
        budget = {ASYNC: "30 µs", SYNC: "2 forced commits"}.get(name, "")
        used = "" if allowed is None else verdict(series.over(allowed))
        rows.append((name, series.spread(MICRO), f"{series.over(commit).spread()}x", budget, used))
    table(("", "µs per node", "against a commit", "budget", "of the budget"), rows)


async def _dependence(repeats: int) -> None:
    title("Table 1: what the time per node does not depend on, against the chain of 100")
    base = shapes.chain(100)
    cases: dict[str, tuple[Plan, int, float]] = {
        "chain of 10": (shapes.chain(10), 1, 1.5),
        "chain of 1,000": (shapes.chain(1_000), 1, 1.2),
        "10 executions at once": (base, 10, 1.2),
        "100 executions at once": (base, 100, 1.2),
        "fan-out of 100": (shapes.fan_out(100), 1, 4.0),
        "lattice of 10 x 10": (shapes.lattice(10), 1, 4.0),
    }
    async with in_memory() as engine:
        plain = [Contender("chain", unobserved(base), best_of=3)]
        events = [Contender("chain", observed(base, engine), best_of=3)]
        for name, (plan, at_once, _) in cases.items():
            tries = 2 if at_once > 10 else 5
            if at_once == 1:
                plain.append(Contender(name, unobserved(plan), best_of=tries))
            events.append(Contender(name, observed(plan, engine, at_once=at_once), best_of=tries))
        both = await interleave(plain, repeats=repeats), await interleave(events, repeats=repeats)
    _compare("chain", {name: allowed for name, (_, _, allowed) in cases.items()}, both)


async def _untouched_state(repeats: int) -> None:
    title("Table 1: state that no node touches: what a further node costs")
    sizes = {"none": 0, "1 KB": 1_000, "100 KB": 100_000, "1 MB": 1_000_000}
    lengths = (400, 100)
    plain: list[Contender] = []
    events: list[Contender] = []
    async with in_memory() as engine:
        for name, size in sizes.items():
            plans = [shapes.chain(length, state={"weight": "x" * size} if size else None) for length in lengths]
            longer, shorter = (unobserved(plan) for plan in plans)
            plain.append(Contender(name, marginal(longer, shorter, lengths)))
            longer, shorter = (observed(plan, engine) for plan in plans)
            events.append(Contender(name, marginal(longer, shorter, lengths)))
        both = await interleave(plain, repeats=repeats), await interleave(events, repeats=repeats)
    _compare("none", dict.fromkeys([*sizes][1:], 1.2), both)


def _compare(base: str, budgets: dict[str, float], both: Sequence[dict[str, Series]]) -> None:
    """Print what was measured without an observer and with events, against the base of each."""
    rows = [(base, *(cell for measured in both for cell in (measured[base].spread(MICRO), "")), "")]
    for name, allowed in budgets.items():
        cells = [name]
        for measured in both:
            if name not in measured:
                cells += ["", ""]
                continue
            ratio = measured[name].over(measured[base])
            cells += [measured[name].spread(MICRO), f"{ratio.spread(form='.2f')}x {kept(ratio, allowed)}"]
        rows.append((*cells, f"{allowed:g}x"))
    table(("", "no observer, µs", "ratio", "events in the hub, µs", "ratio", "budget"), rows)


async def _beside_open_executions(repeats: int) -> None:
    title(f"Table 1: a chain of 100 beside {OPEN_EXECUTIONS:,} executions that wait")
    async with in_memory() as engine, asyncio.TaskGroup() as group:
        gate = asyncio.Event()
        plan, waiting = shapes.chain(100), shapes.waiting(gate.wait)
        contender = Contender("chain", observed(plan, engine), best_of=3)
        alone = (await interleave([contender], repeats=repeats))["chain"]
        for _ in range(OPEN_EXECUTIONS):
            group.create_task(engine.run(waiting))
        while len(engine.supervisor) < OPEN_EXECUTIONS:  # noqa: ASYNC110  # they begin in turns that tell nobody
            await asyncio.sleep(0)
        beside = (await interleave([contender], repeats=repeats))["chain"]
        gate.set()
    ratio = Series([value / alone.median for value in beside.values])
    say(f"alone {alone.spread(MICRO)} µs, beside them {beside.spread(MICRO)} µs per node: {ratio.spread(form='.2f')}x")
