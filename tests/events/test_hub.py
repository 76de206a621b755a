"""The hub against its promises, example by example. The laws are in ``test_hub_laws``."""

import pytest

from graphwire.events.filters import Filter
from graphwire.events.hub import MAX_UNSTORED_EVENTS, Behind, End, Hub, Item, NoticeItem, Page
from graphwire.events.notices import ExecutionProgress
from graphwire.events.ring import Published
from graphwire.events.room import Room


def make_event(seq: int, type: str = "node_started", *, is_barrier: bool = False, size: int = 10) -> Published:
    return Published(seq, type, "n", b"x" * size, is_barrier=is_barrier)


def fill(hub: Hub, count: int, *, size: int = 10) -> None:
    for _ in range(count):
        hub.publish(make_event(hub.published + 1, size=size))


def finish(hub: Hub) -> None:
    hub.publish(make_event(hub.published + 1, "execution_completed", is_barrier=True))
    hub.publish(make_event(hub.published + 1, "stream_end", is_barrier=True))


def make_progress(completed: int) -> ExecutionProgress:
    return ExecutionProgress(percent=float(completed), completed=completed, total=100, running=[])


def seqs(item: Item | None) -> list[int]:
    assert isinstance(item, Page)
    return [event.seq for event in item.items]


def test_reader_behind_the_ring_is_sent_to_the_store_and_then_goes_on() -> None:
    hub = Hub(ring_events=2)
    slow = hub.subscribe()

    fill(hub, 5)
    hub.mark_stored(5)

    assert slow.poll() == Behind(after=0, upto=3)
    slow.advance(3)
    assert seqs(slow.poll()) == [4, 5]
    assert slow.poll() is None


def test_events_that_are_not_stored_are_never_evicted() -> None:
    hub = Hub(ring_events=2, ring_bytes=20)
    reader = hub.subscribe()

    fill(hub, 5)
    hub.mark_stored(1)

    assert hub.first == 2
    reader.advance(1)
    assert seqs(reader.poll()) == [2, 3, 4, 5]


def test_the_ring_is_bounded_in_bytes_too() -> None:
    hub = Hub(ring_events=100, ring_bytes=100)

    fill(hub, 5, size=40)
    hub.mark_stored(5)

    assert hub.first == 4


def test_what_becomes_visible_stays_for_readers_that_are_up_to_date_however_much_it_is() -> None:
    hub = Hub(ring_events=2, durability="sync")
    reader = hub.subscribe()

    fill(hub, 5)
    hub.mark_stored(5)
    page = reader.poll()
    fill(hub, 1)
    hub.mark_stored(6)

    assert seqs(page) == [1, 2, 3, 4, 5]
    assert hub.first == 5


def test_async_shows_what_is_published_and_sync_what_is_stored() -> None:
    at_once, when_stored = Hub(), Hub(durability="sync")

    for hub in (at_once, when_stored):
        fill(hub, 3)
        hub.mark_stored(2)

    assert (at_once.visible, when_stored.visible) == (3, 2)


@pytest.mark.parametrize("durability", ["async", "sync"])
def test_a_barrier_holds_itself_and_what_follows_until_it_is_stored(durability: str) -> None:
    hub = Hub(durability="sync" if durability == "sync" else "async")
    fill(hub, 1)
    hub.mark_stored(1)

    hub.publish(make_event(2, "command_accepted", is_barrier=True))
    fill(hub, 2)
    before = hub.visible
    hub.mark_stored(2)

    assert before == 1
    assert hub.visible == (2 if durability == "sync" else 4)


def test_visible_is_never_further_ahead_of_stored_than_numbering_after_a_crash_allows() -> None:
    hub = Hub()

    fill(hub, MAX_UNSTORED_EVENTS + 10)

    assert hub.visible == MAX_UNSTORED_EVENTS
    assert not hub.has_room
    hub.mark_stored(4)
    assert hub.visible == MAX_UNSTORED_EVENTS + 4


def test_an_event_out_of_turn_is_refused() -> None:
    hub = Hub()

    with pytest.raises(ValueError, match="event 2 published where 1 comes next"):
        hub.publish(make_event(2))

    assert hub.published == 0


def test_nothing_follows_the_sentinel() -> None:
    hub = Hub()
    finish(hub)

    with pytest.raises(ValueError, match="where nothing comes next"):
        hub.publish(make_event(3))


def test_an_event_cannot_be_stored_before_it_is_published() -> None:
    with pytest.raises(ValueError, match="event 1 stored"):
        Hub().mark_stored(1)


def test_the_hub_closes_when_the_sentinel_is_visible() -> None:
    hub = Hub()
    reader = hub.subscribe()

    finish(hub)
    unstored = (hub.closed, reader.poll())
    hub.mark_stored(2)

    assert unstored == (False, None)
    assert hub.closed
    assert seqs(reader.poll()) == [1, 2]
    assert reader.poll() == End()


def test_the_hub_of_a_finished_execution_sends_everybody_to_the_store() -> None:
    hub = Hub.ended(9)

    assert hub.subscribe(after=0).poll() == Behind(after=0, upto=9)
    assert hub.subscribe(after=9).poll() == End()


