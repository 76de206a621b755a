"""Work beside the loop is done one after the other, and what waits is bounded."""

import asyncio
import threading
from functools import partial

import pytest

from app.api.beside import Beside, Lane
from graphwire.errors import AtCapacity
from tests.waiting import at_first_wait


async def test_work_is_done_in_one_thread_in_the_order_in_which_it_came() -> None:
    lane, go = Lane("texts", most_bytes=100), threading.Event()
    done: list[int] = []

    def work(number: int) -> str:
        go.wait(5)
        done.append(number)
        return threading.current_thread().name

    doing = [await at_first_wait(lane.do(10, partial(work, number))) for number in range(5)]
    go.set()

    assert len(set(await asyncio.gather(*doing))) == 1
    assert done == [0, 1, 2, 3, 4]
    lane.close()


async def test_what_would_wait_beyond_the_bound_is_refused_and_taken_when_there_is_room() -> None:
    lane, go = Lane("texts", most_bytes=100), threading.Event()
    first = await at_first_wait(lane.do(1_000, lambda: go.wait(5)))

    with pytest.raises(AtCapacity):
        await lane.do(1, bool)

    go.set()
    assert await first
    assert [await lane.do(60, lambda: 1), await lane.do(60, lambda: 2)] == [1, 2]
    lane.close()


async def test_work_that_nobody_waits_for_any_more_counts_until_it_is_over() -> None:
    lane, begun, go = Lane("texts", most_bytes=100), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go.wait(5)

    first = asyncio.ensure_future(lane.do(90, work))
    await asyncio.to_thread(begun.wait, 5)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    with pytest.raises(AtCapacity):
        await lane.do(90, bool)

    go.set()
    await lane.do(10, bool)  # behind it
    assert await lane.do(90, lambda: "room") == "room"
    lane.close()


async def test_what_is_small_is_done_at_once_and_what_waits_keeps_no_other_kind_waiting() -> None:
    beside, go = Beside(), threading.Event()
    yaml = await at_first_wait(beside.read("yaml", 100_000, lambda: go.wait(5)))

    here = threading.current_thread().name
    names = [
        await beside.read("yaml", 100, lambda: threading.current_thread().name),
        await beside.read("json", 10_000, lambda: threading.current_thread().name),
        await beside.read("json", 100_000, lambda: threading.current_thread().name),
        await beside.write(100_000, lambda: threading.current_thread().name),
    ]
    assert names[:2] == [here, here]
    assert len({here, *names}) == 3

    go.set()
    await yaml
    beside.close()
