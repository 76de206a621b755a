from typing import Any

import msgspec

from graphwire.cli.live import time_left
from graphwire.cli.run_view import RunView, in_words
from graphwire.engine.progress import Progress
from graphwire.events import types
from graphwire.events.encoding import Envelope

FAILURE = types.Failure(code="exception", type="ValueError", message="no\nway")


def event(data: types.Event, *, node: str = "n", activation: str = "a", at_ns: int = 0, **rest: Any) -> Envelope:
    return Envelope(
        seq=1,
        type=data.type,
        code=data.code,
        execution_id="e",
        graph_id="g",
        node_id=node,
        activation=activation,
        ts="",
        mono_ns=at_ns,
        data=data,
        **rest,
    )


def view_of(*events: Envelope) -> RunView:
    view = RunView()
    for each in events:
        view.apply(each)
    return view


def started(**place: Any) -> Envelope:
    return event(types.NodeStarted(node_type="function", attempt=1), **place)


def completed(**place: Any) -> Envelope:
    return event(types.NodeCompleted(attempt=1, duration_ms=1.0, edges=[], result=msgspec.Raw(b"1")), **place)


def chunk(text: str, *, is_final: bool = False) -> Envelope:
    return event(types.LlmChunk(stream_id="s", text=text, is_final=is_final))


def told(view: RunView) -> list[str]:
    return [line.text for line in view.take_lines()]


def test_a_node_is_at_work_from_its_start_to_its_end() -> None:
    assert list(view_of(started()).rows) == ["a"]
    assert not view_of(started(), completed()).rows


def test_items_are_shown_while_they_run_but_not_told_one_by_one() -> None:
    path = [{"node": "each", "activation": "o", "index": 3}]

    view = view_of(started(path=path))

    assert [row.name for row in view.rows.values()] == ["each[3] > n"]
    view.apply(completed(path=path))
    assert told(view) == []


def test_streamed_text_is_told_when_it_is_final_or_its_node_ends() -> None:
    assert told(view_of(started(), chunk("a "), chunk("b", is_final=True))) == ["n: a b"]
    assert told(view_of(started(), chunk("a "), chunk("b"), completed())) == ["n: a b", "n done in 1 ms"]


def test_a_failure_is_told_with_its_lines() -> None:
    failed = event(types.NodeFailed(attempt=1, duration_ms=1.0, error=FAILURE, will_retry=False, edges=[]))

    view = view_of(started(), failed)

    assert told(view) == ["n failed: ValueError: no\nway"]
    assert view.failed == 1


def test_lines_are_told_once() -> None:
    view = view_of(started(), completed())

    assert told(view) == ["n done in 1 ms"]
    assert told(view) == []


def test_durations_are_written_as_people_do() -> None:
    assert [in_words(s) for s in (0.0123, 0.9996, 3.44, 59.96, 125, 3725)] == [
        "12.3 ms",
        "1.0 s",
        "3.4 s",
        "1 min 0 s",
        "2 min 5 s",
        "1 h 2 min",
    ]


def test_the_time_that_is_left_is_judged_by_the_pace_once_it_shows() -> None:
    assert time_left(Progress(50.0, 1, 2), elapsed_s=4.0) == 4.0
    assert time_left(Progress(2.0, 1, 2), elapsed_s=4.0) is None
    assert time_left(Progress(50.0, 1, 2, eta_s=1.5), elapsed_s=4.0) == 1.5
