"""The language of expressions: what they mean, and how they fail."""

import json
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from graphwire.errors import ExpressionFailed, ExpressionInvalid
from graphwire.graphs.expressions import compile_expression

STATE: dict[str, Any] = {
    "total": 150,
    "rate": 0.5,
    "vip": True,
    "name": "Ada",
    "nothing": None,
    "tags": ["b", "a"],
    "orders": [{"price": 5, "open": True}, {"price": 20, "open": False}],
    "by_city": {"Oslo": 3, "Rome": 1},
    "items": {"keys": 1},
    "key": "total",
    "__class__": "just a key",
}


def value(text: str, state: dict[str, Any] | None = None) -> Any:
    return compile_expression(text).evaluate({"state": STATE if state is None else state})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("true and not false or null", True),
        ("[1, 2.5, 'a', null, {\"b\": true}]", [1, 2.5, "a", None, {"b": True}]),
        ("state.total + state.rate * 2 - 1", 150),
        ("7 / 2", 3.5),
        ("-7 // 2", -4),
        ("-7 % 3", 2),
        ("-9223372036854775808", -(2**63)),
        ("'ab' + 'c' * 2", "abcc"),
        ("[1] + [2] * 2", [1, 2, 2]),
        ("0 < state.rate < 1 <= 1", True),
        ("1 < 0 < state.missing", False),
        ("state.nothing is null and state.vip is true and 1 is not true", True),
        ("'yes' if state.total > 100 else 'no'", "yes"),
        ("state.orders[-1].price", 20),
        ('state["orders"][0]["price"]', 5),
        ("state.tags[::-1]", ["a", "b"]),
        ("state.name[1:]", "da"),
        ("state[state.key]", 150),
        ("state.items.keys", 1),
        ("state.__class__", "just a key"),
        ("'a' in state.tags and 'Oslo' in state.by_city and 'd' in state.name", True),
        ("'vip' in state and 'total' not in state.by_city", True),
        ("'x' in state", False),
        ("[o.price * 2 for o in state.orders if o.open]", [10]),
        ("[k for k, n in items(state.by_city) if n > 1]", ["Oslo"]),
        ("{k: n + 1 for k, n in items(state.by_city)}", {"Oslo": 4, "Rome": 2}),
        ("[[x, y] for x in [1, 2] for_ in []]", None),
        ("sum(o.price for o in state.orders)", 25),
        ("[[x * y for y in [1, 2]] for x in [1, 2]]", [[1, 2], [2, 4]]),
        ("len(state.tags) + len(state.name) + len(state.by_city)", 7),
        ("min(3, 1, 2) + max([1.5, 1])", 2.5),
        ("any([false, 1]) and not all([1, 0])", True),
        ("sorted(state.tags)", ["a", "b"]),
        ("abs(-2) + round(2.567, 1) + round(1.2)", 5.6),
        ('str(1) + str(1.5) + str(true) + str(null) + str(\'x\') + str([1, {"a": "é"}])', '11.5truenullx[1,{"a":"é"}]'),
        ("int('-12') + int(2.9) + float('1e2') + int(true)", 91.0),
        ("bool('') or bool([])", False),
        ("range(3) + range(5, 1, -2)", [0, 1, 2, 5, 3]),
        ("keys(state.by_city) + values(state.by_city)", ["Oslo", "Rome", 3, 1]),
        ("has(state.vip) and has(state.by_city.Oslo) and has(state.orders[1].price)", True),
        ("has(state.no) or has(state.total.deeper) or has(state.orders[9]) or has(state.nothing.x)", False),
        ('get(state, "no", 3) + get(state.by_city, "Oslo") + get(state.tags, 7, 1)', 7),
        ('get(state, "no") is null and get(null, "x", 1) == 1', True),
        ("' A-b '.strip().lower().replace('-', '').upper()", "AB"),
        ("', '.join('a b'.split() + 'c;d'.split(';'))", "a, b, c, d"),
        ("state.name.startswith('A') and state.name.endswith('a')", True),
        ("\n 1 +\r\n\t2 ", 3),
        (r'"\u00e9\n\x41\\" ' + "+ '{{'", "é\nA\\{{"),
    ],
)
def test_an_expression_means_what_it_says(text: str, expected: Any) -> None:
    if expected is None:
        with pytest.raises(ExpressionInvalid):
            compile_expression(text)
        return

    assert value(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 == 1.0", True),
        ("true == 1", False),
        ("false == 0", False),
        ("'1' == 1", False),
        ("null == false", False),
        ('[1, {"a": [true]}] == [1.0, {"a": [true]}]', True),
        ("[true] == [1]", False),
        ('{"a": 1, "b": 2} == {"b": 2.0, "a": 1}', True),
        ('{"a": 1} != {"b": 1}', True),
        ("[] == {}", False),
        ("true in [1, 0]", False),
        ("1.0 in [1]", True),
        ('5 in {"5": 1}', False),
    ],
)
def test_equality_is_that_of_json(text: str, expected: bool) -> None:
    assert value(text) is expected


