"""Broken YAML files, and the messages that say what to change and where."""

import pytest

from graphwire.errors import InvalidInput
from graphwire.yaml_text import compose_yaml, read_yaml
from tests.test_yaml_text import PARSERS

WHOLE = """\
id: x
nodes:
  - id: a
    type: transform
    config: {set: {x: "1"}}
edges:
  - {source: a, target: b}
"""


@pytest.mark.parametrize(
    ("right", "broken", "place", "said"),
    [
        ("    type", "\ttype", (4, 1), "a tab cannot indent; use spaces"),
        ("type: tr", "type tr", (4, 5), "the colon or the space after it is missing"),
        ("type: tr", "type:tr", (4, 5), "the colon or the space after it is missing"),
        ("    type", "   type", (4, 4), "the indentation is wrong (it begins at line 3, column 3)"),
        ("    type", "      type", (4, 11), "mend the indentation"),
        ('"1"}}', '"1"}', (6, 1), 'a "," or "}" is missing in the mapping (it begins at line 5, column 13)'),
        ('"1"', '"1', (5, 23), "the quotes that open here are never closed"),
        ("target: b}", "target: b]", (7, 26), 'a "," or "}" is missing in the mapping (it begins at line 7'),
        ("a, target", "a target", (7, 22), 'a "," or "}" is missing'),
        ("id: x", "id: [a", (2, 6), 'a "," or "]" is missing in the list (it begins at line 1, column 5)'),
        ("id: x", "id: a: b", (1, 6), "quote the text around it"),
        ("id: x", "id: @x", (1, 5), 'a text that begins with "@" must be quoted'),
        ("id: x", "id: `x`", (1, 5), "a text that begins with a backtick must be quoted"),
        ("id: x", "id: %x", (1, 5), 'a text that begins with "%" must be quoted'),
        ("id: x", "id: *x", (1, 5), 'there is no anchor "x" before this; a text that begins with * must be quoted'),
        ("id: x", "id: **x**", (1, 5), 'a text that begins with "*" must be quoted'),
        ("id: x", "id: & x", (1, 5), 'a text that begins with "&" must be quoted'),
        ("id: x", "id: ? x", (1, 5), 'a text that begins with "?" must be quoted'),
        ("id: x", "id: !x", (1, 5), 'the tag "!x" is not of the core schema; leave it out, or quote the text'),
        ("id: x", "id: {{ x }}", (1, 6), "one that begins with { or [ must be quoted"),
        ("id: x", "id: |x", (1, 5), 'after "|" or ">" the text is on the next lines'),
        ("id: x", 'id: "C:\\dir"', (1, 8), "a backslash in double quotes begins an escape"),
        ("id: x", "id: 'it's'", (1, 9), "quote all of the text (it begins at line 1, column 1)"),
        ("id: x", "id: - x", (1, 5), "begin the list on the next line"),
        ("id: x", "id: x\nid: y", (2, 1), "the key is there twice"),
        ("id: x", "5: x", (1, 1), 'a key must be a text: put quotes around "5"'),
        ("id: x", "id: .nan", (1, 5), "NaN and infinity are no JSON numbers"),
        ("id: x", "<<: {a: 1}", (1, 1), "write the members out"),
        ("id: x", "%FOO\nid: x", (1, 1), 'a line that begins with "%" is a directive'),
        ("id: x", "id: x\n---", (2, 1), "a second document begins here; one is expected"),
        ("id: x", "id: [a:,]", (1, 7), 'inside brackets ":" wants a space after it'),
        ("id: x", "id: x\x0b", (1, 6), 'must be written as an escape in double quotes: "\\u000b"'),
    ],
)
def test_a_message_says_what_to_change_and_where(right: str, broken: str, place: tuple[int, int], said: str) -> None:
    assert read_yaml(WHOLE.encode())
    text = WHOLE.replace(right, broken, 1)
    assert text != WHOLE

    with pytest.raises(InvalidInput) as caught:
        read_yaml(text.encode())

    problem = caught.value.problems[0]
    assert said in problem.detail
    assert (problem.line, problem.column) == place
    assert caught.value.detail.startswith(f"line {problem.line}, column {problem.column}: {problem.detail}")


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("id: g\nnodes: [1, 2", (2, 13)),
        ("id: g\nnodes: [1, 2\n", (3, 1)),
        ("id: g\rnodes: {a: [1, 2", (2, 17)),
        ("x: {? ", (1, 7)),
    ],
)
def test_what_is_missing_at_the_end_is_missing_behind_the_last_character(
    text: str, place: tuple[int, int], parser: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        compose_yaml(text.encode(), parse=PARSERS[parser])

    problem = caught.value.problems[0]
    assert (problem.line, problem.column) == place
