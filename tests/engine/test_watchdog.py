"""Who holds the loop is named, and nobody else; one thread looks after all loops of a process."""

import asyncio
import gc
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from weakref import ref

import pytest

from graphwire import Graph
from graphwire.engine.attempt import Attempt
from graphwire.engine.watchdog import _WATCH, Watchdog
from graphwire.graphs.behaviour import Call, Mode
from tests.engine.running import course, nothing, turn
from tests.waiting import PATIENCE_S

MS = 1_000_000
HOLD_S = 1.0  # ten times what is told, so that a busy machine's watchdog gets to look


def an_attempt(mode: Mode = Mode.ASYNC) -> Attempt:
    some: Any = SimpleNamespace(behaviour=Call(nothing(), mode))
    return Attempt(some, some, some, some)


def performing(attempt: Attempt, look: Callable[[], None]) -> None:
    look()


def watchdogs() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "graphwire-watchdog"]


def hold(seconds: float) -> None:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        pass


class Watched:
    """A watchdog on this loop whose beat is late, looked at when a test says so."""

    def __init__(self) -> None:
        self.dog = Watchdog(performing.__code__)
        self.beat()

    def beat(self) -> None:
        """The loop turns."""
        self._began_ns = time.monotonic_ns()
        self.dog._beaten_ns = self._began_ns

    def see(self, attempt: Attempt, after_ms: int) -> None:
        """The watching thread finds an attempt on the stack so long after the last beat."""
        performing(attempt, lambda: self.dog.look(self._began_ns + after_ms * MS))


async def test_an_attempt_that_is_found_all_the_time_is_named_from_its_first_sight_on() -> None:
    watched, rude = Watched(), an_attempt()

    for after_ms in (50, 70, 150):
        watched.see(rude, after_ms)
    assert rude.held_ns == 0

    watched.see(rude, 151)
    watched.see(rude, 290)
    assert rude.held_ns == 240 * MS


async def test_those_that_share_a_long_turn_of_the_loop_are_not_named() -> None:
    watched = Watched()
    attempts = [an_attempt() for _ in range(30)]

    for number, attempt in enumerate(attempts):
        watched.see(attempt, 20 * number)
        watched.see(attempt, 20 * number + 19)

    assert [attempt.held_ns for attempt in attempts] == [0] * 30


async def test_one_that_comes_again_after_another_counts_anew() -> None:
    watched, one, other = Watched(), an_attempt(), an_attempt()

    for after_ms, attempt in ((50, one), (100, one), (120, other), (160, one), (250, one)):
        watched.see(attempt, after_ms)

    assert one.held_ns == other.held_ns == 0


async def test_one_that_is_found_in_each_of_several_turns_did_not_hold_the_loop() -> None:
    watched, often = Watched(), an_attempt()

    for _ in range(5):
        watched.see(often, 60)
        watched.see(often, 130)
        watched.beat()

    assert often.held_ns == 0


async def test_a_plain_function_in_a_thread_and_a_loop_that_is_on_time_are_not_looked_at() -> None:
    watched, in_thread, quick = Watched(), an_attempt(Mode.THREAD), an_attempt()

    for after_ms in (60, 120, 300):
        watched.see(in_thread, after_ms)
    for _ in range(300):
        watched.see(quick, 1)

    assert in_thread.held_ns == quick.held_ns == 0


@pytest.mark.bad_input(92)
async def test_many_short_steps_in_one_turn_of_the_loop_name_nobody() -> None:
    met = asyncio.Event()
    arrived = 0

    async def short() -> None:
        nonlocal arrived
        arrived += 1
        if arrived == 30:
            met.set()
        await met.wait()
        hold(0.005)

    graph = Graph("g", limits={"max_parallelism": 30}).node(nothing(), id="start")
    for number in range(30):
        graph.node(short, id=f"n{number}").edge("start", f"n{number}")

    done = await course(graph)

    assert len(done.nodes()) == 31
    assert done.of("diagnostic") == []


async def test_runs_one_after_another_share_one_watching_thread() -> None:
    await course(Graph("g").node(nothing(), id="a"))
    before = watchdogs()

    for _ in range(20):
        await course(Graph("g").node(nothing(), id="a"))

    assert len(before) == 1
    assert watchdogs() == before


def test_loops_in_several_threads_are_watched_at_once() -> None:
    started = threading.Barrier(3)
    named: dict[str, list[str]] = {}

    async def rude() -> None:
        started.wait(PATIENCE_S)
        hold(HOLD_S)

    def run(name: str) -> None:
        done = asyncio.run(course(Graph("g").node(rude, id=name)))
        named[name] = [warning.node_id for warning in done.of("diagnostic")]

    threads = [threading.Thread(target=run, args=(name,)) for name in ("a", "b", "c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert named == {"a": ["a"], "b": ["b"], "c": ["c"]}
    assert len(watchdogs()) == 1


def test_a_loop_that_ends_while_it_is_watched_is_let_go() -> None:
    def left() -> "tuple[ref[Any], ref[Any]]":
        async def wake() -> Watchdog:
            dog = Watchdog(performing.__code__)
            dog.enter()
            await turn()
            return dog

        loop = asyncio.new_event_loop()
        dog = loop.run_until_complete(wake())
        loop.close()
        return ref(dog), ref(loop)

    references = left()
    gc.collect()

    assert [reference() for reference in references] == [None, None]


def test_a_loop_that_is_left_open_is_watched_while_it_runs_alone() -> None:
    async def leave_unfinished(dog: Watchdog | None = None) -> Watchdog:
        dog = dog or Watchdog(performing.__code__)
        dog.enter()
        await turn()
        return dog

    async def hold_on(dog: Watchdog) -> Attempt:
        await turn()
        rude = an_attempt()
        performing(rude, lambda: hold(HOLD_S))
        dog.leave()
        dog.leave()
        return rude

    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(course(Graph("g").node(nothing(), id="a")))
        until(lambda: not _WATCH._needed.is_set())

        dog = loop.run_until_complete(leave_unfinished())
        until(lambda: not _WATCH._needed.is_set())

        loop.run_until_complete(leave_unfinished(dog))
        rude = loop.run_until_complete(hold_on(dog))
    finally:
        loop.close()

    assert rude.held_ns > 100 * MS


def until(is_so: Callable[[], bool]) -> None:
    """Wait for what another thread does."""
    ends = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < ends
        threading.Event().wait(0.005)


async def test_a_watchdog_whom_all_have_left_rests_at_its_next_beat() -> None:
    dog = Watchdog(performing.__code__)
    dog.enter()
    dog.leave()
    dog._beat()

    rude = an_attempt()
    performing(rude, lambda: hold(HOLD_S))

    assert rude.held_ns == 0


async def test_a_watchdog_looks_while_there_is_something_to_watch() -> None:
    dog = Watchdog(performing.__code__)
    dog.enter()

    rude = an_attempt()
    performing(rude, lambda: hold(HOLD_S))
    dog.leave()

    assert rude.held_ns > 100 * MS


async def test_who_comes_while_a_watchdog_beats_on_the_loop_shares_it() -> None:
    dog = Watchdog(performing.__code__)
    dog.enter()

    assert Watchdog.here(performing.__code__) is dog

    dog.leave()
    dog._beat()

    assert Watchdog.here(performing.__code__) is not dog