def test_keys_come_before_anything_that_python_knows() -> None:
    state = {"total": {"items": 2, "__len__": 3, "real": 4}}

    assert value("state.total.items + state.total.__len__ + state.total.real", state) == 9


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("state.total > 100", {"total"}),
        ('state["a"].b[state.c] + get(state, "d", state.e)', {"a", "c", "d", "e"}),
        ("has(state.f.g) and 'h' in state", {"f", "h"}),
        ("1 + 1", set()),
        ("state[state.key]", None),
        ("len(state)", None),
        ("get(state, state.key)", None),
        ("state.a in state", None),
    ],
)
def test_an_expression_says_which_keys_it_reads(text: str, keys: set[str] | None) -> None:
    assert compile_expression(text).keys == keys


def test_only_the_keys_that_are_named_are_read() -> None:
    class Watched(dict[str, Any]):
        def __getitem__(self, key: str) -> Any:
            read.append(key)
            return super().__getitem__(key)

    read: list[str] = []

    compile_expression("state.vip and state.total > 1").evaluate({"state": Watched(STATE)})

    assert read == ["vip", "total"]


def test_roots_are_those_that_were_given() -> None:
    edge = compile_expression(
        "result.n + state.n if error is null else 0", roots=frozenset({"state", "result", "error"})
    )

    assert edge.roots_used == {"state", "result", "error"}
    assert edge.evaluate({"state": {"n": 1}, "result": {"n": 2}, "error": None}) == 3
    with pytest.raises(ExpressionInvalid, match="there is no result here, only state"):
        compile_expression("result.n")


def test_the_variable_of_a_comprehension_ends_with_it() -> None:
    with pytest.raises(ExpressionInvalid, match='unknown name "x"'):
        compile_expression("[x for x in [1]] + [x]")
    with pytest.raises(ExpressionInvalid, match="new name"):
        compile_expression("[1 for state in [1]]")


def test_an_expression_can_be_evaluated_again_and_again() -> None:
    squares = compile_expression("[x * state.n for x in range(100)]")

    assert [squares.evaluate({"state": {"n": n}})[3] for n in range(2000)] == [3 * n for n in range(2000)]


