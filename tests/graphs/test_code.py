"""References to code resolve among what was given, and nothing else."""

import sys
from types import ModuleType
from typing import Any

import pytest

from graphwire.errors import GraphInvalid
from graphwire.graphs.code import Code, is_reference


def make_module(**content: Any) -> ModuleType:
    module = ModuleType("shop")
    vars(module).update(content)
    return module


def fetch() -> None: ...


def test_a_function_is_found_by_its_whole_reference_or_in_a_module() -> None:
    code = Code({"a:f<lambda>": fetch}, modules={"shop": make_module(fetch=fetch)})

    assert code.resolve("a:f<lambda>") is fetch
    assert code.resolve("shop:fetch") is fetch


@pytest.mark.bad_input(26)
@pytest.mark.parametrize(
    "reference",
    [
        "",
        "shop",
        "shop:",
        ":fetch",
        "os:system",
        "../shop:fetch",
        "shop:__builtins__",
        "shop:_hidden",
        "shop:number",
        "shop:Class",
        "shop:fetch.__globals__",
        "shop:fetch()",
        "shop:fetch\n",
        "{0.__class__}:x",
        "tomllib:loads",
    ],
)
def test_anything_else_is_refused_and_nothing_is_imported(reference: str) -> None:
    module = make_module(fetch=fetch, _hidden=fetch, number=1, Class=GraphInvalid)
    before = set(sys.modules)

    with pytest.raises(GraphInvalid) as caught:
        Code(modules={"shop": module}).resolve(reference)

    assert [problem.code for problem in caught.value.problems] == ["unknown_function"]
    assert set(sys.modules) == before


def test_a_reference_with_a_slip_gets_the_near_name() -> None:
    code = Code(modules={"shop": make_module(fetch=fetch)})

    with pytest.raises(GraphInvalid, match='did you mean "fetch"'):
        code.resolve("shop:fetsch")
    with pytest.raises(GraphInvalid, match='did you mean "shop"'):
        code.resolve("shopp:fetch")


def test_a_reference_has_a_module_and_a_name() -> None:
    assert is_reference("a.b:c")
    assert not is_reference("append")
    assert not is_reference("http://x")
