"""Numbers and times of events."""

import json
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st
from msgspec import Raw

from graphwire.clock import FakeClock
from graphwire.events.encoding import decode_line
from graphwire.events.hub import Hub
from graphwire.events.log import EventLog
from graphwire.events.timestamps import format_timestamp
from graphwire.events.types import NodeEntered, NodeLog, NodeMessage, NodeStarted, StreamEnd
from graphwire.types import ExecutionId, GraphId

NOON_NS = 1_795_262_400_000_000_000  # 2026-11-21T12:00:00Z


class TwoClocks:
    """Wall and monotonic time apart from each other."""

    def __init__(self, wall_ns: int = NOON_NS, mono_ns: int = 5_000) -> None:
        self.wall, self.mono = wall_ns, mono_ns

    def wall_ns(self) -> int:
        return self.wall

    def mono_ns(self) -> int:
        return self.mono


def make_log(clock: FakeClock | TwoClocks | None = None, hub: Hub | None = None, **options: Any) -> EventLog:
    return EventLog(ExecutionId("0199"), GraphId("orders"), clock or TwoClocks(), hub or Hub(), **options)


def line_of(log: EventLog, seq: int) -> bytes:
    event = log.hub.get(seq)
    assert event is not None
    return event.line


def test_an_event_gets_the_next_number_and_the_times_of_the_clock() -> None:
    clock = TwoClocks()
    log = make_log(clock)
    clock.wall += 42_000
    clock.mono += 77

    seq = log.append(NodeStarted(node_type="noop", attempt=1), node_id="a", activation="f" * 16, pass_number=1)

    assert seq == 1
    assert line_of(log, 1) == (
        b'{"seq":1,"type":"node_started","code":1,"execution_id":"0199","graph_id":"orders","node_id":"a",'
        b'"activation":"ffffffffffffffff","pass":1,"ts":"2026-11-21T12:00:00.000042Z","mono_ns":77,'
        b'"data":{"node_type":"noop","attempt":1}}'
    )


def test_what_was_given_stands_in_the_hub_beside_the_line() -> None:
    log = make_log()

    log.append(StreamEnd(status="completed", total_events=1, duration_ms=1.0))
    log.hub.mark_stored(1)

    event = log.hub.get(1)
    assert event is not None
    assert (event.type, event.node_id, event.is_barrier) == ("stream_end", None, True)


def test_microseconds_have_six_digits_and_what_is_below_is_cut_off() -> None:
    clock = TwoClocks()
    log = make_log(clock)

    for step_ns in (0, 999_999_999, 1):
        clock.wall += step_ns
        log.append(NodeEntered())

    assert [json.loads(line_of(log, seq))["ts"] for seq in (1, 2, 3)] == [
        "2026-11-21T12:00:00.000000Z",
        "2026-11-21T12:00:00.999999Z",
        "2026-11-21T12:00:01.000000Z",
    ]


@given(
    steps=st.lists(st.sampled_from([0, 1, 999, 1_000, 999_999, 1_000_000, 999_999_999, 10**9, 61 * 10**9, 123_456_789]))
)
@settings(deadline=None, max_examples=60)
def test_each_event_has_the_time_of_the_wall_clock_to_the_microsecond(steps: list[int]) -> None:
    clock = TwoClocks()
    log = make_log(clock)

    for step in steps:
        clock.wall += step
        seq = log.append(NodeEntered())
        assert decode_line(line_of(log, seq)).ts == format_timestamp(clock.wall)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", b'"plain"'),
        ("\ud800", '"\ufffd"'.encode()),
        ("a\u2028b", b'"a\\u2028b"'),
        ("ä", '"ä"'.encode()),
    ],
)
def test_a_text_of_any_kind_stands_on_one_line(text: str, shown: bytes) -> None:
    log = make_log()

    log.append(NodeMessage(scope=text, message=Raw(b"[1,\n2]"), metadata=Raw(b"{\r}")), node_id="a")

    assert b'"data":{"scope":' + shown + b',"message":[1, 2],"metadata":{ }}' in line_of(log, 1)


