"""What counts as the output that a page shows."""

import pytest

from tests.docs.transcript import Command, agrees, commands


@pytest.mark.parametrize(
    ("expected", "shown"),
    [
        ("", ""),
        ("one\ntwo\n", "one\ntwo\n"),
        ("one\n", "one\n\n"),
        ('{"id":"…","status":"done"}\n', '{"id":"7","graph":"g","status":"done"}\n'),
        ("first\n…\nlast\n", "first\nlast\n"),
        ("first\n…\nlast\n", "first\n2\n3\nlast\n"),
        ('{"duration_ms":0.5}\nretry: 1000\n', '{"duration_ms":12.75}\nretry: 4999\n'),
        ("at 2026-01-31T00:00:00Z\n", "at 2026-11-21T18:54:10.819764Z\n"),
        ("7 passed in …\n", "7 passed in 0.05s\n"),
    ],
)
def test_output_agrees_but_for_what_is_left_out_or_differs_each_time(expected: str, shown: str) -> None:
    assert agrees(expected, shown)


@pytest.mark.parametrize(
    ("expected", "shown"),
    [
        ("one\n", ""),
        ("", "one\n"),
        ("one\n", "one\ntwo\n"),
        ("one\ntwo\n", "one\n"),
        ("a … c\n", "a b\nc\n"),
        ('{"seq":3}\n', '{"seq":4}\n'),
        ("2 errors\n", "20 errors\n"),
    ],
)
def test_other_output_does_not_agree(expected: str, shown: str) -> None:
    assert not agrees(expected, shown)


def test_session_is_taken_apart_into_commands_and_what_they_show() -> None:
    session = "$ first\n$ second \\\n> goes on\none\n\ntwo\n"

    assert list(commands(session)) == [Command("first", ""), Command("second \\\ngoes on", "one\n\ntwo\n")]


@pytest.mark.parametrize(
    ("text", "only_looks"),
    [
        ("curl -s http://127.0.0.1:8000/graphs", True),
        ("curl -s -X POST http://127.0.0.1:8000/graphs/hello/execute", False),
        ("make run", False),
    ],
)
def test_only_commands_that_look_are_repeated(text: str, only_looks: bool) -> None:
    assert Command(text, "").only_looks is only_looks
