import asyncio
import threading
from collections.abc import Sequence

import pytest

from graphwire import Context, Graph, prepare, run, start_live
from graphwire.engine.runner import Start
from graphwire.events.encoding import Envelope
from graphwire.events.filters import Filter
from graphwire.events.hub import Behind, End, Hub, Item, NoticeItem, Page, Published
from graphwire.sinks import Memory, SinkReport, Sinks, SinkTrouble, callback

BUSY = 20_000


def chatty() -> Graph:
    graph = Graph("chatty")

    @graph.node()
    async def talk(ctx: Context, count: int) -> int:
        for number in range(count):
            await ctx.emit(number)
        return count

    return graph


class Blocked:
    """Takes nothing until it is let go on."""

    name = "blocked"

    def __init__(self) -> None:
        self.called = threading.Event()
        self.free = threading.Event()
        self.seen: list[int] = []

    def handle(self, events: Sequence[Published]) -> None:
        self.called.set()
        self.free.wait()
        self.seen += [event.seq for event in events]

    def close(self) -> None:
        self.free.set()


class Histories:
    """Hubs whose events are kept in a list each, as a store would."""

    def __init__(self) -> None:
        self.lines: dict[int, list[Published]] = {}

    def opened(self, number: int) -> Hub:
        self.lines[number] = []
        return Hub(ring_events=4)

    def ended(self, number: int, events: int) -> Hub:
        hub = self.opened(number)
        self.end(number, hub, events)
        return hub

    def end(self, number: int, hub: Hub, events: int) -> None:
        for seq in range(1, events + 1):
            type = "stream_end" if seq == events else "made_later"
            event = Published(seq, type, None, _line(seq, type), is_barrier=seq == events)
            self.lines[number].append(event)
            hub.publish(event)
        hub.mark_stored(events)

    def follow(self, sinks: Sinks, number: int, hub: Hub) -> None:
        sinks.follow(hub, lambda hub, after, filter: Reader(self.lines[number], hub, after, filter))


class Reader:
    def __init__(self, lines: list[Published], hub: Hub, after: int, filter: Filter | None) -> None:
        self._lines = lines
        self._subscription = hub.subscribe(after, filter)

    @property
    def cursor(self) -> int:
        return self._subscription.cursor

    async def poll(self, limit: int) -> Page | NoticeItem | End | None:
        item: Item | None = self._subscription.poll(limit)
        if isinstance(item, Behind):
            events = self._lines[item.after : min(item.upto, item.after + limit)]
            self._subscription.advance(events[-1].seq)
            return Page(events, self.cursor)
        return item

    def close(self) -> None:
        """There is nothing to let go of."""


@pytest.mark.capability("SNK-01")
async def test_a_sink_that_hangs_does_not_hold_up_the_run_and_gets_everything_later() -> None:
    blocked, memory = Blocked(), Memory(limit=BUSY + 10)

    async with (
        start_live(prepare(chatty()), Start(state={"count": str(BUSY).encode()})) as live,
        Sinks([blocked, memory]) as sinks,
    ):
        live.deliver(sinks)
        await asyncio.to_thread(blocked.called.wait)
        finished = await live.finished()
        seen_by_then = len(blocked.seen)
        blocked.free.set()

    assert (finished.status, seen_by_then) == ("completed", 0)
    assert blocked.seen == list(range(1, BUSY + 6))
    assert [event.seq for event in memory.events()] == blocked.seen


async def test_a_run_gives_its_events_to_sinks_with_and_without_a_function_beside() -> None:
    alone, beside, heard = Memory(), Memory(), []

    def hear(event: Envelope) -> None:
        heard.append(event.type)

    await run(chatty(), {"count": 2}, sinks=[alone])
    await run(chatty(), {"count": 2}, sinks=[beside], on_event=hear)

    assert [event.type for event in beside.events()] == heard
    assert [event.type for event in alone.events()] == heard
    alone.clear()
    assert alone.events() == []


@pytest.mark.capability("SNK-03")
async def test_a_sink_gets_what_it_asked_for_and_always_the_end() -> None:
    memory, started = Memory(), Filter(types=frozenset({"node_started"}))

    async with start_live(prepare(chatty()), Start(state={"count": b"3"})) as live, Sinks() as sinks:
        sinks.add(memory, filter=started)
        live.deliver(sinks)
        await live.finished()

    assert [event.type for event in memory.events()] == ["node_started", "execution_completed", "stream_end"]


@pytest.mark.parametrize("is_coroutine", [False, True])
async def test_a_function_that_fails_is_called_again_with_the_same_event(is_coroutine: bool) -> None:
    calls: list[int] = []

    def flaky(event: Envelope) -> None:
        calls.append(event.seq)
        if calls.count(3) == 1 and event.seq == 3:
            raise OSError("not now")

    async def flaky_coroutine(event: Envelope) -> None:
        flaky(event)

    async with start_live(prepare(chatty()), Start(state={"count": b"1"})) as live, Sinks() as sinks:
        sinks.add(callback(flaky_coroutine if is_coroutine else flaky), retry_s=0)
        live.deliver(sinks)
        await live.finished()
        ended = sinks.reports()

    assert calls == [1, 2, 3, 3, 4, 5, 6]
    assert ended[0].last_error in (None, "OSError: not now")


