"""The published schemas of dialects against every sample that there is."""

import json
from typing import Any

import jsonschema_rs
import pytest
from msgspec import Raw

from app.transports.dialects.frames import Frame
from app.transports.dialects.names import DIALECTS, FOLDING
from app.transports.dialects.schemas import streams_schema
from graphwire.events import types
from graphwire.events.encoding import encode_line, read_published
from graphwire.events.notices import encode_notice
from tests.events.samples import EVENTS, NOTICES
from tests.events.test_encoding import make_outgoing
from tests.transports.stories import ALL, FAILS, GOES_ON, told

NODE = {"node_id": "price", "activation": "f" * 16, "pass_number": 1}
ADDRESS = "http://127.0.0.1/schemas/events"
STARTED, _ = encode_line(make_outgoing(types.ExecutionStarted(entry=["a"], seed=7, options=Raw(b"{}"))))


def validator(dialect: str) -> jsonschema_rs.Validator:
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": ADDRESS, **streams_schema()}
    part = "" if dialect == "native" else f"#/$defs/{dialect}"
    registry = jsonschema_rs.Registry([(ADDRESS, schema)])
    return jsonschema_rs.validator_for({"$ref": f"{ADDRESS}{part}"}, registry=registry)


def translated(dialect: str, line: bytes) -> list[Frame]:
    event = read_published(line)
    if dialect in DIALECTS:
        return list(DIALECTS[dialect]().frames(event))
    folding = FOLDING[dialect](None)
    folding.frames(read_published(STARTED), is_hidden=False)
    return [*folding.frames(event, is_hidden=False), *folding.joining()]


@pytest.mark.capability("EVT-10")
@pytest.mark.parametrize("dialect", [*DIALECTS, *FOLDING])
def test_every_sample_of_an_event_fits_the_schema(dialect: str) -> None:
    valid = validator(dialect)

    for event, _ in EVENTS:
        line, _ = encode_line(make_outgoing(event, **NODE))
        for frame in translated(dialect, line):
            valid.validate(json.loads(frame.line))


@pytest.mark.parametrize("dialect", [*DIALECTS, *FOLDING])
def test_every_sample_of_a_notice_fits_the_schema(dialect: str) -> None:
    valid = validator(dialect)
    begun = FOLDING.get(dialect, lambda _: DIALECTS[dialect]())(None)
    if dialect in FOLDING:
        begun.frames(read_published(STARTED), is_hidden=False)  # type: ignore[call-arg]  # of those that remember

    for notice, _, _ in NOTICES:
        for after in (None, 7):
            frame = begun.notice(encode_notice(notice, execution_id="0199", wall_ns=0, after=after))
            if frame is not None:
                valid.validate(json.loads(frame.line))


@pytest.mark.capability("EVT-06", "EVT-07", "EVT-08", "EVT-09", "EVT-10")
@pytest.mark.parametrize("dialect", ALL)
@pytest.mark.parametrize("story", [GOES_ON, FAILS], ids=["goes on", "fails"])
def test_the_stories_of_the_reference_fit_the_schema(dialect: str, story: Any) -> None:
    valid = validator(dialect)

    for after in (None, *range(1, len(story))):
        for frame in told(dialect, story, after=after):
            valid.validate(json.loads(frame.line))


@pytest.mark.parametrize("dialect", [*DIALECTS, *FOLDING])
def test_a_schema_refuses_what_is_no_frame(dialect: str) -> None:
    valid = validator(dialect)
    (first, *_) = told(dialect, GOES_ON)

    for name in json.loads(first.line):
        frame = json.loads(first.line)
        del frame[name]
        assert not valid.is_valid(frame), name
