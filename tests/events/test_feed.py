"""A task that reads a subscription: woken, cancelled, timed out."""

import asyncio

import pytest

from graphwire.events.feed import Feed
from graphwire.events.hub import Behind, End, Hub, Item, NoticeItem, Page
from graphwire.events.notices import ExecutionProgress
from graphwire.events.ring import Published
from tests.waiting import at_first_wait


def publish(hub: Hub, type: str = "node_started", *, is_barrier: bool = False) -> None:
    hub.publish(Published(hub.published + 1, type, "n", b"{}", is_barrier=is_barrier))


def seqs(item: Item | None) -> list[int]:
    assert isinstance(item, Page)
    return [event.seq for event in item.items]


async def start_reading(feed: Feed, timeout_s: float | None = None) -> asyncio.Task[Item | None]:
    return await at_first_wait(feed.read(timeout_s))


async def test_a_read_returns_what_is_there_at_once() -> None:
    hub = Hub()
    publish(hub)

    assert seqs(await Feed(hub.subscribe()).read()) == [1]


async def test_a_read_waits_for_what_is_published_next() -> None:
    hub = Hub()
    reading = await start_reading(Feed(hub.subscribe()))

    publish(hub)
    publish(hub)

    assert seqs(await reading) == [1, 2]


async def test_a_read_says_what_is_behind_and_when_it_ends() -> None:
    hub = Hub(ring_events=1)
    feed = Feed(hub.subscribe())
    publish(hub)
    publish(hub)
    hub.mark_stored(2)
    publish(hub, "stream_end", is_barrier=True)

    behind = await feed.read()
    feed.subscription.advance(1)
    page = await feed.read()
    reading = await start_reading(feed)
    hub.mark_stored(3)

    assert behind == Behind(after=0, upto=1)
    assert seqs(page) == [2]
    assert seqs(await reading) == [3]
    assert await feed.read() == End()


async def test_a_notice_wakes_a_read() -> None:
    hub = Hub()
    reading = await start_reading(Feed(hub.subscribe()))
    progress = ExecutionProgress(percent=1.0, completed=1, total=100, running=[])

    hub.notice = progress

    assert await reading == NoticeItem(progress, after=0)


async def test_a_read_returns_none_when_its_time_is_over() -> None:
    feed = Feed(Hub().subscribe())

    assert await feed.read(timeout_s=0.001) is None
    assert await feed.read(timeout_s=0.0) is None


async def test_a_wait_is_not_prolonged_by_what_the_filter_or_a_barrier_hides() -> None:
    hub = Hub(durability="sync")
    reading = await start_reading(Feed(hub.subscribe()), timeout_s=0.01)

    publish(hub)

    assert await reading is None


async def test_a_later_deadline_moves_the_timer_and_an_earlier_one_brings_it_forward() -> None:
    hub = Hub()
    feed = Feed(hub.subscribe())
    first = await start_reading(feed, timeout_s=0.001)
    publish(hub)
    await first
    loop = asyncio.get_running_loop()

    began = loop.time()
    assert await feed.read(timeout_s=0.03) is None
    waited = loop.time() - began
    long = await start_reading(feed, timeout_s=3600)
    publish(hub)
    await long

    assert waited >= 0.029
    assert await feed.read(timeout_s=0.001) is None
    feed.close()


async def test_a_read_can_be_woken_to_return_nothing() -> None:
    feed = Feed(Hub().subscribe())
    reading = await start_reading(feed)

    feed.wake()

    assert await reading is None


async def test_a_wake_without_a_read_does_nothing() -> None:
    hub = Hub()
    feed = Feed(hub.subscribe())

    feed.wake()
    reading = await start_reading(feed)
    waits = not reading.done()
    publish(hub)

    assert waits
    assert seqs(await reading) == [1]


async def test_a_feed_has_one_reader_at_a_time() -> None:
    hub = Hub()
    feed = Feed(hub.subscribe())
    reading = await start_reading(feed)

    with pytest.raises(RuntimeError, match="one reader"):
        await feed.read()

    publish(hub)
    assert seqs(await reading) == [1]


@pytest.mark.bad_input(78)
async def test_cancelling_a_read_that_waits_loses_nothing() -> None:
    hub = Hub()
    feed = Feed(hub.subscribe())
    reading = await start_reading(feed)

    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    publish(hub)

    assert seqs(await feed.read()) == [1]


@pytest.mark.bad_input(78)
async def test_cancelling_a_read_that_was_just_woken_loses_nothing() -> None:
    hub = Hub()
    feed = Feed(hub.subscribe())
    reading = await start_reading(feed)

    publish(hub)  # the waiter is done, the task has not run yet
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading

    assert seqs(await feed.read()) == [1]


@pytest.mark.bad_input(78)
@pytest.mark.capability("HUB-26")
async def test_readers_that_leave_at_any_point_disturb_nobody() -> None:
    hub = Hub()
    staying, leaving, closing = (Feed(hub.subscribe()) for _ in range(3))
    tasks = [await start_reading(feed, timeout_s=3600) for feed in (leaving, staying, closing)]
    tasks[2].cancel()
    await asyncio.wait([tasks[2]])
    closing.close()

    publish(hub)
    tasks[0].cancel()

    assert seqs(await tasks[1]) == [1]
    results = await asyncio.gather(tasks[0], tasks[2], return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results)
    for feed in (staying, leaving, closing):
        feed.close()


async def test_a_closed_feed_leaves_neither_a_callback_nor_a_timer() -> None:
    hub = Hub()
    feed = Feed(hub.subscribe())
    reading = await start_reading(feed, timeout_s=3600)
    publish(hub)
    await reading

    feed.close()
    feed.close()

    assert feed._timer is None
    assert not hub._visible_waiting


async def test_many_readers_of_one_hub_get_everything_in_order() -> None:
    hub = Hub(ring_events=1_000)

    async def read_all(feed: Feed) -> list[int]:
        read: list[int] = []
        while not isinstance(item := await feed.read(), End):
            read += seqs(item)
        return read

    readers = [asyncio.create_task(read_all(Feed(hub.subscribe()))) for _ in range(20)]
    for number in range(60):
        publish(hub)
        if number % 7 == 0:
            await asyncio.sleep(0)
    publish(hub, "stream_end", is_barrier=True)
    hub.mark_stored(61)

    assert await asyncio.gather(*readers) == [list(range(1, 62))] * 20