def test_a_resumed_execution_counts_what_lies_before_it_as_stored() -> None:
    hub = Hub(first_seq=70_000)
    reader = hub.subscribe(after=12)

    fill(hub, 1)

    assert reader.poll() == Behind(after=12, upto=69_999)
    reader.advance(69_999)
    assert seqs(reader.poll()) == [70_000]


def test_a_reader_ahead_of_the_hub_waits_for_its_place() -> None:
    hub = Hub()
    reader = hub.subscribe(after=2)

    fill(hub, 2)
    early = reader.poll()
    fill(hub, 1)

    assert early is None
    assert seqs(reader.poll()) == [3]


def test_a_page_is_bounded_in_count_and_bytes_and_holds_one_event_at_least() -> None:
    hub = Hub()
    fill(hub, 5, size=100)

    assert seqs(hub.subscribe().poll(limit=2)) == [1, 2]
    assert seqs(hub.subscribe().poll(max_bytes=350)) == [1, 2, 3]
    assert seqs(hub.subscribe().poll(max_bytes=1)) == [1]


def test_the_cursor_moves_past_what_the_filter_leaves_out() -> None:
    hub = Hub()
    reader = hub.subscribe(filter=Filter(types=frozenset({"node_completed"})))

    fill(hub, 3)
    nothing = reader.poll()
    hub.publish(make_event(4, "node_completed"))
    fill(hub, 1)
    page = reader.poll()

    assert nothing is None
    assert seqs(page) == [4]
    assert reader.cursor == 5


def test_a_filtered_page_does_not_step_over_what_did_not_fit() -> None:
    hub = Hub()
    reader = hub.subscribe(filter=Filter(types=frozenset({"node_started"})))
    fill(hub, 3, size=100)

    assert seqs(reader.poll(max_bytes=150)) == [1]
    assert seqs(reader.poll(limit=1)) == [2]
    assert seqs(reader.poll()) == [3]


def test_a_poll_looks_at_ten_thousand_events_at_most() -> None:
    hub = Hub()
    reader = hub.subscribe(filter=Filter(types=frozenset({"node_completed"})))

    fill(hub, 10_001)

    assert reader.poll() == Page(items=[], cursor=10_000)
    assert reader.poll() is None
    assert reader.cursor == 10_001


def test_every_event_is_handed_to_the_store_once() -> None:
    hub = Hub()
    fill(hub, 5, size=100)

    parts = [hub.take_unstored(250), hub.take_unstored(1), hub.take_unstored(1000, upto=4), hub.take_unstored(1000)]

    assert [[event.seq for event in part] for part in parts] == [[1, 2], [3], [4], [5]]
    assert hub.take_unstored(1000) == []


def test_a_whole_text_is_let_go_once_it_is_stored_but_not_from_who_was_given_it() -> None:
    hub = Hub()
    hub.publish(Published(1, "node_completed", "n", b"short", b"the whole of it"))
    (given,) = hub.take_unstored(1000)
    pinned = hub.unstored_bytes

    hub.mark_stored(1)

    kept = hub.get(1)
    assert kept is not None
    assert (pinned, kept.line, kept.whole, given.whole) == (20, b"short", None, b"the whole of it")


def test_an_event_that_is_not_visible_cannot_be_got() -> None:
    hub = Hub(durability="sync")
    fill(hub, 1)

    assert hub.get(1) is None
    hub.mark_stored(1)
    assert hub.get(1) is not None


def test_a_callback_is_called_once_per_time_that_it_asks() -> None:
    hub = Hub()
    calls: list[int] = []

    def look() -> None:
        calls.append(hub.visible)

    hub.when_visible(look)
    hub.when_visible(look)
    fill(hub, 2)
    hub.when_visible(look)
    fill(hub, 1)

    assert calls == [1, 3]


def test_a_callback_may_ask_again_and_publish() -> None:
    hub = Hub()
    calls: list[int] = []

    def look() -> None:
        calls.append(hub.visible)
        if hub.visible < 3:
            hub.when_visible(look)
            fill(hub, 1)

    hub.when_visible(look)
    fill(hub, 1)

    assert calls == [1, 2, 3]


def test_a_callback_that_was_forgotten_is_not_called() -> None:
    hub = Hub()
    calls: list[str] = []
    leaving, staying = (lambda: calls.append("leaving")), (lambda: calls.append("staying"))

    hub.when_visible(leaving)
    hub.when_visible(staying)
    hub.forget(leaving)
    fill(hub, 1)

    assert calls == ["staying"]


def test_who_waits_for_storing_is_told_in_the_order_of_the_numbers() -> None:
    hub = Hub()
    fill(hub, 3)
    told: list[int] = []

    for seq in (3, 1, 2):
        hub.when_stored(seq, lambda seq=seq: told.append(seq))  # type: ignore[misc]  # a default that binds
    hub.mark_stored(2)
    halfway = list(told)
    hub.mark_stored(3)
    hub.when_stored(3, lambda: told.append(30))

    assert halfway == [1, 2]
    assert told == [1, 2, 3, 30]


