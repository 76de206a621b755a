"""What AG-UI is told of single events, where a run of a graph does not show it."""

import json
from typing import Any

import pytest
from msgspec import Raw

from app.transports.dialects.ag_ui import AgUi
from graphwire.events import types
from graphwire.events.encoding import encode_line, read_published
from graphwire.events.notices import Heartbeat, Notice, StreamClosed, encode_notice
from graphwire.events.types import EventData
from tests.events.test_encoding import make_outgoing
from tests.transports.stories import message

STARTED = types.NodeStarted(node_type="function", attempt=1)
COMPLETED = types.NodeCompleted(attempt=1, duration_ms=1.0, edges=[], result=Raw(b"null"))
RETRIED = types.NodeFailed(
    attempt=1,
    duration_ms=1.0,
    error=types.Failure(code="exception", type="ValueError", message="no luck"),
    will_retry=True,
    edges=[],
)
ENDED = types.StreamEnd(status="completed", total_events=3, duration_ms=1.0)


class Run:
    """A run that has started, and what is told of it."""

    def __init__(self) -> None:
        self.dialect = AgUi(None)
        self._seq = 0
        self.tell(types.ExecutionStarted(entry=["a"], seed=7, options=Raw(b"{}")))

    def tell(self, event: EventData, *, is_hidden: bool = False, **place: Any) -> list[dict[str, Any]]:
        """Return the frames of the next event, without what each has."""
        self._seq += 1
        line, whole = encode_line(make_outgoing(event, **{"seq": self._seq, **place}))
        told = [
            json.loads(frame.line) for frame in self.dialect.frames(read_published(line, whole), is_hidden=is_hidden)
        ]
        assert all("rawEvent" not in each for each in told[:-1])
        return [{name: value for name, value in each.items() if name not in ("timestamp", "rawEvent")} for each in told]

    def kinds(self, event: EventData, **place: Any) -> list[str]:
        return [each["type"] for each in self.tell(event, **place)]


def at(activation: str, node: str = "price", **more: Any) -> dict[str, Any]:
    return {"node_id": node, "activation": activation, "pass_number": 1, **more}


def chunk(text: str, *, final: bool = False, stream_id: str = "s") -> types.LlmChunk:
    return types.LlmChunk(stream_id=stream_id, text=text, is_final=final)


def test_steps_that_are_open_at_once_have_names_of_their_own() -> None:
    run = Run()
    item = [{"node": "each", "activation": "e", "index": 2}]

    names = [
        run.tell(STARTED, **at("a"))[0]["stepName"],
        run.tell(STARTED, **at("b", pass_number=3))[0]["stepName"],
        run.tell(STARTED, **at("c", path=item))[0]["stepName"],
        run.tell(STARTED, **at("d", path=item))[0]["stepName"],
    ]
    run.tell(COMPLETED, **at("c", path=item))

    assert names == ["price", "price#3", "each[2]/price", "each[2]/price@d"]
    assert run.tell(COMPLETED, **at("d", path=item)) == [{"type": "STEP_FINISHED", "stepName": "each[2]/price@d"}]
    assert run.tell(STARTED, **at("f", path=item))[0]["stepName"] == "each[2]/price"


def test_an_attempt_that_is_followed_by_another_ends_what_is_open_but_not_the_step() -> None:
    run = Run()

    assert run.kinds(STARTED, **at("a")) == ["STEP_STARTED"]
    assert run.kinds(chunk("Hel"), **at("a")) == ["TEXT_MESSAGE_START", "TEXT_MESSAGE_CONTENT"]
    assert run.kinds(RETRIED, **at("a")) == ["TEXT_MESSAGE_END", "RAW"]
    assert run.kinds(STARTED, **at("a")) == []
    assert run.kinds(chunk("Hello"), **at("a")) == ["TEXT_MESSAGE_START", "TEXT_MESSAGE_CONTENT"]
    assert run.kinds(COMPLETED, **at("a")) == ["TEXT_MESSAGE_END", "STEP_FINISHED"]


def test_messages_are_told_apart_by_activation_stream_and_the_last_piece() -> None:
    run = Run()

    ids = [
        run.tell(chunk("a"), **at("a"))[0]["messageId"],
        run.tell(chunk("b", stream_id="t"), **at("a"))[0]["messageId"],
        run.tell(chunk("c"), **at("b"))[0]["messageId"],
        run.tell(chunk("d", final=True), **at("a"))[0]["messageId"],
        run.tell(chunk("e"), **at("a"))[0]["messageId"],
    ]

    assert ids == ["0199:2", "0199:3", "0199:4", "0199:2", "0199:6"]


def test_an_empty_piece_is_no_content() -> None:
    run = Run()

    assert run.kinds(chunk(""), **at("a")) == []
    assert run.kinds(chunk("", final=True), **at("a")) == []
    assert run.kinds(chunk("x"), **at("a")) == ["TEXT_MESSAGE_START", "TEXT_MESSAGE_CONTENT"]
    assert run.kinds(chunk("", final=True), **at("a")) == ["TEXT_MESSAGE_END"]


def test_a_piece_that_is_too_large_for_a_line_is_told_as_it_is() -> None:
    (frame,) = Run().tell(chunk("x" * 300_000), **at("a"))

    assert frame["type"] == "RAW"
    assert frame["event"]["data"]["text"]["$ref"] == "/executions/0199/events/2"


