"""What a YAML parser found, in words that say what to change."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from yaml import Mark, MarkedYAMLError

from graphwire.line_ends import line_and_column


class Fault(NamedTuple):
    """Where a text stops being YAML, and why. ``is_escape``: an escape stands for no character."""

    detail: str
    line: int  # 1-based
    column: int  # 1-based
    is_escape: bool = False


class _Wording(NamedTuple):
    """What is said where the parser's words have all of ``words``.

    Attributes:
        at_beginning: The place is where the construct begins, not where the parser gave up.
        names_beginning: The place where it begins is worth saying too.
    """

    words: Sequence[str]
    detail: str
    at_beginning: bool = False
    names_beginning: bool = False


# Both of PyYAML's parsers are understood; where their words differ, there are two rows. The first row that fits counts.
_WORDINGS: Final = (
    _Wording(["scanning a quoted scalar", "end of stream"], "the quotes that open here are never closed", True),
    _Wording(["scanning a quoted scalar", "document separator"], "the quotes that open here are never closed", True),
    _Wording(
        ["unknown escape character"], 'a backslash in double quotes begins an escape; write "\\\\", or single quotes'
    ),
    _Wording(["alphabetic or numeric", "an alias"], 'a text that begins with "*" must be quoted', True),
    _Wording(["alphabetic or numeric", "an anchor"], 'a text that begins with "&" must be quoted', True),
    _Wording(
        ["could not find expected ':'"],
        'a line of a mapping is "key: value"; here the colon or the space after it is missing',
        True,
    ),
    _Wording(
        ["apping values are not allowed"], '": " is not allowed here: quote the text around it, or mend the indentation'
    ),
    _Wording(["apping keys are not allowed"], 'a text that begins with "?" must be quoted'),
    _Wording(["equence entries are not allowed"], '"- " is not allowed here: begin the list on the next line'),
    _Wording(["flow sequence", "',' or ']'"], 'a "," or "]" is missing in the list', names_beginning=True),
    _Wording(["flow mapping", "',' or '}'"], 'a "," or "}" is missing in the mapping', names_beginning=True),
    _Wording(
        ["block mapping", "expected"],
        "the mapping cannot go on so: mend the indentation, or quote all of the text",
        names_beginning=True,
    ),
    _Wording(
        ["block collection", "expected"],
        'the list goes on with "- " at the same indentation, or the indentation is wrong',
        names_beginning=True,
    ),
    _Wording(["node content"], "a value is missing here, or a text that must be quoted"),
    _Wording(["document start"], "there is text after the value; one YAML document is expected"),
    _Wording(["unexpected ':'"], 'inside brackets ":" wants a space after it, or quotes around the text'),
    _Wording(["a directive"], 'a line that begins with "%" is a directive: %YAML or %TAG; a text must be quoted', True),
    _Wording(["undefined tag handle"], "tags of one's own are not read"),
    _Wording(["incompatible YAML document"], "the version of YAML must be 1.2 or 1.1"),
    _Wording(
        ["block scalar", "expected"], 'after "|" or ">" the text is on the next lines; else it must be quoted', True
    ),
)
_FIRST_CHARACTERS: Final = {
    "\t": "a tab cannot indent; use spaces",
    "@": 'a text that begins with "@" must be quoted',
    "`": "a text that begins with a backtick must be quoted",
    "%": 'a text that begins with "%" must be quoted',
}


def describe(error: MarkedYAMLError, text: str) -> Fault:
    """Say where and why a parser gave up on a text."""
    mark, beginning = error.problem_mark, error.context_mark
    place = mark or beginning
    line, column = _numbers(place) if place else (1, 1)
    if place and place.index >= len(text):  # libyaml ends every text with a line end that need not be there
        line, column = line_and_column(text, len(text))
    said = f"{error.context or ''} {error.problem or ''}"
    if "Unicode character escape" in said or "code length" in said or "hexadecimal" in said:
        column -= place.index - text.rfind("\\", 0, place.index) if place else 0
        return Fault("the escape stands for no character", line, column, is_escape=True)
    found = text[place.index : place.index + 1] if place else ""
    if " tab character" in said or "cannot start any token" in said:
        return Fault(_FIRST_CHARACTERS.get(found, _FIRST_CHARACTERS["\t"]), line, column)
    for wording in _WORDINGS:
        if all(word in said for word in wording.words):
            detail = wording.detail
            if beginning and wording.at_beginning:
                line, column = _numbers(beginning)
            elif beginning and wording.names_beginning:
                detail += " (it begins at line {}, column {})".format(*_numbers(beginning))
            return Fault(detail, line, column)
    return Fault("this is no YAML", line, column)


def _numbers(mark: Mark) -> tuple[int, int]:
    return mark.line + 1, mark.column + 1
