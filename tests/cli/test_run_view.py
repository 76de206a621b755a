from typing import Any

import msgspec

from graphwire.cli.live import hints, time_left
from graphwire.cli.run_view import RunView, in_words
from graphwire.engine.progress import Progress
from graphwire.events import types
from graphwire.events.encoding import Envelope

FAILURE = types.Failure(code="exception", type="ValueError", message="no\nway")


def event(
    data: types.Event, *, node: str = "n", activation: str = "a", at_ns: int = 0, seq: int = 1, **rest: Any
) -> Envelope:
    return Envelope(
        seq=seq,
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


def suspended(seq: int = 3) -> Envelope:
    data = types.NodeSuspended(attempt=1, duration_ms=1.0, interrupt_id="i1", payload=msgspec.Raw(b'"ok?\\u001b"'))
    return event(data, seq=seq)


def standing(view: RunView) -> tuple[str | None, int | None]:
    return view.paused, view.queued


def paused(reason: Any) -> Envelope:
    return event(types.ExecutionPaused(reason=reason), seq=4)


def test_what_a_dead_service_had_not_stored_is_taken_back() -> None:
    view = view_of(
        started(activation="a", seq=2),
        completed(activation="a", seq=3),
        started(activation="b", seq=4),
        started(activation="c", seq=6),
        event(types.LlmChunk(stream_id="s", text="half", is_final=False), activation="b", seq=7),
        event(types.NodeFailed(attempt=1, duration_ms=1.0, error=FAILURE, will_retry=True, edges=[]), seq=8),
        completed(activation="d", seq=9),
    )
    list(view.take_lines())

    view.apply(event(types.CheckpointRestored(valid_to=5, next=70_000), seq=70_000))

    assert (list(view.rows), view.completed, view.failed, view.texts) == (["b"], 1, 0, {})
    assert told(view) == ["the service died and is back; what it had not stored is done again"]


def test_a_pause_stands_until_it_is_over_with_what_to_type() -> None:
    view = view_of(paused("breakpoint"))
    assert list(hints(view)) == []  # it runs here
    view.begins("e1")

    assert standing(view) == ("paused at a breakpoint", None)
    assert list(hints(view)) == ["graphwire executions resume e1   # or: step, state, edit, cancel"]

    view.apply(event(types.ExecutionResumed(paused_ms=2_000.0)))
    assert standing(view) == (None, None)
    assert list(hints(view)) == []
    assert told(view) == ["paused at a breakpoint", "execution e1", "goes on after 2.0 s"]


def test_a_question_stands_until_it_is_answered_with_what_to_type() -> None:
    view = view_of(started(), suspended(), paused("waiting_for_input"))
    assert list(hints(view)) == ["Only a run on a server can be answered; Ctrl-C cancels this one."]
    view.begins("e1")

    assert list(hints(view)) == ["graphwire executions input e1 VALUE   # n"]
    assert not view.rows

    view.apply(event(types.InputReceived(interrupt_id="i1", value=msgspec.Raw(b"1"))))
    assert list(view.questions) == []
    assert told(view)[0] == 'n waits to be told: "ok?\\u001b"'


def test_a_place_in_the_queue_is_shown_until_its_turn_comes() -> None:
    view = view_of(event(types.ExecutionQueued(position=3, priority="normal", reason="1,000 run")))
    assert standing(view) == (None, 3)

    view.apply(started())

    assert standing(view) == (None, None)
    assert told(view) == ["queued at place 3: 1,000 run"]
