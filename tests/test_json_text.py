"""What JSON text is read, and what is refused where."""

import json
import tarfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, strategies as st

from graphwire.errors import DuplicateKey, InvalidInput, InvalidText, MalformedInput, Problem, TooDeep
from graphwire.json_text import pointer, read_json
from tests.json_values import values
from tests.measuring import within_cpu_s


def refusal(data: bytes) -> InvalidInput:
    """Return with what a text is refused."""
    with pytest.raises(InvalidInput) as caught:
        read_json(data)
    return caught.value


def refused(data: bytes, error: type[InvalidInput] = MalformedInput) -> Problem:
    """Return the first problem of a text that must be refused with exactly this error."""
    found = refusal(data)
    assert type(found) is error
    return found.problems[0]


@given(value=values, escaped=st.booleans())
@example(value={"a\\": '\\"[', "": ["\U0001f600"]}, escaped=True)
def test_every_json_value_comes_back_as_it_was_written(value: Any, escaped: bool) -> None:
    text = json.dumps(value, ensure_ascii=escaped)

    assert read_json(text.encode()) == value


@given(st.binary(max_size=60) | st.text(st.sampled_from('[]{}",:\\u0189deE+-. \n'), max_size=60).map(str.encode))
def test_whatever_is_no_json_is_refused_on_purpose(data: bytes) -> None:
    with suppress(InvalidInput):  # and no other error
        read_json(data)


@pytest.mark.bad_input(1)
@pytest.mark.parametrize(
    ("data", "line", "column"),
    [
        (b"", 1, 1),
        (b" \n ", 1, 1),
        (b'{"a": 1,\n "b" 2}', 2, 6),
        (b"{} {}", 1, 4),
        (b"[1] trailing", 1, 5),
        (b"[1,]", 1, 4),
        (b"'a'", 1, 1),
        (b'["a\nb"]', 1, 4),
        (b"[01]", 1, 3),
    ],
)
def test_a_broken_text_is_refused_with_its_line_and_column(data: bytes, line: int, column: int) -> None:
    problem = refused(data)

    assert problem.code == "malformed_json"
    assert (problem.line, problem.column) == (line, column)


@pytest.mark.bad_input(2)
@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e400", "-1E+400", "9" * 400 + ".0"])
def test_a_number_that_is_not_finite_is_refused_where_it_stands(literal: str) -> None:
    problem = refused(f'["NaN 1e400", 1e12,\n {literal}]'.encode())

    assert (problem.code, problem.line, problem.column) == ("malformed_json", 2, 2)


@pytest.mark.bad_input(3)
def test_whole_numbers_beyond_64_bits_are_all_named_by_their_pointers() -> None:
    text = f'{{"a": [1, {2**63 + 1}], "b/c": {-(2**63) - 1}, "d": {"7" * 10_000}, "e": {2**63}}}'

    with pytest.raises(InvalidInput) as caught:
        read_json(text.encode())

    assert type(caught.value) is InvalidInput
    assert [problem.pointer for problem in caught.value.problems] == ["/a/1", "/b~1c", "/d"]


@pytest.mark.bad_input(3)
def test_a_number_of_a_million_digits_takes_no_time() -> None:
    within_cpu_s(0.5, lambda: refused(b"[" + b"1" * 1_000_000 + b"]", InvalidInput))  # to convert it takes minutes


@pytest.mark.parametrize("number", [2**53 + 1, 2**63, -(2**63), 1_763_740_000_123_456_789])
def test_whole_numbers_within_the_limit_stay_exact(number: int) -> None:
    assert read_json(f'{{"a": {number}, "b": -0, "c": 1e22}}'.encode()) == {"a": number, "b": 0, "c": 1e22}


@pytest.mark.bad_input(4)
def test_a_key_that_is_there_twice_is_refused_with_its_pointer() -> None:
    problem = refused(b'{"a": [{"x": 1, "y": 2, "\\u0078": 3}]}', DuplicateKey)

    assert (problem.pointer, problem.code) == ("/a/0/x", "duplicate_key")


@pytest.mark.bad_input(5)
@pytest.mark.parametrize("data", [b"[" * 100_000, b'{"a":' * 100_000, b"[" * 101 + b"]" * 101])
def test_deep_nesting_is_found_without_recursion(data: bytes) -> None:
    found = within_cpu_s(0.05, lambda: refusal(data))

    assert type(found) is TooDeep
    assert found.facts["limit"] == 100