@pytest.mark.parametrize(
    ("scope", "said"),
    [
        ("tool_call_start", {"id": "c1"}),
        ("tool_call_start", {"id": 1, "name": "search"}),
        ("tool_call_start", {"id": "open", "name": "again"}),
        ("tool_call_start", "search"),
        ("tool_call_args", {"id": "c1", "delta": "{}"}),
        ("tool_call_args", {"id": "open", "delta": {}}),
        ("tool_call_end", {"id": "c1"}),
        ("tool_call_result", {"id": "c1"}),
        ("tool_call_else", {"id": "open"}),
    ],
)
def test_what_is_no_part_of_a_tool_call_is_a_message_like_any_other(scope: str, said: Any) -> None:
    run = Run()
    run.tell(message("tool_call_start", {"id": "open", "name": "search"}), **at("a"))

    assert run.tell(message(scope, said), **at("a")) == [{"type": "CUSTOM", "name": scope, "value": said}]


def test_a_call_that_a_node_leaves_open_ends_with_it() -> None:
    run = Run()
    run.tell(message("tool_call_start", {"id": "c1", "name": "search"}), **at("a"))

    assert run.kinds(COMPLETED, **at("b")) == []
    assert run.tell(COMPLETED, **at("a")) == [{"type": "TOOL_CALL_END", "toolCallId": "c1"}]


def test_what_a_node_adds_to_a_message_is_its_metadata() -> None:
    said = types.NodeMessage(scope="mood", message=Raw(b"1"), metadata=Raw(b'{"by":"me"}'))

    assert Run().tell(said, **at("a")) == [{"type": "CUSTOM", "name": "mood", "value": 1, "metadata": {"by": "me"}}]


@pytest.mark.parametrize(
    ("reason", "shown"), [("enough", "cancelled: enough"), (None, "cancelled")], ids=["reason", "none"]
)
def test_a_run_that_was_cancelled_is_an_error(reason: str | None, shown: str) -> None:
    run = Run()
    run.tell(types.ExecutionCancelled(reason=reason, duration_ms=1.0, steps=1))

    ended = run.tell(types.StreamEnd(status="cancelled", total_events=3, duration_ms=1.0))

    assert ended == [{"type": "RUN_ERROR", "message": shown, "code": "cancelled"}]


def test_what_was_not_told_to_be_open_is_not_told_to_end() -> None:
    run = Run()

    assert run.tell(STARTED, is_hidden=True, **at("a")) == []
    assert run.tell(chunk("x"), is_hidden=True, **at("a")) == []
    assert run.tell(COMPLETED, **at("a")) == []
    assert run.kinds(STARTED, **at("b")) == ["STEP_STARTED"]
    assert [each["type"] for each in run.tell(COMPLETED, is_hidden=True, **at("b"))] == ["STEP_FINISHED"]


@pytest.mark.parametrize(
    ("notice", "told"),
    [
        (Heartbeat(), None),
        (
            StreamClosed(reason="shutting_down", detail="later"),
            {"type": "RUN_ERROR", "message": "later", "code": "shutting_down", "timestamp": 0},
        ),
    ],
    ids=["heartbeat", "stream_closed"],
)
def test_before_a_run_has_started_only_its_end_can_be_told(notice: Notice, told: Any) -> None:
    frame = AgUi(None).notice(encode_notice(notice, execution_id="0199", wall_ns=0, after=None))

    assert told == (None if frame is None else json.loads(frame.line))


def final(state: bytes) -> types.ExecutionCompleted:
    return types.ExecutionCompleted(outcome="success", duration_ms=1.0, steps=1, state=Raw(state))


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (b'{"pages":12}', [{"pages": 12}]),
        (b'{"$ref":"a"}', [{"$ref": "a"}]),
        (b'{"$ref":"a","bytes":3,"x":1}', [{"$ref": "a", "bytes": 3, "x": 1}]),
        (b'{"x":"' + b"x" * 300_000 + b'"}', []),
        (b"[1]", []),
        (b"3", []),
        (b"null", []),
    ],
    ids=["object", "key $ref", "keys $ref and bytes", "too large", "list", "number", "null"],
)
def test_a_final_state_that_was_reported_is_told_as_far_as_it_is_one(state: bytes, told: list[Any]) -> None:
    run = Run()

    assert [each["snapshot"] for each in run.tell(final(state))] == told
    assert run.kinds(ENDED) == ["RUN_FINISHED"]


@pytest.mark.parametrize(("status", "last"), [("completed", "RUN_FINISHED"), ("failed", "RUN_ERROR")])
def test_what_is_open_at_the_end_of_a_run_is_closed_before_it(status: Any, last: str) -> None:
    run = Run()
    run.tell(STARTED, **at("a"))
    run.tell(RETRIED, **at("a"))
    run.tell(STARTED, **at("b", "check"))
    run.tell(chunk("x"), **at("b", "check"))
    run.tell(message("tool_call_start", {"id": "c1", "name": "search"}), **at("b", "check"))

    told = run.tell(types.StreamEnd(status=status, total_events=7, duration_ms=1.0))

    assert [(each["type"], each.get("stepName")) for each in told] == [
        ("TEXT_MESSAGE_END", None),
        ("TOOL_CALL_END", None),
        ("STEP_FINISHED", "price"),
        ("STEP_FINISHED", "check"),
        (last, None),
    ]
    assert run.dialect.joining()[1:] == []
