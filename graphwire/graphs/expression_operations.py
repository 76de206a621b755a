"""What operators do to JSON values, and what that costs.

All of it works on exact types (``str int float bool None list dict``): a boolean is no number, text and numbers
neither compare nor add, and nothing here ever asks a value for an attribute.
"""

import operator
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import msgspec

MAX_STEPS = 50_000
MAX_MADE = 1_048_576
MAX_WHOLE = 2**63
MIN_WHOLE = -(2**63)
MAX_FRACTION = 1.7976931348623157e308

Frame: TypeAlias = list[Any]
"""One evaluation: steps left, bytes left, then the roots and the variables of its comprehensions.

A list, not a class: making it is part of every condition's microsecond.
"""

STEPS, MADE = 0, 1

NUMBERS = frozenset({int, float})
SCALARS = frozenset({int, float, bool, str, type(None)})

_TEXT_STEP = 8  # a step stands for 256 characters compared or copied
_encode = msgspec.json.Encoder().encode


class Fault(Exception):
    """An operation cannot be carried out. The caller knows where and makes an error for people of it."""


class CostFault(Fault):
    """An operation would go over what an evaluation may take."""


def spend(frame: Frame, steps: int) -> None:
    """Take steps off the budget; called once for a whole loop, before it."""
    frame[STEPS] -= steps
    if frame[STEPS] < 0:
        raise CostFault(f"it takes more than {MAX_STEPS:,} steps")


def make(frame: Frame, size: int) -> None:
    """Take bytes off the budget for values made; called before they are made."""
    frame[MADE] -= size
    if frame[MADE] < 0:
        raise CostFault(f"it makes values of more than {MAX_MADE:,} bytes")


def text_size(text: str) -> int:
    """Return the memory that a text's characters take, in constant time and never too small."""
    return len(text) if text.isascii() else 4 * len(text)


def kind(value: Any) -> str:
    """Say what a value is."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
    return "a mapping"


def whole(value: Any) -> Any:
    """Give a mapping that decodes lazily as a plain one; everything else as it is."""
    if type(value) is dict or type(value) in SCALARS or not isinstance(value, Mapping):
        return value
    return dict(value)


def in_range(value: Any) -> Any:
    """Return a number, or fail if JSON as the service reads it could not hold it."""
    if type(value) is int:
        if MIN_WHOLE <= value <= MAX_WHOLE:
            return value
        raise Fault("a whole number goes beyond ±2^63")
    if -MAX_FRACTION <= value <= MAX_FRACTION:  # false for NaN as well
        return value
    raise Fault("a number overflows")


def plus(frame: Frame, left: Any, right: Any) -> Any:
    """Add numbers, join texts or lists."""
    if type(left) in NUMBERS and type(right) in NUMBERS:
        return in_range(left + right)
    if type(left) is str and type(right) is str:
        make(frame, text_size(left) + text_size(right))
        return left + right
    if type(left) is list and type(right) is list:
        make(frame, 16 * (len(left) + len(right)))
        return left + right
    raise Fault(f"+ does not take {kind(left)} and {kind(right)}" + _str_hint(left, right))


def times(frame: Frame, left: Any, right: Any) -> Any:
    """Multiply numbers, or repeat a text or a list."""
    if type(left) in NUMBERS and type(right) in NUMBERS:
        return in_range(left * right)
    if type(left) is int:
        left, right = right, left
    if type(right) is int and type(left) in (str, list):
        size = text_size(left) if type(left) is str else 16 * len(left)
        make(frame, size * max(right, 0))
        return left * max(right, 0) if size else left
    raise Fault(f"* does not take {kind(left)} and {kind(right)}")


def arithmetic(sign: str, function: Callable[[Any, Any], Any]) -> Callable[[Frame, Any, Any], Any]:
    """Make an operator that takes numbers only."""

    def apply(frame: Frame, left: Any, right: Any) -> Any:
        if type(left) not in NUMBERS or type(right) not in NUMBERS:
            hint = "; there is no formatting, write a + str(b)" if sign == "%" and type(left) is str else ""
            raise Fault(f"{sign} does not take {kind(left)} and {kind(right)}{hint}")
        try:
            return in_range(function(left, right))
        except ZeroDivisionError:
            raise Fault("division by zero") from None
        except OverflowError:
            raise Fault("a number overflows") from None

    return apply


def negative(frame: Frame, value: Any) -> Any:
    """Change a number's sign."""
    if type(value) not in NUMBERS:
        raise Fault(f"- does not take {kind(value)}")
    return in_range(-value)


def positive(frame: Frame, value: Any) -> Any:
    """Return a number as it is."""
    if type(value) not in NUMBERS:
        raise Fault(f"+ does not take {kind(value)}")
    return value


def order(sign: str, function: Callable[[Any, Any], bool]) -> Callable[[Frame, Any, Any], bool]:
    """Make an ordering comparison: numbers with numbers, text with text."""

    def apply(frame: Frame, left: Any, right: Any) -> bool:
        if type(left) in NUMBERS and type(right) in NUMBERS:
            return function(left, right)
        if type(left) is str and type(right) is str:
            spend(frame, min(len(left), len(right)) >> _TEXT_STEP)
            return function(left, right)
        raise Fault(f"{sign} does not compare {kind(left)} with {kind(right)}")

    return apply


