"""The published schema against what is sent."""

import json
from typing import Any

import jsonschema_rs
import pytest
from msgspec import Raw

from graphwire.events.encoding import encode_line
from graphwire.events.notices import Notice, encode_notice
from graphwire.events.schema import stream_schema
from graphwire.events.service_encoding import encode_data, service_event
from graphwire.events.service_types import ServiceEvent
from graphwire.events.types import EventData, NodeCompleted
from tests.events.samples import EVENTS, NOTICES, SERVICE_EVENTS
from tests.events.test_encoding import make_outgoing


def is_valid(line: bytes | dict[str, Any]) -> bool:
    instance = json.loads(line) if isinstance(line, bytes) else line
    return jsonschema_rs.validator_for(stream_schema()).is_valid(instance)


@pytest.mark.capability("EVT-01", "EVT-10")
@pytest.mark.parametrize("data", [data for data, _ in EVENTS], ids=lambda data: data.type)
def test_every_event_fits_the_schema(data: EventData) -> None:
    line, _ = encode_line(make_outgoing(data, node_id="price", activation="f" * 16, pass_number=1))

    assert is_valid(line)


@pytest.mark.parametrize("notice", [notice for notice, _, _ in NOTICES], ids=lambda notice: notice.type)
def test_every_notice_fits_the_schema(notice: Notice) -> None:
    assert is_valid(encode_notice(notice, execution_id="0199", wall_ns=0, after=0))


@pytest.mark.parametrize("data", [data for data, _ in SERVICE_EVENTS], ids=lambda data: data.topic)
def test_every_event_of_the_service_fits_the_schema(data: ServiceEvent) -> None:
    event = service_event(3, data.topic, execution_id="0199", graph_id="orders", at_us=0, data=encode_data(data))

    assert is_valid(event.line)
    assert not is_valid(event.line.replace(b'"data":', b'"other":'))


def test_a_reference_fits_the_schema_in_place_of_any_member() -> None:
    edges = ["x" * 100] * 5_000

    line, _ = encode_line(
        make_outgoing(NodeCompleted(attempt=1, duration_ms=1.0, edges=edges, result=Raw(b'"' + b"x" * 300_000 + b'"')))
    )

    assert is_valid(line)


@pytest.mark.parametrize("change", [{"code": 3}, {"seq": 0}, {"data": {}}, {"type": "node_dreamed"}])
def test_what_is_no_event_does_not_fit_the_schema(change: dict[str, Any]) -> None:
    line, _ = encode_line(make_outgoing(EVENTS[2][0]))

    assert not is_valid(json.loads(line) | change)
