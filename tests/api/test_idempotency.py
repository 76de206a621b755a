"""Turns of requests that come with one key."""

import asyncio
from datetime import datetime

import pytest

from app.services.errors import IdempotencyMismatch
from app.services.idempotency import Idempotency, Made
from app.storage.repositories.idempotency import IdempotencyRepository, KeptClaim, MadeEvent
from graphwire.clock import FakeClock
from graphwire.engine.ports import Claim
from graphwire.errors import GraphwireError, NotFound, StorageUnavailable
from graphwire.types import ExecutionId
from tests.waiting import PATIENCE_S

SAME = b"same"


class Keys(IdempotencyRepository):
    """Keys in a dictionary."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[Claim, Made]] = {}

    async def get(self, key: str, *, now: datetime) -> KeptClaim | None:
        await asyncio.sleep(0)
        claim, made = self.kept.get(key, (None, None))
        return None if claim is None or made is None or claim.over_at <= now else KeptClaim(claim.fingerprint, made)


class World:
    """Requests that all make an execution each, unless something is in the way."""

    def __init__(self) -> None:
        self.keys = Keys()
        self.clock = FakeClock()
        self.idempotency = Idempotency(self.keys, self.clock, ttl_s=60)
        self.made = 0
        self.tries = 0
        self.obstacles: list[Exception] = []
        self.begun = asyncio.Event()
        self.gate = asyncio.Event()

    async def ask(self, fingerprint: bytes = SAME) -> str:
        """Return the execution that answers a request, with a mark where it was made before."""
        async with self.idempotency.once("key", fingerprint) as turn:
            if not turn.is_repeated:
                self.tries += 1
                self.begun.set()
                await self.gate.wait()
                if self.obstacles:
                    raise self.obstacles.pop(0)
                self.made += 1
                assert turn.claim is not None
                turn.made = MadeEvent(ExecutionId(f"execution-{self.made}"), 1)
                self.keys.kept["key"] = turn.claim, turn.made
        return turn.event.execution_id + (" again" if turn.is_repeated else "")

    async def until_first(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self.begun.wait()

    async def ask_often(self, count: int = 10) -> list[str | BaseException]:
        asked = [asyncio.create_task(self.ask()) for _ in range(count)]
        await self.until_first()
        self.gate.set()
        return await asyncio.gather(*asked, return_exceptions=True)


def codes(answers: list[str | BaseException]) -> list[str]:
    return [answer.code if isinstance(answer, GraphwireError) else str(answer) for answer in answers]


async def test_those_that_wait_are_told_what_the_first_made() -> None:
    world = World()

    answers = await world.ask_often()

    assert answers == ["execution-1", *["execution-1 again"] * 9]


async def test_what_is_refused_for_now_is_refused_to_all_that_wait_without_another_try() -> None:
    world = World()
    world.obstacles = [StorageUnavailable("the disk is full")]

    answers = await world.ask_often()

    assert codes(answers) == ["storage_unavailable"] * 10
    assert world.tries == 1
    assert await world.ask() == "execution-1"


async def test_what_is_refused_to_the_first_alone_is_tried_by_the_next() -> None:
    world = World()
    world.obstacles = [NotFound("there is no such graph"), ValueError("a fault")]

    answers = await world.ask_often()

    assert codes(answers)[:3] == ["not_found", "a fault", "execution-1"]
    assert set(answers[3:]) == {"execution-1 again"}


async def test_one_that_waits_may_leave() -> None:
    world = World()
    first, second, third = (asyncio.create_task(world.ask()) for _ in range(3))
    await world.until_first()
    second.cancel()
    world.gate.set()

    assert [await first, await third] == ["execution-1", "execution-1 again"]


async def test_a_first_that_leaves_makes_room_for_the_next() -> None:
    world = World()
    first, second = (asyncio.create_task(world.ask()) for _ in range(2))
    await world.until_first()
    first.cancel()
    world.gate.set()

    assert await second == "execution-1"


async def test_something_else_under_the_key_of_a_first_is_refused_at_once() -> None:
    world = World()
    first = asyncio.create_task(world.ask())
    await world.until_first()

    with pytest.raises(IdempotencyMismatch):
        await world.ask(b"other")

    world.gate.set()
    assert await first == "execution-1"


async def test_a_key_stands_for_what_it_made_until_its_time_is_over() -> None:
    world = World()
    world.gate.set()
    await world.ask()

    world.clock.advance(59)
    assert await world.ask() == "execution-1 again"
    with pytest.raises(IdempotencyMismatch):
        await world.ask(b"other")
    world.clock.advance(1)

    assert await world.ask(b"other") == "execution-2"