@pytest.mark.bad_input(46)
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 / 0", "division by zero"),
        ("1.5 % (state.total - 150)", "division by zero"),
        ("9223372036854775808 + 1", "beyond ±2^63"),
        ("1e308 * 10", "overflows"),
        ("state.no", 'the key "no" is missing'),
        ("state.by_city.Bonn", 'the key "Bonn" is missing'),
        ("state['tot' + 'als']", "the key is missing"),
        ("state.tags[2]", "index 2 is outside a list of 2"),
        ("state.tags.a", 'a list has no keys, asked for "a"'),
        ("state.total.a", 'a number has no keys, asked for "a"'),
        ("state.tags[true]", "a list has no index, asked for with a boolean"),
        ("state.nothing['a']", "null has no key"),
        ("state.name > 100", "> does not compare text with a number"),
        ("[1] < [2]", "< does not compare a list with a list"),
        ("true < 2", "< does not compare a boolean with a number"),
        ("1 + '1'", "+ does not take a number and text; write str"),
        ("true + 1", "+ does not take a boolean and a number"),
        ("-state.name", "- does not take text"),
        ("state.name % 3", "% does not take text and a number; there is no formatting"),
        ("state.tags - 1", "- does not take a list and a number"),
        ("1 in 5", "in does not look into a number"),
        ("1 in 'a1'", "in does not look for a number in text"),
        ("sum(['a'])", "sum takes numbers only"),
        ("max([])", "max of nothing"),
        ("sorted([1, 'a'])", "sorted takes only numbers or only texts"),
        ("int('12.5')", "int cannot read this text"),
        ("float('nan')", "float cannot read this text"),
        ("float('1e999')", "overflows"),
        ("len(5)", "len does not take a number"),
        ("state.total.upper()", "text.upper() is for text, not a number"),
        ("','.join([1])", "join takes a list of texts"),
        ("'a'.split('')", "separator"),
        ("[x for x in 'abc']", "for goes through a list"),
        ("[1 for a, b in [[1]]]", "a list does not give 2 variables"),
        ("{1 + 1: 2}", "keys of a mapping are text"),
        ("state.tags[::0]", "step of a slice"),
        ("get(state.total, 'a')", "get does not look into a number"),
    ],
)
def test_what_cannot_be_evaluated_fails_with_the_kinds_and_the_place(text: str, said: str) -> None:
    with pytest.raises(ExpressionFailed) as failed:
        value(text)

    assert failed.value.code == "expression_error"
    assert said in failed.value.detail
    assert failed.value.facts["line"] == 1


@pytest.mark.bad_input(46)
@pytest.mark.parametrize("text", ["1", "'true'", "null", "[]", "state.total"])
def test_a_condition_that_is_no_boolean_fails(text: str) -> None:
    with pytest.raises(ExpressionFailed, match="a condition must be true or false"):
        compile_expression(text).evaluate_condition({"state": STATE})


def test_a_condition_is_true_or_false() -> None:
    condition = compile_expression("state.total > 100")

    assert condition.evaluate_condition({"state": {"total": 101}}) is True
    assert condition.evaluate_condition({"state": {"total": 99.5}}) is False


@pytest.mark.bad_input(46)
def test_a_failure_names_its_place_in_a_long_expression() -> None:
    with pytest.raises(ExpressionFailed) as failed:
        value("1 < 2 and (\n  'é' == 'é' and state.vip + 1)")

    assert failed.value.facts == {"line": 2, "column": 18}


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=10,
)


@settings(deadline=None)
@given(one=json_values, other=json_values)
def test_equality_is_reflexive_and_symmetric(one: Any, other: Any) -> None:
    same = compile_expression("state.a == state.b")

    assert same.evaluate({"state": {"a": one, "b": json.loads(json.dumps(one))}}) is True
    assert same.evaluate({"state": {"a": one, "b": other}}) == same.evaluate({"state": {"a": other, "b": one}})


numbers = st.integers(-1000, 1000) | st.sampled_from([0.5, -2.25])


@settings(deadline=None)
@given(
    numbers=st.lists(numbers, min_size=2, max_size=8),
    signs=st.lists(st.sampled_from(["+", "-", "*", "<", "==", "and", "or"]), min_size=7, max_size=7),
)
def test_operators_bind_as_they_do_in_python(numbers: list[float], signs: list[str]) -> None:
    text = str(numbers[0]) + "".join(f" {sign} {number}" for sign, number in zip(signs, numbers[1:], strict=False))

    try:
        got = value(text)
    except ExpressionFailed:
        return  # a boolean that is calculated with, or a number beyond the range

    assert got == eval(text)  # the reference: Python itself, on text made here of numbers and signs