def test_ts_never_goes_back_though_the_wall_clock_does() -> None:
    clock = TwoClocks()
    log = make_log(clock)

    for step_ns in (0, 1_500_000_000, -60_000_000_000, 60_000_000_000, 1_000_000_000):
        clock.wall += step_ns
        log.append(NodeEntered())

    stamps = [decode_line(line_of(log, seq)).ts for seq in range(1, 6)]
    assert stamps == sorted(stamps)
    assert stamps[1] == stamps[2] == stamps[3] == "2026-11-21T12:00:01.500000Z"


def test_the_correlation_id_and_the_path_are_in_the_event() -> None:
    log = make_log(correlation_id="c-1")

    log.append(NodeEntered(), node_id="a", path=[{"node": "each", "activation": "e" * 16, "index": 0}])

    envelope = decode_line(line_of(log, 1))
    assert envelope.correlation_id == "c-1"
    assert envelope.path == [{"node": "each", "activation": "e" * 16, "index": 0}]


@pytest.mark.bad_input(69)
def test_a_large_event_is_published_with_its_whole() -> None:
    log = make_log()

    log.append(NodeMessage(scope="s", message=Raw(b'"' + b"x" * 300_000 + b'"'), metadata=Raw(b"{}")))

    event = log.hub.get(1)
    assert event is not None
    assert event.whole is not None
    assert len(event.line) < 1_000 < 300_000 < len(event.whole)


def test_an_event_that_cannot_be_encoded_takes_no_number() -> None:
    log = make_log()

    with pytest.raises(TypeError):
        log.append(NodeLog(level="info", message="m", fields=object()))  # type: ignore[arg-type]  # what is tested
    seq = log.append(NodeEntered())

    assert seq == 1


def test_nothing_follows_the_sentinel() -> None:
    log = make_log()
    log.append(StreamEnd(status="completed", total_events=1, duration_ms=1.0))

    with pytest.raises(ValueError, match="nothing"):
        log.append(NodeEntered())


def test_times_go_on_after_a_restart_and_the_idle_time_counts() -> None:
    before = TwoClocks()
    first = make_log(before)
    before.wall += 2_000_000_000
    before.mono += 2_000_000_000
    first.append(NodeEntered())
    after = TwoClocks(wall_ns=before.wall + 30_000_000_000, mono_ns=9)

    resumed = make_log(after, Hub(first_seq=65_538), last_line=line_of(first, 1), events_before=1)
    after.mono += 5
    seq = resumed.append(NodeEntered())

    envelope = decode_line(line_of(resumed, seq))
    assert (seq, envelope.mono_ns, envelope.ts) == (65_538, 32_000_000_005, "2026-11-21T12:00:32.000000Z")
    assert resumed.count == 2


def test_times_do_not_go_back_where_the_next_process_has_an_earlier_clock() -> None:
    before = TwoClocks()
    first = make_log(before)
    before.mono += 2_000_000_000
    first.append(NodeEntered())
    after = TwoClocks(wall_ns=before.wall - 3_600_000_000_000, mono_ns=9)

    resumed = make_log(after, Hub(first_seq=65_538), last_line=line_of(first, 1))
    seq = resumed.append(NodeEntered())

    envelope = decode_line(line_of(resumed, seq))
    assert (envelope.mono_ns, envelope.ts) == (2_000_000_000, "2026-11-21T12:00:00.000000Z")


def test_a_log_tells_its_next_number_its_count_and_how_long_it_has_been_going() -> None:
    clock = FakeClock()
    log = make_log(clock)

    log.append(NodeEntered())
    clock.advance(1.5)

    assert (log.next_seq, log.count, log.elapsed_ns()) == (2, 1, 1_500_000_000)
