"""Templates: text with ``{{ expression }}`` in it, one language for prompts, addresses and bodies."""

from collections.abc import Mapping
from typing import Any

from graphwire.errors import ExpressionCost, ExpressionInvalid, Problem
from graphwire.graphs.expression_operations import MAX_MADE, MAX_STEPS, Fault, Frame, make, text_size, to_text
from graphwire.graphs.expression_scanner import Source, Unreadable, scan
from graphwire.graphs.expressions import Expression, compile_source

MAX_PLACEHOLDERS = 1000

_ROOTS = frozenset({"state"})


class Template:
    """A compiled template. Immutable.

    Attributes:
        text: What was compiled.
        keys: The keys of the state that it can read; None if it uses the whole state or computes a key.
    """

    __slots__ = ("_parts", "keys", "text")

    def __init__(self, text: str, parts: list[str | Expression]) -> None:
        self.text = text
        self._parts = parts
        keys = [part.keys for part in parts if isinstance(part, Expression)]
        named = [each for each in keys if each is not None]
        self.keys: frozenset[str] | None = frozenset().union(*named) if len(named) == len(keys) else None

    def render(self, state: Mapping[str, Any]) -> str:
        """Return the text with each placeholder replaced by its value: text as it is, anything else as JSON.

        What a placeholder gives is never read as a template again.

        Raises:
            ExpressionFailed: As for ``Expression.evaluate``.
            ExpressionCost: Likewise, and when the values come to more than 1 MiB.
        """
        roots = {"state": state}
        frame: Frame = [MAX_STEPS, MAX_MADE]
        rendered: list[str] = []
        for part in self._parts:
            if isinstance(part, str):
                rendered.append(part)
                continue
            value = part.evaluate(roots)
            try:
                rendered.append(to_text(frame, value))
                make(frame, text_size(value) if type(value) is str else 0)
            except Fault:
                raise ExpressionCost(f"the values of a template come to more than {MAX_MADE:,} bytes") from None
        return "".join(rendered)


def compile_template(text: str) -> Template:
    """Compile a template; its expressions know the root ``state``.

    Text outside ``{{ }}`` stays as it is, whatever it looks like; ``{{ "{{" }}`` gives two brackets.

    Raises:
        ExpressionInvalid: With every problem of every placeholder, its line and column in the template.
    """
    parts: list[str | Expression] = []
    problems: list[Problem] = []
    count = position = counted = line_start = 0
    line = 1
    while (opening := text.find("{{", position)) >= 0:
        count += 1
        start = opening + 2
        if newlines := text.count("\n", counted, start):
            line, line_start = line + newlines, text.rfind("\n", counted, start) + 1
        counted = start
        try:
            if count > MAX_PLACEHOLDERS:
                raise Unreadable(opening, f"more than {MAX_PLACEHOLDERS:,} placeholders")
            end = scan(text, start, placeholder=True)
        except Unreadable as error:
            whole = Source(text)
            problems.append(whole.problem(whole.place(error.index), error.detail))
            break
        parts.append(text[position:opening])
        try:
            parts.append(compile_source(Source(text[start:end], line, start - line_start + 1), _ROOTS))
        except ExpressionInvalid as error:
            problems.extend(error.problems)
        position = end + 2
    if problems:
        raise ExpressionInvalid(problems[0].detail, problems)
    parts.append(text[position:])
    return Template(text, [part for part in parts if part != ""])