def equal(frame: Frame, left: Any, right: Any) -> bool:
    """Compare as JSON: 1 is 1.0, true is not 1, values of different kinds are different."""
    left_type, right_type = type(left), type(right)
    if left_type in NUMBERS and right_type in NUMBERS:
        return bool(left == right)
    if left_type in SCALARS or right_type in SCALARS:
        if left_type is not right_type:
            return False
        if left_type is str and len(left) > 256:
            spend(frame, len(left) >> _TEXT_STEP)
        return bool(left == right)
    return _deep_equal(frame, left, right)


def unequal(frame: Frame, left: Any, right: Any) -> bool:
    """Compare as JSON."""
    return not equal(frame, left, right)


def _deep_equal(frame: Frame, left: Any, right: Any) -> bool:
    pairs = [(left, right)]
    while pairs:
        one, other = pairs.pop()
        if type(one) in SCALARS or type(other) in SCALARS:
            if not equal(frame, one, other):
                return False
        elif type(one) is not type(other) or len(one) != len(other):
            return False
        else:
            spend(frame, len(one) + 1)
            if type(one) is list:
                pairs.extend(zip(one, other, strict=True))
            elif one.keys() != other.keys():
                return False
            else:
                pairs.extend((value, other[key]) for key, value in one.items())
    return True


def contains(frame: Frame, item: Any, container: Any) -> bool:
    """``item in container``: an equal item of a list, a key of a mapping, a part of a text."""
    if type(container) is str:
        if type(item) is not str:
            raise Fault(f"in does not look for {kind(item)} in text")
        spend_search(frame, container, item)
        return item in container
    if type(container) is list:
        spend(frame, len(container))
        return any(equal(frame, item, each) for each in container)
    if isinstance(container, Mapping):
        return type(item) is str and item in container
    raise Fault(f"in does not look into {kind(container)}")


def lacks(frame: Frame, item: Any, container: Any) -> bool:
    """``item not in container``."""
    return not contains(frame, item, container)


def spend_search(frame: Frame, text: str, part: str) -> None:
    """Pay for looking for a part in a text; the standard search is quadratic for parts under 100 characters."""
    spend(frame, (len(text) * min(len(part) + 1, 100)) >> 9)


def lookup(value: Any, key: Any) -> Any:
    """``value[key]``: a key of a mapping, a place in a list or a text."""
    if type(key) is str and (type(value) is dict or isinstance(value, Mapping)):
        try:
            return value[key]
        except KeyError:
            raise Fault("the key is missing") from None
    if type(key) is int and type(value) in (list, str):
        try:
            return value[key]
        except IndexError:
            raise Fault(f"index {key} is outside {kind(value)} of {len(value):,}") from None
    raise Fault(f"{kind(value)} has no {'key' if type(key) is str else 'index'}, asked for with {kind(key)}")


def cut(frame: Frame, value: Any, start: Any, stop: Any, step: Any) -> Any:
    """``value[start:stop:step]`` of a list or a text."""
    if type(value) not in (list, str):
        raise Fault(f"{kind(value)} cannot be sliced")
    if any(bound is not None and type(bound) is not int for bound in (start, stop, step)):
        raise Fault("slices take whole numbers")
    if step == 0:
        raise Fault("the step of a slice cannot be 0")
    bounds = slice(start, stop, step)
    make(
        frame, len(range(*bounds.indices(len(value)))) * (16 if type(value) is list else 1 + 3 * (not value.isascii()))
    )
    return value[bounds]


def measure(frame: Frame, value: Any) -> None:
    """Pay for a value as a tree, each part as often as it is written when encoded. Without recursion."""
    left = frame[MADE]
    waiting = [value]
    while waiting:
        part = waiting.pop()
        left -= 16
        if type(part) is str:
            left -= text_size(part)
        elif type(part) is list:
            left -= 8 * len(part)
            if left >= 0:
                waiting.extend(part)
        elif type(part) is dict:
            left -= 8 * len(part)
            if left >= 0:
                left -= sum(map(len, part))
                waiting.extend(part.values())
        if left < 0:
            raise CostFault(f"it makes values of more than {MAX_MADE:,} bytes")
    frame[MADE] = left


def to_text(frame: Frame, value: Any) -> str:
    """Return text as it is, everything else as JSON."""
    if type(value) is str:
        return value
    measure(frame, value)
    return _encode(value).decode()


def _str_hint(left: Any, right: Any) -> str:
    return "; write str(…) around what is no text" if type(left) is str or type(right) is str else ""


BINARY: Mapping[str, Callable[[Frame, Any, Any], Any]] = {
    "Add": plus,
    "Sub": arithmetic("-", operator.sub),
    "Mult": times,
    "Div": arithmetic("/", operator.truediv),
    "FloorDiv": arithmetic("//", operator.floordiv),
    "Mod": arithmetic("%", operator.mod),
}

COMPARISONS: Mapping[str, Callable[[Frame, Any, Any], bool]] = {
    "Eq": equal,
    "NotEq": unequal,
    "Lt": order("<", operator.lt),
    "LtE": order("<=", operator.le),
    "Gt": order(">", operator.gt),
    "GtE": order(">=", operator.ge),
    "In": contains,
    "NotIn": lacks,
}
