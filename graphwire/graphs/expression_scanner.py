"""What is refused of an expression's text before Python's parser sees it: length, nesting, foreign characters."""

import re
from dataclasses import dataclass
from keyword import iskeyword

from graphwire.errors import Problem, quoted

MAX_TEXT = 4096
MAX_NESTING = 32

WORDS = frozenset({"and", "or", "not", "in", "is", "if", "else", "for", "True", "False", "None"})

_TOKEN = re.compile(
    r"""(?P<space>(?:[ \t\n]|\r\n)+)
    |(?P<refused>\"\"\"|'''|\*\*|:=|===|=>|->|&&|\|\||<<|>>|<>)
    |(?P<text>"(?:[^"\\\r\n]|\\.)*"|'(?:[^'\\\r\n]|\\.)*')
    |(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<open>[(\[{])
    |(?P<close>[)\]}])
    |(?P<operator>//|==|!=|<=|>=|[-+*/%<>,.:])""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(?:[\\'\"nrtbf]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|(?P<unknown>.|$))")
_PAIRS = {"(": ")", "[": "]", "{": "}"}
_HINTS = {
    '"""': "write text in single quotes or double quotes",
    "'''": "write text in single quotes or double quotes",
    "**": "there are no powers; multiply",
    ":=": "there are no assignments",
    "=": "there are no assignments and no named arguments; compare with ==",
    "===": "compare with ==",
    "=>": "write >=",
    "&&": "write and",
    "&": "write and",
    "||": "write or",
    "|": "write or",
    "!": "write not, or != for unequal",
    "<>": "write !=",
    "?": "write x if condition else y",
    "#": "there are no comments",
    ";": "one expression only",
    "\\": "an expression may span lines as it is",
    '"': "the text is not closed on its line",
    "'": "the text is not closed on its line",
}


class Unreadable(Exception):
    """The text cannot be an expression.

    Attributes:
        index: Where, in characters from the start of the whole text.
    """

    def __init__(self, index: int, detail: str) -> None:
        super().__init__(detail)
        self.index = index
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Source:
    """The text of an expression and where it begins in the text that it was taken from."""

    text: str
    line: int = 1
    column: int = 1

    def place(self, index: int) -> tuple[int, int]:
        """Return line and column, 1-based, of the character at ``index`` of the expression."""
        before = self.text[:index]
        lines = before.count("\n")
        if not lines:
            return self.line, self.column + index
        return self.line + lines, index - before.rfind("\n")

    def place_of_node(self, lineno: int, col_offset: int) -> tuple[int, int]:
        """Likewise for a syntax node's line and its offset in UTF-8 bytes; the text was parsed behind one bracket."""
        line = ("(" + self.text).split("\n")[lineno - 1]
        characters = len(line.encode()[:col_offset].decode(errors="ignore"))
        if lineno == 1:
            return self.line, self.column + max(characters - 1, 0)
        return self.line + lineno - 1, characters + 1

    def problem(self, place: tuple[int, int], detail: str) -> Problem:
        """Return a problem of the expression at a place."""
        return Problem("", "expression_invalid", detail, *place)


class _Nesting:
    """How deep a parser would go: brackets, runs of signs and ``not``, and ``else`` after ``else``."""

    def __init__(self) -> None:
        self.total = 0
        self.levels: list[tuple[str, int, int, int]] = []
        self._run = 0
        self._elses = 0

    def open(self, bracket: str, index: int) -> None:
        self.levels.append((bracket, index, self._run, self._elses))
        self.total += 1
        self._run = self._elses = 0

    def close(self, bracket: str, index: int) -> None:
        if not self.levels:
            raise Unreadable(index, f"{bracket} was never opened")
        self.total -= 1 + self._run + self._elses
        opened, _, self._run, self._elses = self.levels.pop()
        if _PAIRS[opened] != bracket:
            raise Unreadable(index, f"{bracket} does not close {opened}")
        self.operand()

    def prefix(self) -> None:
        self._run += 1
        self.total += 1

    def operand(self) -> None:
        self.total -= self._run
        self._run = 0

    def alternative(self) -> None:
        self._elses += 1
        self.total += 1

    def separator(self) -> None:
        self.total -= self._elses
        self._elses = 0


def scan(text: str, start: int = 0, *, placeholder: bool = False) -> int:
    """Check the text of an expression before it is parsed, in one pass and without recursion.

    Args:
        text: The expression, or a template that holds it.
        start: Where the expression begins.
        placeholder: The expression ends at the first ``}}`` outside brackets and text, which must come.

    Returns:
        Where the expression ends.

    Raises:
        Unreadable: At the first character that cannot be part of an expression.
    """
    nesting = _Nesting()
    previous = ""  # the token before this one
    after_operand = False
    index = start
    while index < len(text):
        if placeholder and not nesting.levels and text.startswith("}}", index):
            return index
        match = _TOKEN.match(text, index)
        kind = match.lastgroup if match else None
        if match is None or kind is None or kind == "refused":
            raise _unexpected(text, index, match.group() if match else text[index])
        token = match.group()
        if match.end() - start > MAX_TEXT:
            raise Unreadable(start, f"longer than {MAX_TEXT:,} characters")
        if kind != "space":
            _check_token(kind, token, previous, text, index)
            after_operand = _follow(nesting, kind, token, previous, after_operand, index)
            previous = token
        if nesting.total > MAX_NESTING:
            raise Unreadable(index, f"nested deeper than {MAX_NESTING}")
        index = match.end()
    if nesting.levels:
        bracket, opened_at, _, _ = nesting.levels[-1]
        raise Unreadable(opened_at, f"{bracket} is never closed")
    if placeholder:
        raise Unreadable(start, "{{ is never closed by }}")
    return index


def _follow(nesting: _Nesting, kind: str, token: str, previous: str, after_operand: bool, index: int) -> bool:
    """Note a token; return whether it ends an operand."""
    if kind == "open":
        nesting.open(token, index)
    elif kind == "close":
        nesting.close(token, index)
        return True
    elif kind in ("text", "number") or (kind == "name" and (token not in WORDS or previous == ".")):
        nesting.operand()
        return True
    elif token in ("True", "False", "None"):
        nesting.operand()
        return True
    elif token in ("-", "+", "not") and not after_operand:
        nesting.prefix()
    elif token == "else":
        nesting.alternative()
    elif token in (",", ":", "for"):
        nesting.separator()
    return False


def _check_token(kind: str, token: str, previous: str, text: str, index: int) -> None:
    following = text[index + len(token) : index + len(token) + 1]
    if kind == "number":
        if following.isalnum() or following == "_":
            raise Unreadable(index, "write numbers in plain decimals")
    elif kind == "name":
        if previous == "." and iskeyword(token):
            raise Unreadable(index, f'write ["{token}"] for this key')
        if previous != "." and iskeyword(token) and token not in WORDS:
            raise Unreadable(index, f"there is no {token} in expressions")
        if following in ('"', "'") and following and token not in WORDS:
            raise Unreadable(index, "text has no prefixes")
    elif kind == "text":
        for escape in _ESCAPE.finditer(token):
            if escape["unknown"] is not None:
                raise Unreadable(index + escape.start(), "unknown escape in text; write \\\\ for a backslash")


def _unexpected(text: str, index: int, token: str) -> Unreadable:
    if token.isalpha():
        return Unreadable(index, f"{quoted(token)} is no letter of names; write such a key in brackets and quotes")
    hint = _HINTS.get(token) or _HINTS.get(token[:1])
    return Unreadable(index, f"unexpected {quoted(token)}" + (f": {hint}" if hint else ""))
