"""The line of an event: golden envelopes, references, and characters that end lines elsewhere."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings, strategies as st
from msgspec import UNSET, Raw

from graphwire.events.encoding import (
    MAX_LINE_BYTES,
    Outgoing,
    decode_head,
    decode_line,
    encode_line,
    read_published,
)
from graphwire.events.types import EVENTS_BY_TYPE, DataFlow, EventData, LlmChunk, NodeCompleted, NodeLog, NodeMessage
from tests.events.samples import EVENTS


def make_outgoing(data: EventData, **fields: Any) -> Outgoing:
    values: dict[str, Any] = {
        "seq": 7,
        "type": data.type,
        "code": data.code,
        "execution_id": "0199",
        "graph_id": "orders",
        "node_id": UNSET,
        "activation": UNSET,
        "pass_number": UNSET,
        "path": UNSET,
        "correlation_id": UNSET,
        "ts": "2026-11-20T19:45:30.123456Z",
        "mono_ns": 48123456789,
        "data": data,
    }
    return Outgoing(**(values | fields))


def make_completed(result: bytes) -> NodeCompleted:
    return NodeCompleted(attempt=1, duration_ms=12.4, edges=["price>ship"], result=Raw(result))


def member(result: bytes | str) -> NodeMessage:
    text = result if isinstance(result, str) else result.decode()
    return NodeMessage(scope="s", message=Raw(json.dumps(text, ensure_ascii=False).encode()), metadata=Raw(b"{}"))


def test_the_envelope_of_a_node_has_the_members_of_the_protocol_in_their_order() -> None:
    outgoing = make_outgoing(
        make_completed(b'{"total":90}'), node_id="price", activation="k3v9k3v9k3v9k3v9", pass_number=1
    )

    line, whole = encode_line(outgoing)

    assert line == (
        b'{"seq":7,"type":"node_completed","code":2,"execution_id":"0199","graph_id":"orders","node_id":"price",'
        b'"activation":"k3v9k3v9k3v9k3v9","pass":1,"ts":"2026-11-20T19:45:30.123456Z","mono_ns":48123456789,'
        b'"data":{"attempt":1,"duration_ms":12.4,"edges":["price>ship"],"result":{"total":90}}}'
    )
    assert whole is None


def test_path_and_correlation_id_stand_before_the_times() -> None:
    path = [{"node": "each", "activation": "k3v9k3v9k3v9k3v9", "index": 2}]

    line, _ = encode_line(make_outgoing(member("m"), node_id="price", path=path, correlation_id="c-1"))

    assert line == (
        b'{"seq":7,"type":"node_message","code":34,"execution_id":"0199","graph_id":"orders","node_id":"price",'
        b'"path":[{"node":"each","activation":"k3v9k3v9k3v9k3v9","index":2}],"correlation_id":"c-1",'
        b'"ts":"2026-11-20T19:45:30.123456Z","mono_ns":48123456789,'
        b'"data":{"scope":"s","message":"m","metadata":{}}}'
    )


@pytest.mark.capability("EVT-06")
@pytest.mark.parametrize(("data", "golden"), EVENTS, ids=[data.type for data, _ in EVENTS])
def test_every_event_is_encoded_as_it_is_written_out(data: EventData, golden: str) -> None:
    line, _ = encode_line(make_outgoing(data))

    assert line.decode() == (
        f'{{"seq":7,"type":"{data.type}","code":{data.code},"execution_id":"0199","graph_id":"orders",'
        f'"ts":"2026-11-20T19:45:30.123456Z","mono_ns":48123456789,"data":{golden}}}'
    )


@pytest.mark.capability("EVT-15")
@pytest.mark.parametrize("data", [data for data, _ in EVENTS], ids=lambda data: data.type)
def test_every_event_is_read_back_as_its_class(data: EventData) -> None:
    line, _ = encode_line(make_outgoing(data, node_id="price"))

    envelope = decode_line(line)

    assert type(envelope.data) is type(data)
    assert msgspec.json.encode(envelope.data) == msgspec.json.encode(data)
    assert (envelope.seq, envelope.type, envelope.node_id, envelope.activation) == (7, data.type, "price", None)


def test_there_is_a_sample_of_every_event() -> None:
    assert [data.type for data, _ in EVENTS] == list(EVENTS_BY_TYPE)


@pytest.mark.capability("EVT-11")
def test_an_unknown_type_is_read_as_a_plain_object() -> None:
    line = (
        b'{"seq":1,"type":"node_dreamed","code":99,"execution_id":"e","graph_id":"g","new":[1],'
        b'"ts":"2026-11-20T19:45:30.123456Z","mono_ns":0,"data":{"of":"sheep"}}'
    )

    envelope = decode_line(line)

    assert (envelope.type, envelope.data) == ("node_dreamed", {"of": "sheep"})


@pytest.mark.capability("EVT-11")
def test_an_unknown_field_of_a_known_type_is_ignored() -> None:
    line = (
        b'{"seq":1,"type":"data_flow","code":24,"execution_id":"e","graph_id":"g",'
        b'"ts":"2026-11-20T19:45:30.123456Z","mono_ns":0,"data":{"edge":"a>b","bytes":3,"colour":"red"}}'
    )

    assert decode_line(line).data == DataFlow(edge="a>b", bytes=3)


def test_what_is_no_event_is_not_read_as_one() -> None:
    with pytest.raises(msgspec.ValidationError):
        decode_line(b'{"type":"heartbeat","code":20}')


def test_the_head_of_a_line_is_read_without_its_data() -> None:
    of_node, _ = encode_line(make_outgoing(member("m"), node_id="price"))
    of_execution, _ = encode_line(make_outgoing(EVENTS[0][0]))

    assert decode_head(of_node) == (7, "node_message", "price")
    assert decode_head(of_execution) == (7, "execution_started", None)


def test_a_stored_line_is_shared_in_the_form_in_which_it_was_published() -> None:
    line, _ = encode_line(make_outgoing(EVENTS[0][0]))

    published = read_published(line)

    assert (published.seq, published.type, published.node_id) == (7, "execution_started", None)
    assert (published.line, published.is_barrier) == (line, True)


@pytest.mark.bad_input(68)
@pytest.mark.parametrize(
    ("character", "escaped"),
    [
        ("\n", rb"\n"),
        ("\r", rb"\r"),
        ("\u2028", rb"\u2028"),
        ("\u2029", rb"\u2029"),
        ("\x85", rb"\u0085"),
        ("\x0b", rb"\u000b"),
        ("\x0c", rb"\f"),
        ("\x1c", rb"\u001c"),
    ],
)
def test_what_ends_a_line_somewhere_is_escaped(character: str, escaped: bytes) -> None:
    data = LlmChunk(stream_id="s", text=f"a{character}b", is_final=True)

    line, _ = encode_line(make_outgoing(data))

    assert b'"a' + escaped + b'b"' in line
    assert len(line.decode().splitlines()) == 1
    assert decode_line(line).data == data


@pytest.mark.bad_input(68)
def test_line_ends_inside_of_raw_members_do_not_reach_the_line() -> None:
    raw = '{"a":\r\n "x\u2028y\x85z",\n"b": 1}'.encode()

    line, _ = encode_line(make_outgoing(make_completed(raw)))

    assert rb'"result":{"a":   "x\u2028y\u0085z", "b": 1}' in line
    assert json.loads(line)["data"]["result"] == {"a": "x\u2028y\x85z", "b": 1}


@pytest.mark.bad_input(68)
@settings(deadline=None, max_examples=100)
@given(text=st.text(st.characters(codec="utf-8")))
def test_any_text_is_one_line_of_text_and_comes_back(text: str) -> None:
    data = NodeLog(level="info", message=text, fields=Raw(json.dumps([text], ensure_ascii=False).encode()))

    line, _ = encode_line(make_outgoing(data))

    assert len(line.decode().splitlines()) == 1
    assert json.loads(line)["data"] == {"level": "info", "message": text, "fields": [text]}


@pytest.mark.bad_input(68)
def test_200_kib_of_text_are_one_line_and_whole() -> None:
    text = "line\n" * 40_960

    line, whole = encode_line(make_outgoing(member(text)))

    assert whole is None
    assert b"\n" not in line
    assert json.loads(line)["data"]["message"] == text


def test_a_lone_surrogate_is_replaced_and_a_pair_of_them_joined() -> None:
    data = LlmChunk(stream_id="\ud800", text="\ud83d\ude00", is_final=True)

    line, _ = encode_line(make_outgoing(data))

    assert decode_line(line).data == LlmChunk(stream_id="\ufffd", text="\U0001f600", is_final=True)


@pytest.mark.bad_input(69)
@pytest.mark.capability("EVT-18")
def test_a_large_member_is_replaced_by_a_reference_and_the_whole_is_kept() -> None:
    result = b'"' + b"x" * 300_000 + b'"'

    line, whole = encode_line(make_outgoing(make_completed(result), node_id="price"))

    assert line == (
        b'{"seq":7,"type":"node_completed","code":2,"execution_id":"0199","graph_id":"orders","node_id":"price",'
        b'"ts":"2026-11-20T19:45:30.123456Z","mono_ns":48123456789,"data":{"attempt":1,"duration_ms":12.4,'
        b'"edges":["price>ship"],"result":{"$ref":"/executions/0199/events/7","bytes":300002}}}'
    )
    assert whole is not None
    completed = decode_line(whole).data
    assert isinstance(completed, NodeCompleted)
    assert bytes(completed.result) == result


@pytest.mark.bad_input(69)
@pytest.mark.parametrize("excess", [-1, 0, 1])
def test_a_line_stays_under_the_limit_to_the_byte(excess: int) -> None:
    empty, _ = encode_line(make_outgoing(member("")))

    line, whole = encode_line(make_outgoing(member("x" * (MAX_LINE_BYTES - len(empty) + excess))))

    assert len(line) < MAX_LINE_BYTES
    assert (whole is None) == (excess < 0)
    assert len(whole or line) == MAX_LINE_BYTES + excess


@pytest.mark.bad_input(69)
def test_members_are_replaced_largest_first_and_only_as_many_as_must_be() -> None:
    message, metadata = b'"' + b"m" * 150_000 + b'"', b'"' + b"d" * 200_000 + b'"'

    line, _ = encode_line(make_outgoing(NodeMessage(scope="s", message=Raw(message), metadata=Raw(metadata))))

    assert json.loads(line)["data"] == {
        "scope": "s",
        "message": "m" * 150_000,
        "metadata": {"$ref": "/executions/0199/events/7", "bytes": 200_002},
    }


@pytest.mark.bad_input(69)
def test_several_members_are_replaced_where_one_is_not_enough() -> None:
    large = Raw(b'"' + b"x" * 300_000 + b'"')

    line, whole = encode_line(make_outgoing(NodeMessage(scope="s", message=large, metadata=large)))

    reference = {"$ref": "/executions/0199/events/7", "bytes": 300_002}
    assert json.loads(line)["data"] == {"scope": "s", "message": reference, "metadata": reference}
    assert whole is not None
    assert len(whole) > 600_000


@pytest.mark.bad_input(69)
def test_an_event_whose_shape_a_reference_breaks_is_read_as_a_plain_object() -> None:
    edges = [f"node>{'x' * 60}{n}" for n in range(5_000)]
    data = NodeCompleted(attempt=1, duration_ms=1.0, edges=edges, result=Raw(b"{}"))

    line, whole = encode_line(make_outgoing(data))

    envelope = decode_line(line)
    assert isinstance(envelope.data, dict)
    assert envelope.data["edges"]["$ref"] == "/executions/0199/events/7"
    assert whole is not None
    assert isinstance(decode_line(whole).data, NodeCompleted)


@pytest.mark.bad_input(68, 69)
def test_escaping_counts_for_the_length_of_a_line() -> None:
    text = "\u2028" * 70_000  # 210,000 bytes of UTF-8, 420,000 escaped

    line, whole = encode_line(make_outgoing(member(text)))

    assert json.loads(line)["data"]["message"] == {"$ref": "/executions/0199/events/7", "bytes": 420_002}
    assert whole is not None
    assert json.loads(whole)["data"]["message"] == text
