"""Results that say where to go on: whatever they name, the attempt has an outcome."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from graphwire import Goto, Graph, Result
from tests.engine.running import Course, course, nothing


class Unreadable(Sequence[str]):
    def __getitem__(self, index: Any) -> Any:
        raise IndexError

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[str]:
        raise SystemExit("unreadable")


class Unprintable:
    def __str__(self) -> str:
        raise SystemExit("no text")


async def went(result: Any) -> Course:
    """Run a node that returns this and whose success leads to ``near``; it may go to ``far``."""

    async def route() -> Any:
        return result

    graph = Graph("g").node(route, goto=["far"], on_error="fail").node(nothing(), id="near").node(nothing(), id="far")
    return await course(graph.edge(route, "near"))


@pytest.mark.parametrize(
    "targets",
    [5, None, b"far", True, object(), {"far": 1}, ["far", 3], ["far", None], [["far"]], Unreadable(), [Unprintable()]],
    ids=lambda targets: type(targets).__name__,
)
async def test_targets_that_are_no_names_fail_the_attempt_with_a_routing_error(targets: Any) -> None:
    done = await went(Goto(targets))

    assert done.finished.error is not None
    assert (done.finished.error.code, done.finished.error.node) == ("routing_error", "route")


@pytest.mark.parametrize("targets", ["far", ["far"], ("far",), {"far"}, ["far", "far"]])
async def test_names_may_come_alone_or_several(targets: Any) -> None:
    assert (await went(Goto(targets))).nodes() == ["route", "far"]


@pytest.mark.parametrize("result", [Result(Goto("far", {"n": 1})), Result(Result(Goto("far", {"n": 1})))])
async def test_a_result_around_a_goto_is_the_goto(result: Result) -> None:
    done = await went(result)

    assert done.nodes() == ["route", "far"]
    assert done.state == {"n": 1}


async def test_a_generator_that_ends_with_a_goto_in_a_result_goes_there_without_a_message() -> None:
    async def route() -> Any:
        yield "on my way"
        yield Result(Goto("far"))

    done = await course(Graph("g").node(route, goto=["far"]).node(nothing(), id="far"))

    assert done.nodes() == ["route", "far"]
    assert len(done.of("node_message")) == 1


async def test_a_result_around_a_result_is_its_value() -> None:
    assert (await went(Result(Result(2)))).state == {"route": 2}
