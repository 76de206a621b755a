"""Dialects without state: what each event and notice is told as."""

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st
from msgspec import Raw

from app.transports.cursor import Place, parse_place
from app.transports.dialects.frames import Frame
from app.transports.dialects.names import DIALECTS
from app.transports.dialects.reader import as_events
from graphwire.errors import InvalidCursor
from graphwire.events import types
from graphwire.events.encoding import encode_line, read_published
from graphwire.events.notices import StreamLagged, encode_notice
from graphwire.events.types import EventData
from tests.events.samples import EVENTS
from tests.events.test_encoding import make_outgoing

NODE = {"node_id": "price", "activation": "k3v9k3v9k3v9k3v9", "pass_number": 1}
LAGGED = StreamLagged(from_seq=1, to_seq=7, dropped=7)
TS = "2026-11-20T19:45:30.123456Z"


def told(dialect: str, event: EventData, **place: Any) -> list[dict[str, Any]]:
    line, whole = encode_line(make_outgoing(event, **place))
    return [json.loads(frame.line) for frame in DIALECTS[dialect]().frames(read_published(line, whole))]


def noticed(dialect: str) -> Any:
    line = encode_notice(LAGGED, execution_id="0199", wall_ns=0, after=7)
    frame = DIALECTS[dialect]().notice(line)
    assert frame is not None
    return json.loads(frame.line)


@pytest.mark.capability("EVT-08")
def test_bus_has_dotted_names_and_camel_case_around_the_data() -> None:
    completed = types.NodeCompleted(attempt=1, duration_ms=12.4, edges=["price>ship"], result=Raw(b'{"total":90}'))

    assert told("bus", completed, **NODE) == [
        {
            "type": "execution.node_completed",
            "executionId": "0199",
            "workflowId": "orders",
            "timestamp": TS,
            "sequence": 7,
            "data": {
                "node_id": "price",
                "activation": "k3v9k3v9k3v9k3v9",
                "pass": 1,
                "attempt": 1,
                "duration_ms": 12.4,
                "edges": ["price>ship"],
                "result": {"total": 90},
            },
        }
    ]


@pytest.mark.capability("EVT-08")
def test_bus_names_every_event_and_only_once() -> None:
    names = {event.type: told("bus", event)[0]["type"] for event, _ in EVENTS}

    assert names["execution_started"] == "execution.started"
    assert names["execution_cancelled"] == "execution.cancelled"
    assert names["execution_timeout"] == "execution.timeout"
    assert names["data_flow"] == "execution.data_flow"
    assert names["llm_chunk"] == "execution.llm_chunk"
    assert names["stream_end"] == "execution.stream_end"
    assert len(set(names.values())) == len(names)


def test_bus_gives_a_notice_the_place_of_its_reader() -> None:
    assert noticed("bus") == {
        "type": "execution.stream_lagged",
        "executionId": "0199",
        "timestamp": "1970-01-01T00:00:00.000000Z",
        "after": 7,
        "data": {"from_seq": 1, "to_seq": 7, "dropped": 7},
    }


@pytest.mark.capability("EVT-09")
def test_scoped_has_what_a_node_says_under_the_scope_that_it_chose() -> None:
    said = types.NodeMessage(scope="chat", message=Raw(b'"hello"'), metadata=Raw(b'{"mood":1}'))

    assert told("scoped", said, **NODE) == [
        {
            "type": "node",
            "scope": "chat",
            "message": "hello",
            "timestamp": TS,
            "metadata": {
                "event": "node_message",
                "seq": 7,
                "execution_id": "0199",
                "graph_id": "orders",
                "node_id": "price",
                "activation": "k3v9k3v9k3v9k3v9",
                "pass": 1,
                "metadata": {"mood": 1},
            },
        }
    ]


