"""An execution's tokens and states, made again of its stored commits."""

import asyncio
from typing import Any

from hypothesis import given, strategies as st

from graphwire import DELETE, Graph, prepare
from graphwire.engine.plan import Plan, outline
from graphwire.engine.replay import Replay
from graphwire.nodes import builtin_registry
from graphwire.values import thaw
from tests.engine.hosting import hosted
from tests.engine.running import nothing


async def one() -> dict[str, Any]:
    return {"x": 1, "list": "one", "sum": 1, "code": [1]}


async def two() -> dict[str, Any]:
    return {"x": 2, "list": "two", "sum": 2, "code": [2]}


async def bad() -> None:
    raise ValueError("always")


def longest(old: list[int], written: list[int]) -> list[int]:
    return [*old, *written, len(old)]


def graph() -> Graph:
    reducers: Any = {"list": "append", "sum": "add", "code": longest}
    built = Graph("g", reducers=reducers, state={"n": [1, 2]}).node(nothing(), id="start").node(one).node(two)
    built.node(bad, on_error="continue").node(nothing(), id="join").node(one, id="last")
    built.node("each", "foreach", {"items": "state.n", "body": Graph("b").node(two, id="inner")})
    for name in ("one", "two", "bad", "each"):
        built.edge("start", name).edge(name, "join")
    return built.edge("join", "last")


def vanishing(old: Any, written: Any) -> Any:
    return DELETE


async def deltas_of(built: Graph) -> tuple[list[bytes], bytes]:
    async with hosted() as host:
        runner = await host.start(host.runner(built))
        await host.ended(runner)
        end = host.store.end_of(runner.id)
        assert end is not None
        return (await host.store.read_deltas(runner.id)).items, end.state


def replayed(plan: Plan, deltas: list[bytes]) -> Any:
    replay = Replay(plan, {}, None)
    for delta in deltas:
        replay.commit(delta)
    return thaw(replay.shown().to_json())


async def test_all_commits_give_the_final_state_without_calling_any_code() -> None:
    deltas, state = await deltas_of(graph())
    plan = outline(graph().definition, builtin_registry())

    assert replayed(plan, deltas) == thaw(state)


async def test_what_a_reducer_made_absent_stays_absent() -> None:
    reducers: Any = {"x": vanishing}
    built = Graph("g", reducers=reducers, state={"x": 0}).node(one)
    deltas, state = await deltas_of(built)

    plan = outline(built.definition, builtin_registry())

    assert "x" not in thaw(state)
    assert replayed(plan, deltas) == thaw(state)


@given(share=st.floats(0, 1))
def test_any_first_commits_give_a_state_that_holds_what_they_wrote(share: float) -> None:
    deltas, _ = asyncio.run(deltas_of(graph()))
    upto = round(share * len(deltas))

    state = replayed(prepare(graph()), deltas[:upto])

    written = [thaw(delta) for delta in deltas[:upto] if not thaw(delta).get("scope")]
    assert len(state.get("list", [])) == sum("list" in commit.get("update", {}) for commit in written)
    assert state.get("sum", 0) == sum(commit.get("update", {}).get("sum", 0) for commit in written)
