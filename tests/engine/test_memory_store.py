"""The store in memory, where it differs from one on disk."""

from collections.abc import Callable

from graphwire.engine.memory import MemoryStore
from graphwire.types import ExecutionId
from tests.storage.samples import EXECUTION, RecordingOutbox, make_batch, make_end, make_record, start_batch


def test_without_a_loop_everything_is_stored_before_submit_returns() -> None:
    store = MemoryStore()
    outbox = RecordingOutbox(start_batch(), make_batch([2]))

    store.submit(outbox)

    assert len(outbox.stored_batches) == 2


def test_with_a_loop_nothing_is_stored_within_submit() -> None:
    later: list[Callable[[], None]] = []
    store = MemoryStore(defer=later.append)
    outbox = RecordingOutbox(start_batch(), make_batch([2]))

    store.submit(outbox)
    store.submit(outbox)
    assert outbox.taken == 0

    while later:
        later.pop(0)()
    assert len(outbox.stored_batches) == 2


def test_what_an_outbox_submits_on_hearing_that_it_is_stored_is_stored_too() -> None:
    store = MemoryStore()

    class Chatty(RecordingOutbox):
        def stored(self, batch: object) -> None:
            self.taken += 1
            if self.taken < 10:
                self.add(make_batch([self.taken]))
                store.submit(self)

    outbox = Chatty(start_batch())
    store.submit(outbox)

    assert outbox.batches == []
    assert outbox.taken >= 10


def test_while_unavailable_starts_are_refused_and_the_rest_waits() -> None:
    store = MemoryStore()
    running, new = RecordingOutbox(start_batch()), RecordingOutbox(start_batch("new"))
    store.submit(running)
    store.unavailable = "no room"
    running.add(make_batch([2]), make_batch([3]))

    store.submit(running)
    store.submit(running)
    store.submit(new)

    assert (new.refusals, len(running.stored_batches)) == (["no room"], 1)
    store.unavailable = None
    assert [batch.events[0].seq for batch in running.stored_batches] == [1, 2, 3]


def test_start_and_end_are_kept_until_the_execution_is_forgotten() -> None:
    store = MemoryStore()
    record, end = make_record(), make_end(2)
    store.submit(RecordingOutbox(make_batch([1], start=record), make_batch([2], end=end)))

    assert (store.start_of(EXECUTION), store.end_of(EXECUTION)) == (record, end)
    store.forget(EXECUTION)
    assert (store.start_of(EXECUTION), store.end_of(EXECUTION)) == (None, None)
    assert store.end_of(ExecutionId("unknown")) is None


async def test_events_that_nobody_reads_again_are_dropped_and_the_rest_is_there() -> None:
    store = MemoryStore()
    store.submit(RecordingOutbox(start_batch(), make_batch([2, 3, 4])))

    store.forget_events(EXECUTION, 2)
    store.forget_events(EXECUTION, 2)
    store.forget_events(ExecutionId("nobody"), 2)

    page = await store.read_events(EXECUTION, after=0, upto=4, limit=10, max_bytes=10_000)
    assert [event.seq for event in page] == [3, 4]
    assert await store.read_event(EXECUTION, 2) is None
    assert await store.read_event(EXECUTION, 3) is not None