@pytest.mark.capability("EVT-09")
@pytest.mark.parametrize(
    ("event", "kind", "scope", "message"),
    [
        (types.LlmChunk(stream_id="s1", text="Hel", is_final=False), "llm", "s1", "Hel"),
        (types.NodeLog(level="info", message="fetched", fields=Raw(b"{}")), "node", "__log__", "fetched"),
        (types.NodeProgress(completed=3.0), "node", "__progress__", None),
        (
            types.Diagnostic(problem="slow_store", severity="warning", message="It takes long.", facts=Raw(b"{}")),
            "diagnostic",
            "__diagnostic__",
            "It takes long.",
        ),
        (types.JoinReleased(missing=["a>c"]), "diagnostic", "__diagnostic__", {"missing": ["a>c"]}),
        (
            types.ExecutionCancelled(reason="enough", duration_ms=3.0, steps=2),
            "diagnostic",
            "__invocation_end__",
            {"reason": "enough", "duration_ms": 3.0, "steps": 2},
        ),
        (
            types.StreamEnd(status="completed", total_events=9, duration_ms=3.0),
            "diagnostic",
            "__stream_end__",
            {"status": "completed", "total_events": 9, "duration_ms": 3.0},
        ),
    ],
    ids=lambda value: getattr(value, "type", None),
)
def test_scoped_tells_nodes_models_and_the_engine_apart(event: EventData, kind: str, scope: str, message: Any) -> None:
    (frame,) = told("scoped", event)

    assert (frame["type"], frame["scope"], frame["message"]) == (kind, scope, message)
    assert frame["metadata"]["event"] == event.type


def test_scoped_gives_a_notice_as_a_diagnostic() -> None:
    assert noticed("scoped") == {
        "type": "diagnostic",
        "scope": "__diagnostic__",
        "message": {"from_seq": 1, "to_seq": 7, "dropped": 7},
        "timestamp": "1970-01-01T00:00:00.000000Z",
        "metadata": {"event": "stream_lagged", "execution_id": "0199", "after": 7},
    }


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("event", [event for event, _ in EVENTS], ids=lambda event: event.type)
def test_what_is_too_large_for_a_line_stays_a_reference(dialect: str, event: EventData) -> None:
    line, _ = encode_line(make_outgoing(event, **NODE))
    reference = {"$ref": "/executions/0199/events/7", "bytes": 300_000}
    members = dict.fromkeys(json.loads(line)["data"], reference)
    referring = json.dumps({**json.loads(line), "data": members}).encode()

    frames = DIALECTS[dialect]().frames(read_published(referring))

    assert all(json.loads(frame.line) for frame in frames)


@given(count=st.integers(1, 5), named=st.booleans())
def test_a_client_that_resumes_behind_any_frame_gets_exactly_the_rest(count: int, named: bool) -> None:
    event = read_published(encode_line(make_outgoing(types.EventsDropped(count=1)))[0])
    frames = [Frame("name" if named else "", b'{"n":%d}' % number) for number in range(count)]

    blocks = [(each.frame or b"").decode() for each in as_events(event, frames)]

    ids = [block.split()[-1] for block in blocks]
    assert ids[-1] == "7"
    assert [parse_place(each, "3") for each in ids] == [
        *(Place(6, had, goes_on=True) for had in range(1, count)),
        Place(7, 0, goes_on=True),
    ]
    assert all(("event: name\n" in block) is named for block in blocks)


@pytest.mark.bad_input(64)
@pytest.mark.parametrize("text", ["7.", ".1", "7.0", "0.1", "7.1.1", "7.-1", "7.x", "x.1", "7," + "9" * 9_000])
def test_what_is_no_frame_is_no_place(text: str) -> None:
    with pytest.raises(InvalidCursor):
        parse_place(text, None)
    with pytest.raises(InvalidCursor):
        parse_place(None, "7.1")


def test_a_place_without_a_header_is_one_to_begin_at() -> None:
    assert parse_place(None, "7") == parse_place("", "7") == Place(7, 0, goes_on=False)
    assert parse_place(None, None) == Place(None, 0, goes_on=False)
