"""Reducers: the built-ins against plain Python, functions, and what does not fit."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from graphwire import Graph
from graphwire.engine.reducers import BUILTINS, Grown, Reducers, to_bytes
from graphwire.errors import ReducerError
from graphwire.values import DELETE, freeze, thaw
from tests.engine import merge_model as model
from tests.engine.running import course, nothing

items = st.lists(st.sampled_from([0, 1, 1.0, True, "a", None, [1], {"a": 1}]), max_size=5)
comparable = st.lists(st.integers(-9, 9), max_size=6) | st.lists(st.text(max_size=3), max_size=6)
objects = st.lists(
    st.dictionaries(
        st.sampled_from("ab"), st.integers(0, 3) | st.dictionaries(st.sampled_from("cd"), st.integers(0, 3))
    ),
    max_size=5,
)


def folded(reducer: Any, *writes: Any, old: Any = None) -> Any:
    reducers = Reducers({"k": reducer})
    value: bytes | Grown | None = None if old is None else freeze(old)
    for written in writes:
        value = reducers.fold("k", value, DELETE if written is DELETE else freeze(written))
    return None if value is None else thaw(to_bytes(value))


@pytest.mark.parametrize("reducer", sorted(BUILTINS))
@given(data=st.data())
@settings(deadline=None, max_examples=40)
def test_a_builtin_folds_as_in_plain_python(reducer: str, data: st.DataObject) -> None:
    kinds: dict[str, st.SearchStrategy[list[Any]]] = {
        "extend": st.lists(items, max_size=5),
        "union": st.lists(items, max_size=5),
        "merge": objects,
        "append": items,
        "first": items,
    }
    writes = data.draw(kinds.get(reducer, comparable))

    expected: Any = model.ABSENT
    for written in writes:
        expected = model.fold(reducer, expected, written)

    value = folded(reducer, *writes)
    assert model.as_json(expected) == (None if not writes else freeze(value))


def test_deleting_starts_over() -> None:
    assert folded("append", 1, DELETE) is None
    assert folded("append", 1, DELETE, 2) == [2]


@pytest.mark.parametrize(
    ("reducer", "old", "written", "why"),
    [
        ("append", 1, 2, "needs lists, not a number"),
        ("append", {}, 2, "needs lists, not an object"),
        ("extend", [1], 2, "needs lists, not a number"),
        ("extend", None, "text", "needs lists, not text"),
        ("union", [1], True, "needs lists, not a boolean"),
        ("add", 1, True, "needs numbers or text, not a boolean"),
        ("add", 1, "1", "cannot add text and numbers"),
        ("add", 2**63, 1, "whole number beyond"),
        ("add", 1.7e308, 1.7e308, "too large"),
        ("merge", {}, [], "needs objects, not a list"),
        ("merge", None, 1, "needs objects, not a number"),
        ("min", 1, "a", "cannot compare text and numbers"),
        ("max", None, [1], "needs numbers or text, not a list"),
    ],
)
def test_what_does_not_fit_is_an_error_that_names_the_key(reducer: str, old: Any, written: Any, why: str) -> None:
    with pytest.raises(ReducerError, match=why) as caught:
        folded(reducer, written, old=old)

    assert caught.value.facts == {"key": "k"}


def test_a_function_gets_copies_of_its_own() -> None:
    seen: list[Any] = []

    def remember(old: list[int], new: list[int]) -> list[int]:
        seen.append((list(old), list(new)))
        old.append(99)
        return old

    assert folded(remember, [1], [2]) == [1, 99]
    assert seen == [([1], [2])]


def test_a_function_is_not_called_for_a_missing_key_and_may_delete() -> None:
    assert folded(lambda old, new: DELETE, 1) == 1
    assert folded(lambda old, new: DELETE, 1, 2) is None


async def coroutine(old: Any, new: Any) -> Any:
    return new


def broken(old: Any, new: Any) -> Any:
    raise LookupError("a\nb")


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (broken, r'raised LookupError: "a\\u000ab"'),
        (lambda old, new: {1}, "returned what is not JSON"),
        (coroutine, "must be a plain function"),
        (lambda old, new: asyncio.Event().wait(), "must be a plain function"),
    ],
)
def test_a_function_that_fails_is_a_reducer_error(function: Any, why: str) -> None:
    with pytest.raises(ReducerError, match=why):
        folded(function, 1, 2)


def test_an_unknown_reducer_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no reducer 'plus'"):
        Reducers({"k": "plus"})


def test_the_reserved_key_errors_is_appended_to() -> None:
    reducers = Reducers({})

    assert reducers.keys == {"errors"}
    assert to_bytes(reducers.fold("errors", b"[]", b"1") or b"") == b"[1]"


@given(start=items, parts=st.lists(st.tuples(items.filter(bool), st.booleans()), max_size=8))
@settings(deadline=None)
def test_a_grown_list_reads_the_same_whenever_it_is_joined(
    start: list[Any], parts: list[tuple[list[Any], bool]]
) -> None:
    value: bytes | Grown = freeze(start)
    expected = list(start)

    for added, read in parts:
        value = Grown(value, freeze(added)[1:-1])
        expected += added
        assert value.size == len(freeze(expected))
        if read:
            assert to_bytes(value) == freeze(expected)

    assert to_bytes(value) == freeze(expected)


def test_two_branches_grow_one_list_each_for_itself() -> None:
    trunk = Grown(b"[1]", b"2")

    one, other = Grown(trunk, b"3"), Grown(trunk, b"4")

    assert one.to_bytes() == b"[1,2,3]"
    assert other.to_bytes() == b"[1,2,4]"
    assert trunk.to_bytes() == b"[1,2]"


def test_a_list_that_grew_a_hundred_thousand_times_is_joined_without_recursion() -> None:
    value: bytes | Grown = b"[]"
    for _ in range(100_000):
        value = Grown(value, b"1")

    assert len(to_bytes(value)) == 200_001


class Untold(Exception):
    def __str__(self) -> str:
        raise SystemExit("no text")


class Unreadable(dict[str, int]):
    def items(self) -> Any:
        raise KeyboardInterrupt


UNWINDING = [SystemExit("x"), KeyboardInterrupt(), asyncio.CancelledError(), GeneratorExit(), BaseException(), Untold()]


@pytest.mark.parametrize("error", UNWINDING, ids=lambda error: type(error).__name__)
def test_whatever_a_function_raises_is_an_error_of_its_key(error: BaseException) -> None:
    def unwind(old: Any, new: Any) -> Any:
        raise error

    with pytest.raises(ReducerError, match=type(error).__name__) as caught:
        folded(unwind, 1, 2)

    assert caught.value.__cause__ is error


def test_whatever_reading_its_result_raises_is_an_error_of_its_key() -> None:
    with pytest.raises(ReducerError, match="KeyboardInterrupt"):
        folded(lambda old, new: Unreadable(), 1, 2)


@pytest.mark.parametrize("error", UNWINDING, ids=lambda error: type(error).__name__)
async def test_whatever_a_function_raises_fails_the_attempt_and_nothing_else(error: BaseException) -> None:
    def unwind(old: Any, new: Any) -> Any:
        raise error

    async def write() -> dict[str, int]:
        return {"k": 1}

    graph = Graph("g", reducers={"k": unwind}, state={"k": 0}).node(write, on_error="continue")
    graph.node(nothing(), id="after").edge(write, "after")

    done = await course(graph)

    assert done.one("node_failed").error.code == "reducer_error"
    assert done.nodes() == ["after"]
    assert done.finished.status == "completed"


async def test_whatever_a_function_raises_where_branches_meet_fails_the_joining_attempt() -> None:
    def unwind(old: Any, new: Any) -> Any:
        if new == "b":
            raise SystemExit("x")
        return new

    graph = Graph("g", reducers={"k": unwind}).node(nothing(), id="start")
    for name in "ab":
        graph.node(name, "transform", {"set": {"k": f"'{name}'"}}).edge("start", name).edge(name, "join")
    graph.node(nothing(), id="join")

    done = await course(graph)

    assert done.finished.error is not None
    assert (done.finished.error.code, done.finished.error.node) == ("reducer_error", "join")
