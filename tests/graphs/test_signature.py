"""How a node calls a function follows from its signature."""

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from graphwire.errors import GraphInvalid
from graphwire.graphs.behaviour import Call, Missing, Mode, Parameter
from graphwire.graphs.signature import call_of, mode_of, parameters_of, reducer_problems


def plain(ctx: Any, order: int, *, page: int = 1, state: Any = None) -> None: ...


async def coroutine() -> None: ...


async def stream() -> AsyncIterator[int]:
    yield 1


def generator() -> Iterator[int]:
    yield 1


class Callables:
    def __call__(self, order: int) -> None: ...

    def method(self, order: int) -> None: ...

    async def later(self, order: int) -> None: ...


class LaterCallable:
    async def __call__(self) -> None: ...


def test_parameters_come_from_the_state_by_name_but_for_ctx_and_state() -> None:
    assert call_of(plain) == Call(
        plain,
        Mode.THREAD,
        (
            Parameter("ctx", "context"),
            Parameter("order", "key", Missing.MISSING),
            Parameter("page", "key", 1),
            Parameter("state", "state", None),
        ),
    )


@pytest.mark.parametrize(
    ("function", "mode"),
    [
        (plain, Mode.THREAD),
        (lambda: 1, Mode.THREAD),
        (Callables(), Mode.THREAD),
        (Callables().method, Mode.THREAD),
        (functools.partial(plain, page=2), Mode.THREAD),
        (coroutine, Mode.ASYNC),
        (Callables().later, Mode.ASYNC),
        (LaterCallable(), Mode.ASYNC),
        (functools.partial(coroutine), Mode.ASYNC),
        (stream, Mode.STREAM),
        (functools.partial(functools.partial(stream)), Mode.STREAM),
    ],
)
def test_the_kind_of_function_decides_how_it_is_called(function: Callable[..., Any], mode: Mode) -> None:
    assert mode_of(function) is mode


@pytest.mark.parametrize("function", [Callables(), Callables().method])
def test_a_method_has_no_parameter_self(function: Callable[..., Any]) -> None:
    assert [parameter.name for parameter in parameters_of(function)] == ["order"]


def test_every_parameter_that_cannot_be_passed_by_name_is_refused() -> None:
    def function(first: int, /, order: int, *rest: int, **more: int) -> None: ...

    with pytest.raises(GraphInvalid) as caught:
        call_of(function)

    assert [problem.code for problem in caught.value.problems] == ["signature_invalid"] * 3
    details = [problem.detail for problem in caught.value.problems]
    assert [name in detail for name, detail in zip(["first", "rest", "more"], details, strict=True)] == [True] * 3


def test_a_plain_generator_is_refused_as_its_result_would_be_no_value() -> None:
    with pytest.raises(GraphInvalid, match="async def"):
        call_of(generator)


def test_a_function_without_a_readable_signature_is_refused() -> None:
    with pytest.raises(GraphInvalid, match="signature"):
        call_of(dict.update)


def test_a_reducer_is_a_plain_function_of_two_values() -> None:
    assert reducer_problems(lambda old, written: old) == []
    assert reducer_problems(max) == []
    assert len(reducer_problems(lambda old: old)) == 1
    assert len(reducer_problems(coroutine)) == 1