def test_who_waits_for_room_is_told_when_there_is_some() -> None:
    hub = Hub(room=Room(limit_bytes=100))
    told: list[str] = []
    hub.wait_room(lambda: told.append("at once"))

    fill(hub, 3, size=50)
    full = hub.has_room
    hub.wait_room(lambda: told.append("later"))
    hub.mark_stored(1)
    halfway = list(told)
    hub.mark_stored(2)

    assert not full
    assert halfway == ["at once"]
    assert told == ["at once", "later"]


def test_who_waits_for_room_among_the_numbers_is_told_too() -> None:
    hub = Hub()
    told: list[str] = []

    fill(hub, MAX_UNSTORED_EVENTS)
    hub.wait_room(lambda: told.append("room"))
    before = list(told)
    hub.mark_stored(1)

    assert before == []
    assert told == ["room"]


def test_hubs_of_a_process_share_the_room_for_what_is_not_stored() -> None:
    room = Room(limit_bytes=100)
    busy, waiting = Hub(room=room), Hub(room=room)
    told: list[str] = []

    fill(busy, 2, size=50)
    blocked = waiting.has_room
    waiting.wait_room(lambda: told.append("room"))
    busy.mark_stored(2)

    assert not blocked
    assert told == ["room"]
    assert room.used_bytes == 0


def test_a_refused_start_gives_the_room_back_and_ends_the_hub() -> None:
    room = Room(limit_bytes=100)
    hub = Hub(room=room)
    reader = hub.subscribe()
    hub.publish(make_event(1, "execution_started", is_barrier=True, size=60))

    hub.discard()

    assert room.used_bytes == 0
    assert reader.poll() == End()


def test_progress_is_told_to_readers_that_are_up_to_date_and_the_latest_wins() -> None:
    hub = Hub()
    current, behind = hub.subscribe(), hub.subscribe()
    fill(hub, 2)
    current.poll()

    hub.notice = make_progress(1)
    hub.notice = make_progress(2)

    assert current.poll() == NoticeItem(make_progress(2), after=2)
    assert current.poll() is None
    assert seqs(behind.poll()) == [1, 2]


def test_progress_is_not_told_before_the_events_that_it_counts_are_visible() -> None:
    hub = Hub(durability="sync")
    reader = hub.subscribe()
    fill(hub, 1)
    hub.notice = make_progress(1)

    early = reader.poll()
    hub.mark_stored(1)

    assert early is None
    assert seqs(reader.poll()) == [1]
    assert reader.poll() == NoticeItem(make_progress(1), after=1)


def test_progress_is_not_told_to_a_reader_whose_types_leave_it_out() -> None:
    hub = Hub()
    without = hub.subscribe(filter=Filter(types=frozenset({"node_started"})))
    with_it = hub.subscribe(filter=Filter(types=frozenset({"execution_progress"})))

    hub.notice = make_progress(1)

    assert without.poll() is None
    assert with_it.poll() == NoticeItem(make_progress(1), after=0)


def test_progress_wakes_who_waits() -> None:
    hub = Hub()
    calls: list[str] = []
    hub.when_visible(lambda: calls.append("woken"))

    hub.notice = make_progress(1)

    assert calls == ["woken"]


@pytest.mark.parametrize("types", [None, frozenset({"execution_progress"})])
def test_the_last_progress_stands_directly_before_the_terminal_event(types: frozenset[str] | None) -> None:
    hub = Hub()
    reader = hub.subscribe(filter=Filter(types=types) if types else None)
    fill(hub, 2)

    hub.notice = make_progress(100)
    finish(hub)
    hub.mark_stored(4)

    if types is None:
        assert seqs(reader.poll()) == [1, 2]
    assert reader.poll() == NoticeItem(make_progress(100), after=2)
    assert seqs(reader.poll()) == [3, 4]
    assert reader.poll() == End()


def test_progress_is_not_told_to_a_reader_of_what_has_ended() -> None:
    hub = Hub()
    hub.notice = make_progress(100)
    finish(hub)
    hub.mark_stored(2)

    late = hub.subscribe()

    assert seqs(late.poll()) == [1, 2]
    assert late.poll() == End()


def test_what_is_skipped_is_sent_to_the_store_and_what_follows_is_told() -> None:
    hub = Hub(durability="sync")
    fill(hub, 3)
    hub.mark_stored(3)
    behind, up_to_date, woken = hub.subscribe(1), hub.subscribe(3), list[int]()
    hub.when_visible(lambda: woken.append(hub.visible))

    hub.skip(2)
    hub.skip(10)
    fill(hub, 1)
    hub.mark_stored(11)

    assert behind.poll() == Behind(after=1, upto=10)
    assert up_to_date.poll() == Behind(after=3, upto=10)
    up_to_date.advance(10)
    assert seqs(up_to_date.poll()) == [11]
    assert woken == [10]


def test_what_is_to_be_stored_is_not_skipped_and_nothing_after_the_end() -> None:
    hub = Hub()
    fill(hub, 1)

    with pytest.raises(ValueError, match="to be stored"):
        hub.skip(5)
    with pytest.raises(ValueError, match="was the last"):
        Hub.ended(3).skip(4)
