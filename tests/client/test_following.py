import asyncio

import pytest
from hypothesis import given, strategies as st

from graphwire.client.choice import TransportChoice
from graphwire.client.connection import Position
from graphwire.client.errors import (
    ClientError,
    ConnectionFailed,
    GaveUp,
    ProblemError,
    StreamClosedError,
    UnexpectedAnswer,
)
from graphwire.events.encoding import Envelope
from tests.client.faking import AWAY, BROKEN, FakeService, Script, closed, event, heartbeat, history, read_all

PAGE = UnexpectedAnswer("a page of a proxy", status=403)

scripts = st.builds(
    Script,
    refusal=st.none() | st.sampled_from([AWAY, BROKEN, ProblemError("storage_unavailable", 503, "")]),
    reads=st.lists(st.integers(0, 5), max_size=6),
    repeats=st.integers(0, 3),
)


@pytest.mark.capability("CLN-03")
@given(scripts=st.lists(scripts, max_size=12), count=st.integers(1, 30), after=st.integers(0, 30))
async def test_nothing_is_lost_and_nothing_comes_twice_wherever_it_breaks(
    scripts: list[Script], count: int, after: int
) -> None:
    service = FakeService(history(count), scripts)
    following = service.follow(after=min(after, count - 1), attempts=None)

    assert await read_all(following) == list(range(min(after, count - 1) + 1, count + 1))
    assert following.cursor == count
    assert all(each.is_closed for each in service.connections)


@pytest.mark.capability("CLN-04")
async def test_a_stream_that_breaks_tells_what_it_does() -> None:
    service = FakeService(history(5), [Script(reads=[2]), Script(refusal=AWAY), Script(reads=[1])])

    assert await read_all(service.follow()) == [1, 2, 3, 4, 5]

    assert service.told == [
        "connecting", "live", "reconnecting", "reconnecting", "live", "reconnecting", "live", "ended",
    ]  # fmt: skip
    waits = [(status.attempt, status.delay_s) for status in service.statuses if status.name == "reconnecting"]
    assert waits == [(1, 0.5), (2, 1.0), (1, 0.5)]
    assert service.slept == [0.5, 1.0, 0.5]
    assert service.opened == [("sse", 0), ("sse", 2), ("sse", 2), ("sse", 3)]


@pytest.mark.capability("CLN-03", "CLN-04")
async def test_a_service_that_is_away_for_ever_is_given_up() -> None:
    service = FakeService(history(5), [Script(reads=[2]), *[Script(refusal=AWAY)] * 9])
    following = service.follow(attempts=3)

    assert await read_all(following) == [1, 2]

    assert service.told == ["connecting", "live", "reconnecting", "reconnecting", "reconnecting", "failed"]
    assert isinstance(following.error, GaveUp)
    assert (following.error.attempts, following.error.__cause__) == (3, AWAY)


@pytest.mark.parametrize(
    "refusal",
    [
        ProblemError("unauthorized", 401, ""),
        ProblemError("origin_not_allowed", 403, ""),
        ProblemError("not_found", 404, ""),
        ProblemError("invalid_cursor", 400, ""),
        PAGE,
    ],
    ids=str,
)
async def test_what_is_refused_for_good_is_not_asked_for_again(refusal: ClientError) -> None:
    service = FakeService(history(5), [Script(reads=[2]), Script(refusal=refusal)])
    following = service.follow()

    assert await read_all(following) == [1, 2]
    assert following.error is refusal
    assert len(service.opened) == 2


@pytest.mark.parametrize("code", ["deleted", "unauthorized", "history_damaged"])
async def test_a_stream_that_was_ended_for_good_is_not_resumed(code: str) -> None:
    service = FakeService(history(5), [Script(reads=[2], says=[closed(code, 0)])])
    following = service.follow()

    assert await read_all(following) == []
    assert isinstance(following.error, StreamClosedError)
    assert following.error.code == code
    assert len(service.opened) == 1


@pytest.mark.parametrize("code", ["shutting_down", "at_capacity", "too_slow", "storage_unavailable"])
async def test_a_stream_that_was_ended_for_now_is_resumed_when_the_service_wants_it(code: str) -> None:
    service = FakeService(history(5), [Script(says=[closed(code, 0, retry_ms=4_000)])])

    assert await read_all(service.follow()) == [1, 2, 3, 4, 5]
    assert service.slept == [4.5]


