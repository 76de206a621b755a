"""Expressions: a bounded subset of Python's expression syntax over JSON values.

Roots are ``state`` and, on edges, ``result`` and ``error``. There are

- literals, also ``true``, ``false`` and ``null``; lists and mappings; ``x if c else y``;
- ``a.b`` and ``a["b"]``, which both look up a key (there are no attributes), indexes and slices;
- ``+ - * / // %`` (text and lists add and repeat; ``%`` is for numbers only), ``and or not``, which take and give
  values as in Python (null, false, 0, empty are false);
- comparisons, also chained. ``==`` compares as JSON: 1 is 1.0, true is not 1, and values of different kinds are
  different. ``<`` compares numbers, or texts, and nothing else. ``in`` asks for an item, a key or a part of a text.
  ``is`` and ``is not`` ask for ``null``, ``true`` and ``false`` only;
- comprehensions with one ``for`` over a list or the keys of a mapping (``for k, v in items(m)`` unpacks);
- functions: ``len sum min max any all sorted abs round str int float bool range keys values items has get``, and
  methods of text: ``lower upper strip split join replace startswith endswith``.

A missing key is an error: ask with ``has(state.vip)`` or ``get(state, "vip", false)``. What is not on these lists
does not exist: the text is compiled once, from an allowlist of syntax nodes, to closures over plain values.
"""

import ast
from collections.abc import Mapping
from typing import Any

from graphwire.errors import ExpressionInvalid, quoted
from graphwire.graphs.expression_closures import Evaluate, Place
from graphwire.graphs.expression_compiler import Compiler
from graphwire.graphs.expression_operations import MAX_MADE, MAX_STEPS, SCALARS, Fault, Frame, kind, measure
from graphwire.graphs.expression_scanner import Source, Unreadable, scan


class Expression:
    """A compiled expression. Immutable; may be evaluated by any number of callers.

    Attributes:
        text: What was compiled.
        keys: The keys of ``state`` that it can read; None if it uses the whole state or computes a key.
        roots_used: The roots that it reads.
    """

    __slots__ = ("_evaluate", "_frame", "_gives_made", "_place", "_roots", "keys", "roots_used", "text")

    def __init__(self, text: str, compiler: Compiler, evaluate: Evaluate, node: ast.expr) -> None:
        self.text = text
        self.keys: frozenset[str] | None = None if compiler.keys is None else frozenset(compiler.keys)
        self.roots_used = frozenset(compiler.roots_used)
        self._evaluate = evaluate
        self._place = Place(compiler.source, node)
        self._roots = tuple((compiler.root_slots[root], root) for root in sorted(compiler.roots_used))
        self._frame: Frame = [MAX_STEPS, MAX_MADE, *[None] * (compiler.size - 2)]
        self._gives_made = _gives_made(node)

    def evaluate(self, roots: Mapping[str, Any]) -> Any:
        """Return the value, a plain JSON value that may share parts with the roots: not to be changed.

        Takes 50,000 steps and makes 1 MiB of values at most, a result that is written out counted as a tree.

        Args:
            roots: A value for each of ``roots_used``: plain JSON, ``state`` any mapping to it.

        Raises:
            ExpressionFailed: A key is missing, kinds do not fit, a division by zero; with the place and the kinds.
            ExpressionCost: It takes or makes too much.
        """
        frame = self._frame.copy()
        for slot, root in self._roots:
            frame[slot] = roots[root]
        value = self._evaluate(frame)
        if type(value) not in SCALARS and self._gives_made:
            try:
                measure(frame, value)
            except Fault as fault:
                raise self._place.error(fault) from None
        return value

    def evaluate_condition(self, roots: Mapping[str, Any]) -> bool:
        """Return the value, which must be true or false.

        Raises:
            ExpressionFailed: As for ``evaluate``, and for every other value.
        """
        value = self.evaluate(roots)
        if value is True or value is False:
            return value
        raise self._place.error(Fault(f"a condition must be true or false, not {kind(value)}"))

    def __repr__(self) -> str:
        return f"Expression({quoted(self.text)})"


def compile_expression(text: str, *, roots: frozenset[str] = frozenset({"state"})) -> Expression:
    """Compile an expression of at most 4,096 characters, nested at most 32 deep.

    Args:
        text: The expression; it may span lines.
        roots: The names that stand for values.

    Raises:
        ExpressionInvalid: With every problem, its line and column, and what to write instead.
    """
    try:
        scan(text)
    except Unreadable as error:
        source = Source(text)
        problem = source.problem(source.place(error.index), error.detail)
        raise ExpressionInvalid(error.detail, [problem]) from None
    return compile_source(Source(text), roots)


def compile_source(source: Source, roots: frozenset[str]) -> Expression:
    """Compile what was scanned; for expressions inside other texts."""
    node = _parse(source)
    compiler = Compiler(source, roots)
    try:
        evaluate = compiler.compile(node)
    except RecursionError:
        raise _invalid(source, 0, "too deeply nested for this process") from None
    if compiler.problems:
        problems = sorted(compiler.problems, key=lambda problem: (problem.line or 0, problem.column or 0))
        raise ExpressionInvalid(problems[0].detail, problems)
    return Expression(source.text, compiler, evaluate, node)


def _parse(source: Source) -> ast.expr:
    if not source.text.strip():
        raise _invalid(source, 0, "the expression is empty")
    try:
        return ast.parse(f"({source.text})", mode="eval").body  # in brackets an expression may span lines
    except SyntaxError as error:
        lines = source.text.split("\n")
        before = sum(len(line) + 1 for line in lines[: (error.lineno or 1) - 1])
        column = (error.offset or 1) - (2 if (error.lineno or 1) == 1 else 1)
        index = min(max(before + column, 0), len(source.text))
        is_at_end = not source.text[index:].strip()
        detail = "the expression is not complete" if is_at_end else "this does not parse as an expression"
        raise _invalid(source, index, detail) from None
    except (ValueError, RecursionError, MemoryError):
        raise _invalid(source, 0, "this does not parse as an expression") from None


def _gives_made(node: ast.expr) -> bool:
    """Whether the value may have been put together by the expression, and not be a part of a root as it is."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
            return True
        node = node.value
    match node:
        case ast.Name() | ast.Constant() | ast.List(elts=[]) | ast.Dict(keys=[]):
            return False
        case ast.IfExp():
            return _gives_made(node.body) or _gives_made(node.orelse)
        case ast.BoolOp():
            return any(map(_gives_made, node.values))
        case ast.Call(func=ast.Name(id="get")):
            return any(_gives_made(argument) for argument in [node.args[0], *node.args[2:]])
    return True


def _invalid(source: Source, index: int, detail: str) -> ExpressionInvalid:
    return ExpressionInvalid(detail, [source.problem(source.place(index), detail)])
