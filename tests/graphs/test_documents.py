"""Definitions as JSON and YAML: read alike, written so that they come back, and every problem in its place."""

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from hypothesis import given, strategies as st

from graphwire.errors import InvalidInput, Problem
from graphwire.graphs.definition import parse_definition
from graphwire.graphs.documents import Document, Format, format_of_suffix, read_document, write_document
from graphwire.graphs.validation import validate
from graphwire.json_text import pointer
from tests.graphs.samples import REGISTRY
from tests.json_values import values
from tests.yaml_suite import cases

FORMATS: tuple[Format, ...] = ("json", "yaml")


def located(document: Document, at: str, code: str = "invalid_value", **place: Any) -> tuple[int | None, int | None]:
    (problem,) = document.located([Problem(at, code, "is wrong", **place)])
    return problem.line, problem.column


def rest_of_line(document: Document, line: int | None, column: int | None) -> str:
    assert line is not None
    assert column is not None
    return document.data.decode().replace("\r\n", "\n").replace("\r", "\n").split("\n")[line - 1][column - 1 :]


def everything(value: Any, *path: str | int) -> Iterator[tuple[str, Any]]:
    """Give every value with its pointer."""
    yield pointer(*path), value
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in members:
        yield from everything(item, *path, key)


@given(value=values)
@pytest.mark.parametrize("format", FORMATS)
def test_every_value_comes_back_as_it_was_written(format: Format, value: Any) -> None:
    text = write_document(value, format)

    read = read_document(text, format).value

    assert read == value
    assert json.dumps(read) == json.dumps(value)  # 1 is not 1.0, nor -0.0 the same as 0.0; and the order stays


@given(value=values)
def test_written_yaml_says_the_same_to_readers_of_older_yaml(value: Any) -> None:
    text = write_document(value, "yaml")

    assert yaml.safe_load(text) == value


@given(value=values)
@pytest.mark.parametrize("format", FORMATS)
def test_every_place_is_where_the_value_begins(format: Format, value: Any) -> None:
    document = read_document(write_document(value, format), format)
    wanted = list(everything(value))

    found = document.located(Problem(at, "invalid_value", "is wrong") for at, _ in wanted)

    for problem, (_, part) in zip(found, wanted, strict=True):
        text = rest_of_line(document, problem.line, problem.column)
        if isinstance(part, str):
            assert text.startswith(('"', "'", "|", part))
        elif isinstance(part, dict | list):
            continue  # in YAML it begins with what is in it
        else:
            assert text.startswith(json.dumps(part)) or float(text.rstrip(",]}").split(",")[0].split("}")[0]) == part


@given(value=values)
@pytest.mark.parametrize("format", FORMATS)
def test_places_come_in_the_order_of_the_text(format: Format, value: Any) -> None:
    document = read_document(write_document(value, format), format)

    found = document.located(Problem(at, "invalid_value", "is wrong") for at, _ in everything(value))
    places = [(problem.line, problem.column) for problem in found]

    assert places == sorted(places)


JSON_TEXT = b"""\xef\xbb\xbf{
  "id": "x",
  "nodes": [
    {"id": "a", "typ": "transform"},
    {"id": "b", "config": {"set": {"a/b": "1 +"}}}
  ]
}"""
YAML_TEXT = b"""\xef\xbb\xbfid: x
nodes:
  - {id: a, typ: transform}
  - id: b
    config:
      set:
        a/b: 1 +
"""


@pytest.mark.parametrize(
    ("at", "code", "in_json", "in_yaml"),
    [
        ("", "invalid_value", (1, 1), (1, 1)),
        ("/id", "invalid_value", (2, 9), (1, 5)),
        ("/nodes/0", "invalid_value", (4, 5), (3, 5)),
        ("/nodes/0/type", "missing_field", (4, 5), (3, 5)),
        ("/nodes/0/typ", "unknown_field", (4, 17), (3, 13)),
        ("/nodes/0/typ", "invalid_value", (4, 24), (3, 18)),
        ("/nodes/1/config/set/a~1b", "invalid_value", (5, 43), (7, 14)),
        ("/nodes/7/config/set", "invalid_value", (3, 12), (3, 3)),
        ("/edges", "missing_field", (1, 1), (1, 1)),
    ],
)
def test_a_problem_is_placed_at_its_value_its_key_or_what_is_around_it(
    at: str, code: str, in_json: tuple[int, int], in_yaml: tuple[int, int]
) -> None:
    assert located(read_document(JSON_TEXT, "json"), at, code) == in_json
    assert located(read_document(YAML_TEXT, "yaml"), at, code) == in_yaml


def test_a_problem_in_what_an_alias_repeats_is_placed_where_that_is_written() -> None:
    text = b"a: &a\n  x: &x [1,\n    two]\nb: *a\nc: [*x, *a]\n"
    document = read_document(text, "yaml")

    assert located(document, "/b") == (4, 4)
    assert located(document, "/b/x") == (2, 6)
    assert located(document, "/c/0/1") == (3, 5)
    assert located(document, "/c/1/x/1") == (3, 5)
    assert located(document, "/c/1/y", "missing_field") == (1, 4)


