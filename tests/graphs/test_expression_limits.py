"""What expressions refuse, before they are parsed and while they are evaluated."""

import tracemalloc
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given, settings, strategies as st

from graphwire.errors import ExpressionCost, ExpressionFailed, ExpressionInvalid
from graphwire.graphs.expressions import compile_expression

STATE: dict[str, Any] = {
    "numbers": list(range(40_000)),
    "text": "a" * 900_000,
    "hay": "a" * 29_000,
    "needle": "a" * 98 + "b",
    "records": [{"a": number} for number in range(5_000)],
    "zeros": [0] * 60_000,
}


@pytest.mark.bad_input(41)
@pytest.mark.parametrize(
    ("text", "column", "said"),
    [
        ("total > 100", 1, "written state.total"),
        ("state.a + eval('1')", 11, 'unknown function "eval"'),
        ("state.a.format(1)", 1, 'no method "format"'),
        ("state.a.items()", 1, "write items(mapping)"),
        ("1 +", 4, "not complete"),
        ("(1", 1, "( is never closed"),
        ("(1]", 3, "] does not close ("),
        ("state.a ** 2", 9, "no powers"),
        ("a = 1", 3, "compare with =="),
        ("state.a && state.b", 9, "write and"),
        ("!state.a", 1, "write not"),
        ("(1, 2)", 1, "write a list"),
        ("{1, 2}", 1, "write a list"),
        ("[*state.a]", 2, "add lists with +"),
        ("lambda: 1", 1, "no lambda"),
        ("(x := 1)", 4, "no assignments"),
        ("f'{1}'", 1, "no prefixes"),
        ("'%s' % 1", 1, "does not format"),
        ("[x for x in [] for y in []]", 1, "one for"),
        ("state.a is 1", 12, "compare with =="),
        ("state.class", 7, 'write ["class"]'),
        ("state.größe", 9, "in brackets and quotes"),
        ("len()", 1, "len(x)"),
        ("round(1, digits=2)", 16, "no named arguments"),
        ("has(5)", 1, "has(state.key)"),
        ("[1](2)", 1, "only the functions"),
        ("0x10", 1, "plain decimals"),
        ("1j", 1, "plain decimals"),
        (r"'\d'", 2, "unknown escape"),
        (r"'\ud800'", 1, "lone surrogate"),
        ("9223372036854775809", 1, "2^63"),
        ("-9223372036854775809", 2, "2^63"),
        ("1e999", 1, "too large"),
        ('"""a"""', 1, "quotes"),
        ("'a", 1, "not closed"),
        ("1 # one", 3, "no comments"),
        ("...", 1, "not a JSON value"),
        ("len", 1, "len is a function"),
        ("", 1, "empty"),
        ("\x00", 1, "unexpected"),
        ("state.a\r+ 1", 8, "unexpected"),
        ("\ud800", 1, "unexpected"),
    ],
)
def test_what_is_no_expression_is_refused_with_its_place_and_what_to_write_instead(
    text: str, column: int, said: str
) -> None:
    with pytest.raises(ExpressionInvalid) as refused:
        compile_expression(text)

    problem = refused.value.problems[0]
    assert (problem.line, problem.column) == (1, column)
    assert said in problem.detail


@pytest.mark.bad_input(41)
def test_all_problems_are_reported_at_once_in_the_order_of_the_text() -> None:
    with pytest.raises(ExpressionInvalid) as refused:
        compile_expression("foo(1) + bar\n  + (1, 2)[0] + state.a.b()")

    assert [(problem.line, problem.column) for problem in refused.value.problems] == [(1, 1), (1, 10), (2, 5), (2, 17)]


@pytest.mark.bad_input(42)
@pytest.mark.parametrize(
    "text",
    [
        "range(1000000000)",
        "range(-9000000000000000000, 9000000000000000000)",
        "len([1 for x in range(1000000000)])",
        "[[x for x in range(1000)] for y in range(1000)]",
        "[[[1 for a in range(100)] for b in range(100)] for c in range(100)]",
        "[1] * 10000000",
        "'x' * 1000000000",
        "('x' * 1000) * 1000 * 1000",
        "state.text + state.text",
        "state.text.replace('a', 'bb')",
        "state.text.split('a')",
        "[state.needle in state.hay for i in range(10000)]",
        "[state.text == state.text + '' for i in range(1000)]",
        "[sorted(state.numbers) for i in range(100)]",
        "[len(str(state.zeros)) for i in range(1000)]",
        "[state.records == state.records for i in range(1000)]",
        "[x in state.numbers for x in state.numbers]",
        "str(state.numbers) + str(state.numbers) + str(state.numbers) + str(state.numbers)",
        "[state.text, state.text]",
        "[state.numbers for i in range(1000)]",
    ],
)
def test_a_bomb_is_stopped_before_it_costs_anything(text: str) -> None:
    bomb = compile_expression(text)
    tracemalloc.start()
    try:
        with pytest.raises(ExpressionCost) as stopped:
            bomb.evaluate({"state": STATE})
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert stopped.value.code == "expression_cost"
    assert peak < 16 * 1024 * 1024


