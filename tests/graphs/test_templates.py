"""Templates: text with expressions in it."""

import pytest
from hypothesis import given, settings, strategies as st

from graphwire.errors import ExpressionCost, ExpressionFailed, ExpressionInvalid
from graphwire.graphs.templates import compile_template


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("plain", "plain"),
        ("Dear {{ state.name }},", "Dear Ada,"),
        ("{{state.n}}|{{ state.f }}|{{ state.yes }}|{{ null }}", "1|2.5|true|null"),
        ("{{ state.list }}", '[1,{"a":"é"}]'),
        ("{{ {'a': {'b': '}}'}} }}", '{"a":{"b":"}}"}}'),
        ('{{ "{{" }}}}', "{{}}"),
        ("{{ 'x'.upper()\n + 'y' }}\n{ {n} }", "Xy\n{ {n} }"),
    ],
)
def test_a_placeholder_becomes_its_value(text: str, expected: str) -> None:
    state = {"name": "Ada", "n": 1, "f": 2.5, "yes": True, "list": [1, {"a": "é"}]}

    assert compile_template(text).render(state) == expected


@pytest.mark.bad_input(34)
@settings(deadline=None)
@given(st.text(st.sampled_from("{}%$s0.7* _x")).filter(lambda text: "{{" not in text))
def test_text_without_placeholders_stays_as_it_is(text: str) -> None:
    assert compile_template(text).render({}) == text


@pytest.mark.bad_input(34)
def test_what_a_placeholder_gives_is_never_read_as_a_template() -> None:
    hostile = "{{7*7}} ${x} {0.__class__} %s"

    assert compile_template("<{{ state.name }}>").render({"name": hostile}) == f"<{hostile}>"


def test_a_template_says_which_keys_it_reads() -> None:
    assert compile_template("{{ state.a }} {{ state.b.c }}").keys == frozenset({"a", "b"})
    assert compile_template("{{ state.a }} {{ len(state) }}").keys is None
    assert compile_template("none").keys == frozenset()


@pytest.mark.bad_input(41)
def test_all_problems_have_their_places_in_the_template() -> None:
    with pytest.raises(ExpressionInvalid) as refused:
        compile_template("a {{ foo }}\n{{ state.a }} é {{ 1 +\n bar }}{{ state.b")

    places = [(problem.line, problem.column) for problem in refused.value.problems]
    assert places == [(1, 6), (3, 2), (3, 10)]


@pytest.mark.parametrize("text", ["{{", "{{ }}", "{{ ( }}", "{{ 1 } }", "{{ a" + "1" * 5000, "{{1}}" * 1001])
def test_a_placeholder_that_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(ExpressionInvalid):
        compile_template(text)


def test_a_missing_key_fails() -> None:
    with pytest.raises(ExpressionFailed, match='"name" is missing'):
        compile_template("{{ state.name }}").render({})


@pytest.mark.bad_input(42)
@pytest.mark.parametrize("state", [{"big": "x" * 600_000}, {"big": ["x" * 600_000]}])
def test_a_template_that_repeats_something_large_is_stopped(state: dict[str, object]) -> None:
    with pytest.raises(ExpressionCost):
        compile_template("{{ state.big }}" * 2).render(state)
