"""What many ask for at the same time is looked up once."""

import asyncio
from pathlib import Path

import pytest

from app.services.executions import ExecutionService, Followed
from app.services.presence import Presence
from app.services.sharing import LookUps
from app.services.streams import StreamService
from app.storage.repositories.executions import ExecutionRepository, StoredExecution
from graphwire.clock import FakeClock
from graphwire.engine.memory import MemoryStore
from graphwire.errors import NotFound
from graphwire.events.hub import End, Hub, Page
from graphwire.events.ring import Published
from graphwire.types import ExecutionId
from tests.live.serving import numbers, serving
from tests.waiting import at_first_wait

EXECUTION = ExecutionId("x1")
MANY = 200
RETURNING = 50


class Desk:
    """Finds what it is told to, each when it is told to."""

    def __init__(self) -> None:
        self.looks: list[asyncio.Future[str]] = []

    async def look(self) -> str:
        self.looks.append(asyncio.get_running_loop().create_future())
        return await self.looks[-1]


async def asking(look_ups: LookUps[str, str], desk: Desk, keys: str) -> list[asyncio.Task[str]]:
    return [await at_first_wait(look_ups.get(key, desk.look)) for key in keys]


async def test_who_asks_for_the_same_waits_for_the_one_who_looks() -> None:
    look_ups, desk = LookUps[str, str](), Desk()
    first, second, other = await asking(look_ups, desk, "aab")

    desk.looks[0].set_result("found")
    desk.looks[1].set_result("other")

    assert [await first, await second, await other] == ["found", "found", "other"]
    assert (len(desk.looks), len(look_ups)) == (2, 0)


async def test_who_asks_later_finds_what_is_there_then() -> None:
    look_ups, desk = LookUps[str, str](), Desk()
    for answer in ("before", "after"):
        (task,) = await asking(look_ups, desk, "a")
        desk.looks[-1].set_result(answer)
        assert await task == answer


async def test_where_the_one_who_looks_is_cancelled_another_looks_and_one_who_waits_may_leave() -> None:
    look_ups, desk = LookUps[str, str](), Desk()
    looks, waits, leaves = await asking(look_ups, desk, "aaa")

    leaves.cancel()
    looks.cancel()
    await asyncio.wait([looks, leaves])
    assert (looks.cancelled(), leaves.cancelled(), waits.done()) == (True, True, False)
    (late,) = await asking(look_ups, desk, "a")
    desk.looks[1].set_result("found")

    assert [await waits, await late] == ["found", "found"]
    assert (len(desk.looks), len(look_ups)) == (2, 0)


async def test_the_last_who_is_cancelled_leaves_nothing_behind() -> None:
    look_ups, desk = LookUps[str, str](), Desk()
    tasks = await asking(look_ups, desk, "aa")
    for task in reversed(tasks):
        task.cancel()
    await asyncio.wait(tasks)

    assert (len(desk.looks), len(look_ups)) == (1, 0)


async def test_a_failure_is_everybodys_who_waited_and_nobodys_who_comes_later() -> None:
    look_ups, desk = LookUps[str, str](), Desk()
    tasks = await asking(look_ups, desk, "aa")
    desk.looks[0].set_exception(NotFound("nothing is there"))
    failures = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str(failure) for failure in failures] == ["nothing is there"] * 2

    (later,) = await asking(look_ups, desk, "a")
    desk.looks[1].set_result("found")
    assert await later == "found"


class CountingStore(MemoryStore):
    """A store whose answers wait until it is opened, and which counts what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.open = asyncio.Event()
        self.asked = 0

    async def read_events(
        self, execution_id: ExecutionId, *, after: int, upto: int, limit: int, max_bytes: int
    ) -> list[Published]:
        self.asked += 1
        await self.open.wait()
        return [Published(seq, "node_log", None, b"{}", is_barrier=False) for seq in range(after + 1, upto + 1)]


@pytest.mark.bad_input(78)
async def test_a_page_that_many_readers_want_at_once_is_read_once() -> None:
    store = CountingStore()
    streams = StreamService(store, Presence(grace_s=0), FakeClock())
    readers = [streams.open(EXECUTION, Hub.ended(3), after=None, filter=None) for _ in range(MANY)]
    tasks = [await at_first_wait(reader.read(60)) for reader in readers]
    for task in tasks[::2]:
        task.cancel()  # the first of them had asked
    await asyncio.wait(tasks[::2])
    store.open.set()

    for task in tasks[1::2]:
        page = await task
        assert isinstance(page, Page)
        assert [event.seq for event in page.items] == [1, 2, 3]
    assert store.asked == 2
    for reader in readers[1::2]:
        assert isinstance(await reader.read(60), End)
    for reader in readers:
        reader.close()


@pytest.mark.bad_input(78)
async def test_readers_who_return_together_to_an_ended_execution_find_it_with_one_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    all_are_there = asyncio.Event()
    come: list[ExecutionId] = []
    looked: list[ExecutionId] = []
    get, follow = ExecutionRepository.get, ExecutionService.follow

    async def slow_get(self: ExecutionRepository, execution_id: ExecutionId) -> StoredExecution | None:
        looked.append(execution_id)
        await all_are_there.wait()
        return await get(self, execution_id)

    async def counted_follow(self: ExecutionService, execution_id: ExecutionId) -> Followed:
        come.append(execution_id)
        if len(come) == RETURNING:
            all_are_there.set()
        return await follow(self, execution_id)

    async with serving(tmp_path) as service:
        execution = (await service.run("chain"))["id"]
        whole = await service.events(execution)
        monkeypatch.setattr(ExecutionRepository, "get", slow_get)
        monkeypatch.setattr(ExecutionService, "follow", counted_follow)
        streams = await asyncio.gather(*(service.events(execution) for _ in range(RETURNING)))

    assert looked == [execution]
    assert all(numbers(stream) == numbers(whole) for stream in streams)