@pytest.mark.capability("SNK-10")
async def test_what_a_sink_refuses_to_the_last_is_counted_and_told_and_others_get_it() -> None:
    troubles: list[SinkTrouble] = []
    reports: list[SinkReport] = []
    memory = Memory()
    given = Histories()

    async with Sinks(told=troubles.append) as sinks:
        sinks.add(callback(_refuse, name="bad"), retries=2, retry_s=0)
        sinks.add(memory)
        given.follow(sinks, 1, given.ended(1, 5))
        assert await sinks.flush(5) == 0
        reports = sinks.reports()

    bad = reports[0]
    assert (bad.handled, bad.failed, bad.lost, bad.waiting, bad.is_well) == (0, 5, 0, 0, False)
    assert bad.last_error == "ValueError: no"
    assert bad.last_error_at is not None
    assert (reports[1].handled, reports[1].is_well) == (5, True)
    assert [(trouble.name, trouble.kind, trouble.count) for trouble in troubles] == [("bad", "failed", 5)]


@pytest.mark.capability("SNK-10")
async def test_a_sink_that_fails_too_often_in_a_row_is_switched_off() -> None:
    troubles: list[SinkTrouble] = []
    calls: list[int] = []
    given = Histories()

    def refuse(event: Envelope) -> None:
        calls.append(1)
        raise ValueError("no")

    async with Sinks(told=troubles.append) as sinks:
        sinks.add(callback(refuse, name="bad"), retries=9, retry_s=0, switched_off_after=3)
        given.follow(sinks, 1, given.ended(1, 5))
        assert await sinks.flush(5) == 0
        given.follow(sinks, 2, given.ended(2, 5))
        report = sinks.reports()[0]

    assert (len(calls), report.is_on, report.failed) == (3, False, 5)
    assert [trouble.kind for trouble in troubles] == ["switched_off"]


async def test_a_sink_far_behind_holds_no_rings_and_misses_nothing() -> None:
    blocked, given = Blocked(), Histories()
    hubs = [given.opened(number) for number in range(200)]

    async with Sinks([blocked]) as sinks:
        for number, hub in enumerate(hubs):
            given.follow(sinks, number, hub)
            given.end(number, hub, 10)
        held = sum(history.hub in hubs for history in sinks._deliveries["blocked"][0]._histories)
        blocked.free.set()

    assert held <= 64
    assert sorted(blocked.seen) == sorted([*range(1, 11)] * 200)


@pytest.mark.parametrize("raised", [asyncio.CancelledError(), SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
@pytest.mark.parametrize("is_coroutine", [False, True])
async def test_whatever_a_sink_raises_counts_as_a_failure_of_its_own(raised: BaseException, is_coroutine: bool) -> None:
    given = Histories()

    def refuse(event: Envelope) -> None:
        raise raised

    async def refuse_coroutine(event: Envelope) -> None:
        raise raised

    async with Sinks() as sinks:
        sinks.add(callback(refuse_coroutine if is_coroutine else refuse, name="bad"), retries=0)
        given.follow(sinks, 1, given.ended(1, 5))
        assert await sinks.flush(5) == 0
        report = sinks.reports()[0]

    assert (report.handled, report.failed, report.is_well) == (0, 5, False)
    assert (report.last_error or "").startswith(type(raised).__name__)


@pytest.mark.capability("SNK-04")
async def test_sinks_of_one_name_are_told_apart() -> None:
    async with Sinks([Memory(), Memory(), Memory(name="other")]) as sinks:
        assert [report.name for report in sinks.reports()] == ["memory", "memory-2", "other"]


@pytest.mark.capability("SNK-09")
async def test_a_sink_that_is_removed_gets_what_was_told_before_and_nothing_afterwards() -> None:
    memory, given = Memory(), Histories()

    async with Sinks([memory]) as sinks:
        given.follow(sinks, 1, given.ended(1, 5))
        await sinks.remove("memory")
        given.follow(sinks, 2, given.ended(2, 5))

        assert sinks.reports() == []
    assert len(memory._events) == 5


async def test_leaving_does_not_wait_for_a_sink_that_hangs_and_tells_what_it_missed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    blocked, given = Blocked(), Histories()

    async with Sinks([blocked], stop_s=0.01) as sinks:
        given.follow(sinks, 1, given.ended(1, 5))
        await asyncio.to_thread(blocked.called.wait)

    assert "the sink blocked did not get the last 5 events" in caplog.text
    blocked.free.set()


def _line(seq: int, type: str) -> bytes:
    text = '{"seq":%d,"type":"%s","code":0,"execution_id":"e","graph_id":"g","ts":"","mono_ns":0,"data":{"later":1}}'
    return (text % (seq, type)).encode()


def _refuse(event: Envelope) -> None:
    raise ValueError("no")