@pytest.mark.capability("POL-04")
async def test_transports_that_do_not_get_through_are_passed_over_at_once() -> None:
    service = FakeService(history(5), [Script(reads=[2])], blocked={"websocket": PAGE, "sse": PAGE})
    choice = TransportChoice(lambda: service.now)

    assert await read_all(service.follow(wanted="auto", choice=choice)) == [1, 2, 3, 4, 5]
    assert [transport for transport, _ in service.opened] == ["websocket", "sse", "poll", "poll"]
    assert service.slept == [0.5]
    assert service.told == ["connecting", "connecting", "connecting", "live", "reconnecting", "live", "ended"]

    service.opened.clear()
    await read_all(service.follow(wanted="auto", choice=choice))
    assert [transport for transport, _ in service.opened] == ["poll"]


@pytest.mark.capability("POL-04")
async def test_polling_moves_up_again_when_a_better_transport_gets_through() -> None:
    service = FakeService(history(9), [Script(reads=[1] * 9)], blocked={"websocket": PAGE, "sse": PAGE})
    following = service.follow(wanted="auto")
    await following.advance()  # WebSocket
    await following.advance()  # SSE
    await following.advance()  # poll
    await following.advance()
    service.blocked = {"websocket": PAGE}
    service.now += 61

    assert await read_all(following) == list(range(1, 10))
    assert service.opened[3:] == [("websocket", 1), ("sse", 1)]


async def test_connections_on_which_nothing_comes_say_that_the_transport_is_blocked() -> None:
    service = FakeService(history(3), [Script(reads=[]), Script(reads=[])])

    assert await read_all(service.follow(wanted="auto")) == [1, 2, 3]
    assert [transport for transport, _ in service.opened] == ["websocket", "websocket", "sse"]


async def test_a_stream_that_is_held_back_in_silence_is_left_at_once() -> None:
    silent = ConnectionFailed("silent", was_open=True, is_silent=True)
    service = FakeService(history(3), [Script(reads=[], breaks=silent)])

    assert await read_all(service.follow(wanted="auto")) == [1, 2, 3]
    assert [transport for transport, _ in service.opened] == ["websocket", "sse"]
    assert service.slept == []


async def test_a_service_that_is_away_is_no_fault_of_the_transport() -> None:
    service = FakeService(history(3), [Script(refusal=AWAY)] * 3)

    assert await read_all(service.follow(wanted="auto")) == [1, 2, 3]
    assert {transport for transport, _ in service.opened} == {"websocket"}


async def test_the_cursor_is_behind_what_was_handed_out_and_not_what_was_received() -> None:
    service = FakeService(history(5), [Script(says=[event(1), heartbeat(1), event(2), Position(4)])])
    following = service.follow()
    await following.advance()
    await following.advance()
    cursors = []

    while following.take() is not None:
        cursors.append(following.cursor)

    assert cursors == [1, 1, 2]
    assert following.cursor == 4


async def test_a_notice_moves_the_place_of_a_resume() -> None:
    service = FakeService(history(9), [Script(says=[heartbeat(6)], reads=[])])

    assert await read_all(service.follow()) == [7, 8, 9]
    assert service.opened == [("sse", 0), ("sse", 6)]


async def test_a_connection_that_lived_long_without_events_is_no_failed_attempt() -> None:
    service = FakeService(history(3), [Script(says=[heartbeat(0)], reads=[0]) for _ in range(9)])
    following = service.follow(attempts=2)

    numbers: list[int] = []
    while not following.is_over:
        await following.advance()
        service.now += 11
        while (item := following.take()) is not None:
            if isinstance(item, Envelope):
                numbers.append(item.seq)

    assert numbers == [1, 2, 3]


async def test_a_step_that_is_cancelled_gives_its_connection_up_and_loses_nothing() -> None:
    service = FakeService(history(3), [Script(reads=[1, 1])])
    following = service.follow()
    await following.advance()
    await following.advance()
    held = asyncio.Event()

    async def hold() -> None:
        held.set()
        await asyncio.Event().wait()

    service.connections[0].read = hold  # type: ignore[method-assign]  # a read that waits for ever
    step = asyncio.create_task(following.advance())
    await held.wait()
    step.cancel()
    with pytest.raises(asyncio.CancelledError):
        await step

    assert service.connections[0].is_closed
    assert await read_all(following) == [1, 2, 3]


async def test_readers_are_granted_what_they_have_taken() -> None:
    service = FakeService(history(6), [Script(reads=[2, 2, 2])])

    await read_all(service.follow())

    assert service.connections[0].handed_out == 4
