"""The closures that expressions are compiled to, and how what fails in one finds its place in the text."""

import ast
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from graphwire.errors import ExpressionCost, ExpressionFailed, quoted
from graphwire.graphs.expression_operations import CostFault, Fault, Frame, kind, make, spend
from graphwire.graphs.expression_scanner import Source

Evaluate: TypeAlias = Callable[[Frame], Any]
Link: TypeAlias = Callable[[Frame, Any], Any]
"""One more thing done to a value: a key, an index, a method, an operator with its right side."""


class Place:
    """Where in which expression something can go wrong; makes the error for it."""

    __slots__ = ("_node", "_source")

    def __init__(self, source: Source, node: ast.expr) -> None:
        self._source = source
        self._node = node

    def error(self, fault: Fault) -> ExpressionFailed:
        """Make the error that the evaluation fails with."""
        line, column = self._source.place_of_node(self._node.lineno, self._node.col_offset)
        detail = f"{fault}, at line {line}, column {column} of {quoted(self._source.text)}"
        error = ExpressionCost if isinstance(fault, CostFault) else ExpressionFailed
        return error(detail, line=line, column=column)


def constant(value: Any) -> Evaluate:
    """Always the same value, which nothing can change."""
    return lambda frame: value


def slot_reader(slot: int) -> Evaluate:
    """A root or a variable."""
    return lambda frame: frame[slot]


def linked(base: Evaluate, links: Sequence[Link]) -> Evaluate:
    """Do one thing after the other to a value, in a loop: a long chain costs no depth."""
    if not links:
        return base
    if len(links) == 1:
        link = links[0]
        return lambda frame: link(frame, base(frame))

    def follow(frame: Frame) -> Any:
        value = base(frame)
        for link in links:
            value = link(frame, value)
        return value

    return follow


def operated(function: Callable[[Frame, Any, Any], Any], right: Evaluate, place: Place) -> Link:
    """An operator with its right side."""

    def operate(frame: Frame, value: Any) -> Any:
        other = right(frame)
        try:
            return function(frame, value, other)
        except Fault as fault:
            raise place.error(fault) from None

    return operate


def called(function: Callable[..., Any], arguments: Sequence[Evaluate], place: Place) -> Evaluate:
    """A function of the frame and its arguments."""

    def call(frame: Frame) -> Any:
        values = [argument(frame) for argument in arguments]
        try:
            return function(frame, *values)
        except Fault as fault:
            raise place.error(fault) from None

    return call


def method_called(function: Callable[..., Any], usage: str, arguments: Sequence[Evaluate], place: Place) -> Link:
    """A method of a text."""

    def call(frame: Frame, value: Any) -> Any:
        values = [argument(frame) for argument in arguments]
        if type(value) is not str:
            raise place.error(Fault(f"{usage} is for text, not {kind(value)}"))
        try:
            return function(frame, value, *values)
        except Fault as fault:
            raise place.error(fault) from None

    return call


def state_key_reader(slot: int, key: str, place: Place) -> Evaluate:
    """A key of the state: what most conditions begin with."""

    def read(frame: Frame) -> Any:
        try:
            return frame[slot][key]
        except KeyError:
            raise place.error(missing(key)) from None

    return read


def key_reader(key: str, place: Place) -> Link:
    """A key of a mapping."""

    def read(frame: Frame, value: Any) -> Any:
        if type(value) is not dict:
            raise place.error(Fault(f"{kind(value)} has no keys, asked for {quoted(key)}"))
        try:
            return value[key]
        except KeyError:
            raise place.error(missing(key)) from None

    return read


def missing(key: str) -> Fault:
    """Say that a key is missing, and how to ask for it."""
    return Fault(f"the key {quoted(key)} is missing; ask with has(…) or get(…)")


def comprehension(
    values: Evaluate,
    bind: Callable[[Frame, Any], None],
    conditions: Sequence[Evaluate],
    element: Callable[[Frame], Any],
    cost: int,
    place: Place,
) -> Callable[[Frame], list[Any]]:
    """The element of every item whose conditions hold. All turns are paid for before the first, ``cost`` each."""

    def collect(frame: Frame) -> list[Any]:
        items = values(frame)
        made = []
        try:
            if type(items) is dict:
                items = list(items)
            elif type(items) is not list:
                raise Fault(f"for goes through a list or the keys of a mapping, not {kind(items)}")
            spend(frame, len(items) * cost)
            for item in items:
                bind(frame, item)
                if all(condition(frame) for condition in conditions):
                    made.append(element(frame))
            make(frame, 16 * len(made))
        except Fault as fault:
            raise place.error(fault) from None
        return made

    return collect
