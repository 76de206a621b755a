"""Notices on the wire."""

import json
from typing import Any

import pytest

from graphwire.events.notices import NOTICES_BY_TYPE, Heartbeat, Notice, encode_notice
from tests.events.samples import NOTICES

NOON_NS = 1_795_262_400_000_000_000  # 2026-11-21T12:00:00Z


@pytest.mark.parametrize(("notice", "head", "data"), NOTICES, ids=[notice.type for notice, _, _ in NOTICES])
def test_every_notice_is_encoded_as_it_is_written_out(notice: Notice, head: str, data: dict[str, Any]) -> None:
    line = encode_notice(notice, execution_id="0199", wall_ns=NOON_NS, after=7).decode()

    assert line.startswith(f'{{{head},"execution_id":"0199","ts":"2026-11-21T12:00:00.000000Z","after":7,"data":{{')
    assert json.loads(line)["data"] == data


def test_what_is_not_known_is_absent() -> None:
    line = encode_notice(Heartbeat(), execution_id=None, wall_ns=NOON_NS, after=None)

    assert line == b'{"type":"heartbeat","code":20,"ts":"2026-11-21T12:00:00.000000Z","data":{}}'


def test_there_is_a_sample_of_every_notice() -> None:
    assert [notice.type for notice, _, _ in NOTICES] == list(NOTICES_BY_TYPE)
