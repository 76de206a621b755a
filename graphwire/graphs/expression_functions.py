"""The functions and the text methods of expressions, each paid for before it does its work."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from graphwire.graphs.expression_operations import (
    MADE,
    NUMBERS,
    CostFault,
    Fault,
    Frame,
    in_range,
    kind,
    make,
    spend,
    spend_search,
    text_size,
    to_text,
)

_WHOLE = re.compile(r"[+-]?[0-9]{1,19}")
_FRACTION = re.compile(r"[+-]?(?:[0-9]{1,400}(?:\.[0-9]{0,400})?|\.[0-9]{1,400})(?:[eE][+-]?[0-9]{1,4})?")
_PART = 64  # bytes that a small text takes


@dataclass(frozen=True, slots=True)
class Function:
    """A function of expressions.

    Attributes:
        call: Takes the frame, then the arguments (for a method, the text first). Raises ``Fault``.
        least: How many arguments it takes at least (a method's text not counted).
        most: How many at most; None for any number.
        usage: How it is written.
    """

    call: Callable[..., Any]
    least: int
    most: int | None
    usage: str


def _sized(name: str, value: Any) -> Any:
    if type(value) in (list, dict):
        return value
    raise Fault(f"{name} does not take {kind(value)}")


def _items(name: str, value: Any) -> list[Any]:
    """Give the items of a list, or the keys of a mapping."""
    return value if type(value) is list else list(_sized(name, value))


def _text(name: str, value: Any) -> str:
    if type(value) is str:
        return value
    raise Fault(f"{name} takes text, not {kind(value)}")


def _integer(name: str, value: Any) -> int:
    if type(value) is int:
        return value
    raise Fault(f"{name} takes whole numbers, not {kind(value)}")


def _length(frame: Frame, value: Any) -> int:
    return len(value) if type(value) is str else len(_sized("len", value))


def _sum(frame: Frame, values: Any) -> Any:
    values = _items("sum", values)
    spend(frame, len(values))
    if not NUMBERS.issuperset(map(type, values)):
        raise Fault("sum takes numbers only")
    try:
        return in_range(sum(values))
    except OverflowError:
        raise Fault("a number overflows") from None


def _comparable(frame: Frame, name: str, values: list[Any]) -> list[Any]:
    """Check that values can be ordered, and pay for going through them once."""
    spend(frame, len(values))
    if NUMBERS.issuperset(map(type, values)):
        return values
    if all(type(value) is str for value in values):
        spend(frame, sum(map(len, values)) >> 8)
        return values
    raise Fault(f"{name} takes only numbers or only texts")


def _extreme(name: str, choose: Callable[[list[Any]], Any]) -> Callable[..., Any]:
    def call(frame: Frame, first: Any, *others: Any) -> Any:
        values = _comparable(frame, name, [first, *others] if others else _items(name, first))
        if not values:
            raise Fault(f"{name} of nothing")
        return choose(values)

    return call


def _sorted(frame: Frame, values: Any) -> list[Any]:
    values = _items("sorted", values)
    _comparable(frame, "sorted", values)
    rounds = len(values).bit_length()
    spend(frame, (len(values) * rounds) >> 3)  # a comparison in C is far below a step …
    if values and type(values[0]) is str:
        spend(frame, (sum(map(len, values)) >> 8) * rounds)  # … but for long texts
    make(frame, 16 * len(values))
    return sorted(values)


def _all(frame: Frame, values: Any) -> bool:
    values = _items("all", values)
    spend(frame, len(values))
    return all(values)


def _any(frame: Frame, values: Any) -> bool:
    values = _items("any", values)
    spend(frame, len(values))
    return any(values)


def _absolute(frame: Frame, value: Any) -> Any:
    if type(value) not in NUMBERS:
        raise Fault(f"abs does not take {kind(value)}")
    return in_range(abs(value))


def _round(frame: Frame, value: Any, digits: Any = None) -> Any:
    if type(value) not in NUMBERS:
        raise Fault(f"round does not take {kind(value)}")
    if digits is None:
        return in_range(round(value))
    if not -30 <= _integer("round", digits) <= 30:
        raise Fault("round takes from -30 to 30 digits")
    return in_range(round(value, digits))


def _to_whole(frame: Frame, value: Any) -> int:
    if type(value) is str and _WHOLE.fullmatch(value.strip() if len(value) < 100 else value):
        return int(in_range(int(value)))
    if type(value) in NUMBERS or type(value) is bool:
        return int(in_range(int(value)))
    raise Fault(f"int cannot read this {'text' if type(value) is str else kind(value)}")


def _to_fraction(frame: Frame, value: Any) -> float:
    if type(value) is str and len(value) < 1000 and _FRACTION.fullmatch(value.strip()):
        return float(in_range(float(value)))
    if type(value) in NUMBERS or type(value) is bool:
        return float(value)
    raise Fault(f"float cannot read this {'text' if type(value) is str else kind(value)}")


def _to_boolean(frame: Frame, value: Any) -> bool:
    return bool(value)


def _range(frame: Frame, *bounds: Any) -> list[int]:
    for bound in bounds:
        _integer("range", bound)
    if len(bounds) == 3 and bounds[2] == 0:
        raise Fault("the step of range cannot be 0")
    numbers = range(*bounds)
    try:
        count = len(numbers)
    except OverflowError:
        raise CostFault("range is too long") from None
    spend(frame, count)
    make(frame, 16 * count)
    return list(numbers)


def _mapping(name: str, value: Any) -> dict[str, Any]:
    if type(value) is dict:
        return value
    raise Fault(f"{name} takes a mapping, not {kind(value)}")


def _keys(frame: Frame, value: Any) -> list[str]:
    make(frame, 16 * len(_mapping("keys", value)))
    return list(value)


def _values(frame: Frame, value: Any) -> list[Any]:
    make(frame, 16 * len(_mapping("values", value)))
    return list(value.values())


def _pairs(frame: Frame, value: Any) -> list[list[Any]]:
    spend(frame, len(_mapping("items", value)))
    make(frame, 2 * _PART * len(value))
    return [[key, each] for key, each in value.items()]


def _get(frame: Frame, value: Any, key: Any, default: Any = None) -> Any:
    """Look up a key or a place, or give the default where it is missing. Null has no keys."""
    if value is None:
        return default
    if type(value) is list:
        place = _integer("get", key)
        return value[place] if -len(value) <= place < len(value) else default
    if not isinstance(value, Mapping):
        raise Fault(f"get does not look into {kind(value)}")
    return value.get(_text("get", key), default)


def _lower(frame: Frame, text: str) -> str:
    make(frame, text_size(text))
    return text.lower()


def _upper(frame: Frame, text: str) -> str:
    make(frame, text_size(text))
    upper = text.upper()
    make(frame, max(text_size(upper) - text_size(text), 0))  # some letters become three
    return upper


def _strip(frame: Frame, text: str, characters: Any = None) -> str:
    if characters is not None and len(_text("strip", characters)) > 64:
        raise Fault("strip takes at most 64 characters")
    make(frame, text_size(text))
    return text.strip(characters)


def _split(frame: Frame, text: str, separator: Any = None) -> list[str]:
    if separator is not None and not _text("split", separator):
        raise Fault("split needs a separator that is not empty")
    spend_search(frame, text, separator or " ")
    make(frame, text_size(text))
    parts = text.split(separator, max(frame[MADE], 0) // _PART + 1)
    make(frame, _PART * len(parts))
    return parts


def _join(frame: Frame, text: str, parts: Any) -> str:
    if type(parts) is not list or not all(type(part) is str for part in parts):
        raise Fault("join takes a list of texts; write [str(x) for x in …]")
    spend(frame, len(parts))
    make(frame, sum(map(text_size, parts)) + text_size(text) * max(len(parts) - 1, 0))
    return text.join(parts)


def _replace(frame: Frame, text: str, old: Any, new: Any) -> str:
    _text("replace", new)
    spend_search(frame, text, _text("replace", old))
    make(frame, text_size(text))
    make(frame, text.count(old) * text_size(new))
    return text.replace(old, new)


def _starts(frame: Frame, text: str, part: Any) -> bool:
    spend(frame, len(_text("startswith", part)) >> 8)
    return text.startswith(part)


def _ends(frame: Frame, text: str, part: Any) -> bool:
    spend(frame, len(_text("endswith", part)) >> 8)
    return text.endswith(part)


FUNCTIONS: Mapping[str, Function] = {
    "len": Function(_length, 1, 1, "len(x)"),
    "sum": Function(_sum, 1, 1, "sum(list)"),
    "min": Function(_extreme("min", min), 1, None, "min(list)"),
    "max": Function(_extreme("max", max), 1, None, "max(list)"),
    "any": Function(_any, 1, 1, "any(list)"),
    "all": Function(_all, 1, 1, "all(list)"),
    "sorted": Function(_sorted, 1, 1, "sorted(list)"),
    "abs": Function(_absolute, 1, 1, "abs(number)"),
    "round": Function(_round, 1, 2, "round(number, digits)"),
    "str": Function(to_text, 1, 1, "str(x)"),
    "int": Function(_to_whole, 1, 1, "int(x)"),
    "float": Function(_to_fraction, 1, 1, "float(x)"),
    "bool": Function(_to_boolean, 1, 1, "bool(x)"),
    "range": Function(_range, 1, 3, "range(start, stop, step)"),
    "keys": Function(_keys, 1, 1, "keys(mapping)"),
    "values": Function(_values, 1, 1, "values(mapping)"),
    "items": Function(_pairs, 1, 1, "items(mapping)"),
    "get": Function(_get, 2, 3, 'get(mapping, "key", default)'),
}

METHODS: Mapping[str, Function] = {
    "lower": Function(_lower, 0, 0, "text.lower()"),
    "upper": Function(_upper, 0, 0, "text.upper()"),
    "strip": Function(_strip, 0, 1, "text.strip()"),
    "split": Function(_split, 0, 1, 'text.split(",")'),
    "join": Function(_join, 1, 1, '", ".join(list)'),
    "replace": Function(_replace, 2, 2, "text.replace(old, new)"),
    "startswith": Function(_starts, 1, 1, "text.startswith(part)"),
    "endswith": Function(_ends, 1, 1, "text.endswith(part)"),
}
