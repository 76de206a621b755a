"""The events of the service as a whole: their lines, and the topics that they are filtered by."""

import json
from typing import get_args

import pytest
from hypothesis import given, strategies as st

from graphwire.errors import InvalidInput
from graphwire.events.service_encoding import encode_data, service_event
from graphwire.events.service_types import (
    SERVICE_EVENTS_BY_TOPIC,
    ServiceEvent,
    ServiceEventData,
    SystemDiagnostic,
    cut,
)
from graphwire.events.topics import parse_topics
from tests.events.samples import SERVICE_EVENTS


@pytest.mark.parametrize(("data", "text"), SERVICE_EVENTS, ids=[data.topic for data, _ in SERVICE_EVENTS])
def test_an_event_is_the_envelope_around_its_data(data: ServiceEvent, text: str) -> None:
    event = service_event(
        7, data.topic, execution_id="0199", graph_id="orders", at_us=1_763_753_130_123_456, data=encode_data(data)
    )

    assert event.line.decode() == (
        f'{{"seq":7,"type":"{data.topic}","code":{data.code},"topic":"{data.topic}","execution_id":"0199",'
        f'"graph_id":"orders","ts":"2025-11-21T19:25:30.123456Z","data":{text}}}'
    )


def test_there_is_a_sample_of_every_event_and_the_union_leaves_none_out() -> None:
    assert [type(data) for data, _ in SERVICE_EVENTS] == list(get_args(ServiceEvent))
    assert set(get_args(ServiceEvent)) == set(ServiceEventData.__subclasses__())


def test_what_does_not_apply_is_absent() -> None:
    event = service_event(1, "system.shutdown", execution_id=None, graph_id=None, at_us=0, data=b"{}")

    assert json.loads(event.line).keys() == {"seq", "type", "code", "topic", "ts", "data"}


def test_a_topic_of_a_later_version_is_told_without_a_code() -> None:
    event = service_event(1, "queue.moved", execution_id=None, graph_id=None, at_us=0, data=b"{}")

    assert "code" not in json.loads(event.line)
    assert event.type == "queue.moved"


@pytest.mark.parametrize("text", ["a\u2028b\u2029c\u0085d\ne\rf", "\ud800", "\0", "é" * 3_000])
def test_a_text_of_any_kind_stands_on_one_line(text: str) -> None:
    data = encode_data(SystemDiagnostic(problem="odd", severity="info", message=cut(text)))

    line = service_event(1, "system.diagnostic", execution_id=None, graph_id=None, at_us=0, data=data).line

    assert len(line.decode().splitlines()) == 1
    message = json.loads(line)["data"]["message"]
    assert message == ("\ufffd" if text == "\ud800" else text if len(text) < 1_000 else "é" * 999 + "…")


@pytest.mark.parametrize(
    ("patterns", "topics"),
    [
        (["graph.created"], {"graph.created"}),
        (["graph.*"], {"graph.created", "graph.updated", "graph.deleted"}),
        (["*.deleted", "system.s*"], {"graph.deleted", "execution.deleted", "system.startup", "system.shutdown"}),
        (["graph.created, *.failed", ""], {"graph.created", "execution.failed"}),
    ],
)
def test_patterns_name_topics(patterns: list[str], topics: set[str]) -> None:
    filter = parse_topics(patterns)

    assert filter is not None
    assert {topic for topic in SERVICE_EVENTS_BY_TOPIC if filter.passes(topic, None)} == topics


@pytest.mark.parametrize("patterns", [[], [""], ["*"], ["graph.*", "execution.*", "system.*"]])
def test_patterns_that_leave_nothing_out_are_no_filter(patterns: list[str]) -> None:
    assert parse_topics(patterns) is None


def test_all_patterns_that_match_no_topic_are_named() -> None:
    with pytest.raises(InvalidInput) as raised:
        parse_topics(["graph.*,graph.create", "Execution.*", "system.startu?", "[g]raph.*"])

    assert [(each.pointer, each.code) for each in raised.value.problems] == [
        (f"/query/topics/{index}", "unknown_topic") for index in (1, 2, 3, 4)
    ]
    assert "graph.created" in raised.value.problems[0].detail


def test_patterns_are_bounded() -> None:
    with pytest.raises(InvalidInput):
        parse_topics(["*"] * 101)
    with pytest.raises(InvalidInput):
        parse_topics(["*g" * 2_000])


@given(st.lists(st.text(alphabet="*.aegrphx", max_size=12), max_size=4))
def test_a_pattern_is_refused_or_matches(patterns: list[str]) -> None:
    try:
        filter = parse_topics(patterns)
    except InvalidInput:
        return
    assert filter is None or filter.types
