"""Problems of the expressions and templates of one definition."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from graphwire.errors import ExpressionInvalid, Problem, quoted
from graphwire.graphs.expressions import compile_expression
from graphwire.graphs.templates import compile_template
from graphwire.near_names import NearNames

STATE_ROOTS: Final = frozenset({"state"})
EDGE_ROOTS: Final = frozenset({"state", "result", "error"})

_Outcome = frozenset[str] | tuple[Problem, ...] | None
"""The keys that an expression reads (None: any), or why it does not compile."""


class ExpressionChecks:
    """Compiles each text once; graphs repeat their conditions."""

    def __init__(self) -> None:
        self._near = NearNames()
        self._outcomes: dict[tuple[str, frozenset[str] | None], _Outcome] = {}

    def expression(self, text: str, at: str, roots: frozenset[str], known: frozenset[str] | None) -> Iterator[Problem]:
        """Give what is wrong with an expression. ``known`` are the state keys that there are, None if any."""
        return self._problems(text, at, roots, known)

    def template(self, text: str, at: str, known: frozenset[str] | None) -> Iterator[Problem]:
        """Give what is wrong with a template, likewise."""
        return self._problems(text, at, None, known)

    def _problems(
        self, text: str, at: str, roots: frozenset[str] | None, known: frozenset[str] | None
    ) -> Iterator[Problem]:
        if (text, roots) not in self._outcomes:
            self._outcomes[text, roots] = _compiled(text, roots)
        outcome = self._outcomes[text, roots]
        if isinstance(outcome, tuple):
            yield from (replace(problem, pointer=at) for problem in outcome)
        elif outcome is not None and known is not None:
            for key in sorted(outcome - known):
                detail = f"the state has no key {quoted(key)}{self._near(key, known)}"
                yield Problem(at, "unknown_key", detail)


def _compiled(text: str, roots: frozenset[str] | None) -> _Outcome:
    try:
        return compile_template(text).keys if roots is None else compile_expression(text, roots=roots).keys
    except ExpressionInvalid as error:
        return error.problems