@pytest.mark.bad_input(41)
@pytest.mark.parametrize(
    ("format", "text"),
    [
        ("json", '{"a":\n "one + two"}'),
        ("yaml", "a:\n  one + two"),
        ("yaml", "a: 'one + two'"),
        ("yaml", 'a: "one + two"'),
        ("yaml", "a: |\n  one + two\n"),
        ("yaml", "a: |-  # said\r\n\r\n    zero\r\n     one + two\r\n"),
        ("yaml", "a: |\r  zero\r  one + two\r"),
        ("yaml", "a: &x one + two"),
        ("yaml", "a: !!str one + two"),
        ("yaml", "a: !!str &x  # said\n  # and said\n  'one + two'"),
        ("yaml", "a: &x !!str |\n  zero\n  one + two\n"),
    ],
)
def test_a_place_inside_a_text_becomes_one_of_the_document(format: Format, text: str) -> None:
    document = read_document(text.encode(), format)
    value = document.value["a"].split("\n")
    line = next(number for number, each in enumerate(value, 1) if "two" in each)

    found = located(document, "/a", line=line, column=value[line - 1].index("two") + 1)

    assert rest_of_line(document, *found).rstrip("\"}'") == "two"


def test_a_place_inside_a_text_that_is_written_otherwise_is_told() -> None:
    document = read_document(b'{"a": "\\u0061 + two"}', "json")

    (problem,) = document.located([Problem("/a", "expression_invalid", "is wrong", line=1, column=5)])

    assert (problem.line, problem.column) == (1, 7)
    assert problem.detail == "is wrong (line 1, column 5 of the text)"


@pytest.mark.bad_input(3, 4, 5, 7)
@pytest.mark.parametrize(
    ("text", "place"),
    [
        (b'\xef\xbb\xbf{"a": 1,\n "b": 2, "a": 3}', (2, 10)),
        (b'{"a": [1,\n {"x": 1, "\\u0078": 2}]}', (2, 11)),
        (b'{"a":\n 99999999999999999999}', (2, 2)),
        (b'{"a":\n ["x", "\\ud800"]}', (2, 8)),
        (b'{"a": 1,\n  "\\ud800": "x"}', (2, 3)),
        (b'{"a":\n' + b"[" * 100 + b"]" * 100 + b"}", (2, 100)),
        (b'{"a": 1,\n}', (2, 1)),
        (b'{"a": 1,\r}', (2, 1)),
        (b'{"a": 1,\r\n}', (2, 1)),
        (b'{\r"a": 1,\r"a": 2}', (3, 1)),
        (b'{\r"a": 1,\r\n"b": [', (3, 7)),
    ],
)
def test_what_is_refused_while_json_is_read_has_its_place(text: bytes, place: tuple[int, int]) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_document(text, "json")

    assert [(problem.line, problem.column) for problem in caught.value.problems] == [place]


def test_problems_of_a_definition_are_placed() -> None:
    document = read_document(b"id: x\nnodes:\n- id: a\n  type: tranform\n- id: a\n  type: transform\n", "yaml")

    with pytest.raises(InvalidInput) as caught:
        parse_definition({**document.value, "edgs": []})
    assert caught.value.problems[0].code == "unknown_field"
    found = document.located(validate(parse_definition(document.value), REGISTRY).problems)

    places = {(problem.code, problem.line, problem.column) for problem in found}
    assert ("unknown_node_type", 4, 9) in places


def test_places_cost_nothing_where_there_is_no_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    document = read_document(b"a: 1", "yaml")
    monkeypatch.setattr("graphwire.graphs.documents.yaml_steps", None)

    assert document.located([]) == ()


@given(st.sampled_from([".json", ".yaml", ".yml", ".txt", ""]))
def test_a_suffix_names_its_format(suffix: str) -> None:
    assert format_of_suffix(suffix) == {".json": "json", ".yaml": "yaml", ".yml": "yaml"}.get(suffix)


@pytest.mark.needs("corpora")
def test_awkward_texts_come_back_as_keys_and_values(corpora: Path) -> None:
    texts = json.loads((corpora / "blns.json").read_bytes())
    value = [texts, dict.fromkeys(texts), {text: text for text in texts}]

    for format in FORMATS:
        assert read_document(write_document(value, format), format).value == value


PIECES = [
    b"[",
    b"{",
    b": ",
    b"- ",
    b"\n",
    b"\t",
    b"&a ",
    b"*a",
    b"!!str ",
    b"? ",
    b'"',
    b"|\n",
    b"\\ud800",
    b"\r",
    b"<<: ",
    b"\xff",
]


def changed(text: bytes, random: Random) -> bytes:
    """Return the text with up to five changes that make it something else."""
    made = bytearray(text)
    for _ in range(random.randint(1, 5)):
        begin, end = sorted((random.randint(0, len(made)), random.randint(0, len(made))))
        match random.randrange(3):
            case 0:
                made[begin:begin] = random.choice(PIECES)
            case 1:
                del made[begin : begin + random.randint(1, 5)]
            case _:
                made[begin:begin] = made[begin:end][:50]
    return bytes(made)


@pytest.mark.needs("corpora")
@pytest.mark.bad_input(1, 16)
@pytest.mark.parametrize("count", [2_000, pytest.param(100_000, marks=pytest.mark.long)])
def test_whatever_is_done_to_a_text_it_is_read_or_refused_with_places(corpora: Path, count: int) -> None:
    texts = [case.text.encode() for case in cases(corpora / "yaml-test-suite.tar.gz")] + [JSON_TEXT, YAML_TEXT]
    random = Random(5)
    without_place: list[tuple[bytes, InvalidInput]] = []

    for _ in range(count):
        text, format = changed(random.choice(texts), random), random.choice(FORMATS)
        try:
            document = read_document(text, format)
        except InvalidInput as error:
            if not error.problems or not all(problem.line and problem.column for problem in error.problems):
                without_place.append((text, error))
        else:
            assert read_document(write_document(document.value, "yaml"), "yaml").value == document.value
            assert None not in located(document, "/0/a", "duplicate_key")

    assert without_place == []