@pytest.mark.bad_input(42)
def test_lists_that_double_by_reference_are_counted_as_they_would_be_written() -> None:
    text = "range(2)"
    for letter in "abcdefghijklmnopqrstuvwxyzAB":
        text = f"[[{letter}, {letter}] for {letter} in {text}]"
    doubled = compile_expression(text)

    with pytest.raises(ExpressionCost):
        doubled.evaluate({"state": {}})


@pytest.mark.bad_input(42)
@pytest.mark.parametrize(
    "text",
    ["round(5, -1000000000)", "int('9' * 5000)", "9223372036854775807 * 9223372036854775807", "'a'.strip('b' * 99)"],
)
def test_huge_whole_numbers_are_refused(text: str) -> None:
    with pytest.raises(ExpressionFailed):
        compile_expression(text).evaluate({"state": {}})


def test_what_is_only_looked_up_may_be_of_any_size() -> None:
    state = {"many": ["x" * 1000] * 5000, "deep": {"many": ["x" * 1000] * 5000}}

    for text in ("state.many", "state.deep.many", 'get(state, "many", [])', "state.many if has(state.many) else []"):
        assert len(compile_expression(text).evaluate({"state": state})) == 5000


@pytest.mark.bad_input(43)
@pytest.mark.parametrize(
    "text",
    [
        "+".join(["1"] * 100_000),
        "[" * 5_000,
        "(" * 33 + "1" + ")" * 33,
        "-" * 33 + "1",
        "not " * 33 + "true",
        "1 if true else " * 33 + "1",
        "state.a[" * 33 + "0" + "]" * 33,
        "-(" * 17 + "1" + ")" * 17,
        "{'a': " * 5_000,
    ],
)
def test_text_that_is_too_long_or_too_deep_is_refused_before_it_is_parsed(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parse(*arguments: Any, **options: Any) -> Any:
        raise AssertionError("the parser must not see this")

    monkeypatch.setattr("graphwire.graphs.expressions.ast.parse", parse)

    with pytest.raises(ExpressionInvalid, match=r"longer than 4,096|deeper than 32"):
        compile_expression(text)


@pytest.mark.bad_input(43)
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(" * 32 + "1" + ")" * 32, 1),
        ("-" * 32 + "1", 1),
        ("not " * 32 + "true", True),
        ("1 if false else " * 32 + "2", 2),
        ("+".join(["1"] * 2048), 2048),
        (" and ".join(["not false"] * 200), True),
        ("1" + " < 2 and 1" * 300, 1),
        ("'a'" + ".lower()" * 500, "a"),
        ("state" + ".a" * 400, None),
        ("[" + ",".join(["1 if true else 2"] * 100) + "][0]", 1),
    ],
)
def test_what_is_long_but_not_deep_is_evaluated(text: str, expected: Any) -> None:
    nested: Any = None
    for _ in range(400):
        nested = {"a": nested}

    assert compile_expression(text).evaluate({"state": nested}) == expected


@pytest.mark.bad_input(44, 45)
@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')",
        "().__class__.__bases__[0].__subclasses__()",
        "state.a.__class__()",
        "''.format(state)",
        "'{0.__class__}'.format(1)",
        "state.items()",
        "match('(a+)+$', state.text)",
        "open('/etc/passwd')",
        "getattr(state, 'a')",
        "[].append(1)",
        "print(1)",
        "type(1)",
        "state.text.encode()",
        "(lambda: 1)()",
        "[x for x in [1]].sort()",
    ],
)
def test_there_is_no_python_behind_an_expression(text: str) -> None:
    with pytest.raises(ExpressionInvalid):
        compile_expression(text)


@pytest.mark.bad_input(45)
@pytest.mark.parametrize("text", ["state.__class__", "''['__class__']", "state.hay.__len__", "state['__init__']"])
def test_a_name_of_python_is_a_key_like_any_other(text: str) -> None:
    with pytest.raises(ExpressionFailed, match=r"missing|no key"):
        compile_expression(text).evaluate({"state": STATE})


words = st.sampled_from(
    "state result . a [ ] ( ) { } , : + - * / // % < == in not and or is if else for x 1 2.5 'a' null true len has get "
    'range items .lower() .join( str ~ ** = \\ \ud800 é " \n \r # lambda'.split(" ")
)


@settings(deadline=None)
@given(
    text=st.lists(words, max_size=30).map(" ".join) | st.lists(words, max_size=30).map("".join) | st.text(max_size=60)
)
@example("state.a\r\n.b")
@example("a\rb")
@example("'\\N{BULLET}'")
@example("1if 1else 2")
def test_any_text_is_evaluated_or_refused_and_nothing_else(text: str) -> None:
    with suppress(ExpressionInvalid, ExpressionFailed):
        compile_expression(text).evaluate({"state": {"a": [1, {"x": "a"}]}})
