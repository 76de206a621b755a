"""Lines and columns of positions."""

import pytest
from hypothesis import given, strategies as st

from graphwire.graphs.places import lines_and_columns
from graphwire.line_ends import line_and_column


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\nb", [(1, 1), (1, 2), (2, 1), (2, 2)]),
        ("a\rb", [(1, 1), (1, 2), (2, 1), (2, 2)]),
        ("a\r\nb", [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2)]),
        ("\n\r\r\n\n", [(1, 1), (2, 1), (3, 1), (3, 2), (4, 1), (5, 1)]),
        ("a\x85\u2028b", [(1, 1), (1, 2), (1, 3), (1, 4), (1, 5)]),
        ("", [(1, 1)]),
    ],
)
def test_a_line_ends_at_each_of_three_line_ends(text: str, expected: list[tuple[int, int]]) -> None:
    assert [line_and_column(text, position) for position in range(len(text) + 1)] == expected


@given(text=st.text(st.sampled_from("a\n\r\u2028"), max_size=12))
def test_one_position_and_many_are_counted_alike(text: str) -> None:
    positions = range(len(text) + 1)

    assert {position: line_and_column(text, position) for position in positions} == lines_and_columns(text, positions)
