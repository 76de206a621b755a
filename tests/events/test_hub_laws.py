"""What holds of the hub for any interleaving of publishing, storing, reading and eviction."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

import pytest
from hypothesis import example, given, settings, strategies as st

from graphwire.events.filters import Filter
from graphwire.events.hub import Behind, End, Hub, Item, Page, Subscription
from graphwire.events.ring import Published
from graphwire.types import Durability

Kind: TypeAlias = Literal["plain", "other", "barrier"]
Step: TypeAlias = (
    tuple[Literal["publish"], Kind]
    | tuple[Literal["take"], int]
    | tuple[Literal["store"], int]
    | tuple[Literal["join"], int]
    | tuple[Literal["read"], int]
)

TYPES: dict[Kind, str] = {"plain": "node_started", "other": "node_log", "barrier": "command_accepted"}
FILTER = Filter(types=frozenset({"node_started"}))

steps = st.one_of(
    st.tuples(st.just("publish"), st.sampled_from(list(TYPES))),
    st.tuples(st.just("publish"), st.just("plain")),
    st.tuples(st.just("take"), st.integers(0, 3)),
    st.tuples(st.just("store"), st.integers(1, 4)),
    st.tuples(st.just("join"), st.integers(0, 100)),
    st.tuples(st.just("read"), st.integers(0, 100)),
)


class Reader:
    """A conforming reader: what it got, and what it ought to have got."""

    def __init__(self, subscription: Subscription) -> None:
        self.subscription = subscription
        self.after = subscription.cursor
        self.read: list[int] = []
        self.has_ended = False


class HubModel:
    """The hub, a list as its store, and the rules of the marks written a second time."""

    def __init__(self, durability: Durability, ring: int) -> None:
        self.hub = Hub(durability=durability, ring_events=ring, ring_bytes=ring * 20)
        self.durability = durability
        self.log: list[Published] = []
        self.taken: list[int] = []
        self.stored = 0
        self.readers = [Reader(self.hub.subscribe())]

    @property
    def visible(self) -> int:
        barriers = [event.seq for event in self.log if event.is_barrier and event.seq > self.stored]
        limit = self.stored if self.durability == "sync" else len(self.log)
        return min([limit, *(seq - 1 for seq in barriers)])

    def do(self, step: Step) -> None:
        match step:
            case "publish", kind:
                self.publish(TYPES[kind], is_barrier=kind == "barrier")
            case "take", count:
                self.taken += [event.seq for event in self.hub.take_unstored(count * 10)]
            case "store", count:
                self.stored = min(self.stored + count, len(self.taken))
                self.hub.mark_stored(self.stored)
            case "join", place:
                self.join(place)
            case "read", which:
                self.read(self.readers[which % len(self.readers)], limit=1 + which % 3)
        assert (self.hub.published, self.hub.stored, self.hub.visible) == (len(self.log), self.stored, self.visible)
        assert self.hub.first <= self.stored + 1

    def publish(self, type: str, *, is_barrier: bool) -> None:
        event = Published(len(self.log) + 1, type, "n", b"x" * 10, is_barrier=is_barrier)
        self.log.append(event)
        self.hub.publish(event)

    def join(self, place: int) -> None:
        after = place % (self.visible + 1)
        self.readers.append(Reader(self.hub.subscribe(after, FILTER if place % 2 else None)))

    def read(self, reader: Reader, *, limit: int) -> Item | None:
        item = reader.subscription.poll(limit=limit)
        match item:
            case Page(items=items):
                self.give(reader, items)
            case Behind(after=after, upto=upto):
                assert upto <= self.stored
                items = self.log[after : min(upto, after + limit)]
                reader.subscription.advance(items[-1].seq)
                self.give(reader, [event for event in items if self.wants(reader, event)])
            case End():
                reader.has_ended = True
        return item

    def give(self, reader: Reader, items: Sequence[Published]) -> None:
        assert not reader.has_ended
        assert all(event.seq <= self.visible for event in items)
        reader.read += [event.seq for event in items]

    def wants(self, reader: Reader, event: Published) -> bool:
        return reader.subscription.filter is None or FILTER.passes(event.type, event.node_id)

    def end(self) -> None:
        self.publish("execution_completed", is_barrier=True)
        self.publish("stream_end", is_barrier=True)
        self.do(("take", 1_000_000))
        self.do(("store", 1_000_000))
        for reader in self.readers:
            while not reader.has_ended:
                assert self.read(reader, limit=3) is not None


@pytest.mark.capability("HUB-02", "HUB-26", "EVT-04")
@pytest.mark.parametrize("durability", ["async", "sync"])
@settings(deadline=None, max_examples=100)
@given(script=st.lists(steps, max_size=60), ring=st.integers(1, 5))
@example(script=[("publish", "plain")] * 9 + [("take", 3), ("store", 4), ("read", 0), ("join", 3)], ring=1)
def test_every_reader_gets_every_event_once_in_order_whatever_the_interleaving(
    durability: Durability, script: list[Step], ring: int
) -> None:
    model = HubModel(durability, ring)

    for step in script:
        model.do(step)
    model.end()

    for reader in model.readers:
        assert reader.read == [
            event.seq for event in model.log if event.seq > reader.after and model.wants(reader, event)
        ]
    assert model.taken == [event.seq for event in model.log]


@settings(deadline=None, max_examples=100)
@given(script=st.lists(steps, max_size=60), ring=st.integers(1, 5), durability=st.sampled_from(["async", "sync"]))
def test_a_reader_that_looks_only_when_it_is_woken_misses_nothing(
    script: list[Step], ring: int, durability: Durability
) -> None:
    model = HubModel(durability, ring)
    reader = model.readers[0]

    def look() -> None:
        while model.hub.visible > reader.subscription.cursor:
            items = reader.subscription.poll()
            assert isinstance(items, Page)
            reader.read += [event.seq for event in items.items]
        model.hub.when_visible(look)

    model.hub.when_visible(look)
    for step in script:
        if step[0] not in ("read", "join"):
            model.do(step)

    assert reader.read == list(range(1, model.visible + 1))