@pytest.mark.bad_input(5)
def test_brackets_in_texts_are_no_nesting() -> None:
    value = ["[" * 200, '\\"[[[' * 50, [[{}]] * 200]

    assert read_json(json.dumps(value).encode()) == value
    assert read_json(b"[" * 100 + b"]" * 100)


@pytest.mark.bad_input(6)
@pytest.mark.parametrize(
    "data", [b'["\xff"]', b'["\xed\xa0\x80"]', '["a"]'.encode("utf-16"), '["a"]'.encode("utf-16-le")]
)
def test_what_is_not_utf_8_is_refused(data: bytes) -> None:
    assert refused(data).line == 1


@pytest.mark.bad_input(6)
def test_the_place_of_invalid_utf_8_is_named() -> None:
    problem = refused('{"ä": 1,\n"ö'.encode() + b'\xc3"}')

    assert (problem.line, problem.column) == (2, 3)


@pytest.mark.bad_input(6)
def test_a_byte_order_mark_is_dropped() -> None:
    assert read_json(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


@pytest.mark.bad_input(7)
@pytest.mark.parametrize(
    ("data", "places"),
    [
        (b'"\\ud800"', [""]),
        (b'{"a": ["x", "\\uDFFF y"]}', ["/a/1"]),
        (b'{"\\ud800": 1}', ["/\\ud800"]),
        (b'["\\\\ud83d\\ude00"]', ["/0"]),
        (b'["\\ud83d\\ud83d\\ude00"]', ["/0"]),
    ],
)
def test_a_lone_surrogate_is_refused_keys_included(data: bytes, places: list[str]) -> None:
    with pytest.raises(InvalidText) as caught:
        read_json(data)

    assert [problem.pointer for problem in caught.value.problems] == places
    assert all(problem.pointer.encode() is not None for problem in caught.value.problems)


@pytest.mark.bad_input(7)
def test_an_escaped_pair_of_surrogates_is_one_character() -> None:
    assert read_json(b'["\\ud83d\\ude00", "\\\\ud800"]') == ["\U0001f600", "\\ud800"]


@pytest.mark.bad_input(3, 4, 7)
@pytest.mark.parametrize("fault", [b'"\\ud800"', b'{"a":1,"a":2}', b"9" * 20])
def test_a_flood_of_faults_is_refused_in_little_time(fault: bytes) -> None:
    text = b"[" + b",".join([fault] * 100_000) + b"]"

    found = within_cpu_s(2, lambda: refusal(text))

    assert (len(found.problems), found.left_out) == (1_000, 99_000)


@pytest.mark.bad_input(10)
def test_names_that_mean_something_elsewhere_are_ordinary_keys() -> None:
    value = {"__proto__": 1, "constructor": 2, "__class__": 3, "$ref": "#", "toString": None}

    assert read_json(json.dumps(value).encode()) == value


def test_a_pointer_is_escaped_printable_and_bounded() -> None:
    assert pointer("a/b", "~", 3) == "/a~1b/~0/3"
    assert pointer("a\u202eb\n") == "/a\\u202eb\\u000a"
    assert len(pointer("x" * 10_000)) == 302


@pytest.mark.needs("corpora")
def test_the_json_test_suite_is_read_and_refused_as_it_says(corpora: Path) -> None:
    wrong = []
    with tarfile.open(corpora / "json-parsing.tar.gz") as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isfile() else None
            kind, _, _ = Path(member.name).name.partition("_")
            if file is None or kind not in {"y", "n", "i"}:
                continue
            try:
                read_json(file.read())
            except InvalidInput:
                is_read = False
            else:
                is_read = True
            if (kind, is_read) in {("y", False), ("n", True)}:
                wrong.append(member.name)

    # One key twice has no agreed meaning (RFC 8259 §4), so these two are refused.
    assert sorted(Path(name).name for name in wrong) == [
        "y_object_duplicated_key.json",
        "y_object_duplicated_key_and_value.json",
    ]


@pytest.mark.needs("corpora")
def test_awkward_texts_come_back_as_they_were(corpora: Path) -> None:
    data = (corpora / "blns.json").read_bytes()

    assert read_json(data) == json.loads(data)
