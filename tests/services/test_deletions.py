"""Starts and a deletion keep out of each other's way, and a deletion does not wait for ever."""

import asyncio
from typing import Any, cast

import pytest

from app.services.deletions import Deletions
from graphwire.engine.runner import Runner
from graphwire.engine.supervisor import Supervisor
from graphwire.errors import CommandNotAllowed, GraphInUse, GraphwireError, StorageUnavailable
from graphwire.types import GraphId
from tests.waiting import at_first_wait

GRAPH = GraphId("orders")


class FakeRunner:
    """An execution that ends when it is cancelled, or does not."""

    def __init__(self, id: str, *, graph_id: str = GRAPH, refusal: GraphwireError | None = None) -> None:
        self.id = id
        self.graph_id = graph_id
        self.refusal = refusal
        self.reason: str | None = None
        self.ends_when_cancelled = True
        self.over = asyncio.Event()

    async def cancel(self, reason: str) -> int:
        if self.refusal is not None:
            raise self.refusal
        self.reason = reason
        if self.ends_when_cancelled:
            self.over.set()
        return 1

    async def wait_ended(self) -> None:
        await self.over.wait()


def make(*runners: FakeRunner, end_s: float = 5.0) -> Deletions:
    living: Any = list(runners)  # a supervisor is only asked what is alive
    return Deletions(cast(Supervisor, living), end_s=end_s)


def test_the_runner_has_what_a_deletion_asks_of_it() -> None:
    assert {name for name in vars(FakeRunner) if not name.startswith("_")} <= set(dir(Runner))


async def test_what_runs_or_starts_is_counted() -> None:
    deletions = make(FakeRunner("1"), FakeRunner("2"), FakeRunner("3", graph_id="other"))

    async with deletions.starting(GRAPH):
        with pytest.raises(GraphInUse, match="3 executions of this graph have not ended") as caught:
            deletions.require_unused(GRAPH)

    assert caught.value.facts == {"executions": 3}
    with pytest.raises(GraphInUse, match="1 execution of this graph has not ended"):
        deletions.require_unused(GraphId("other"))
    deletions.require_unused(GraphId("unused"))


@pytest.mark.bad_input(36)
async def test_only_executions_of_the_graph_are_cancelled() -> None:
    ours, other = FakeRunner("1"), FakeRunner("2", graph_id="other")

    await make(ours, other).end_executions(GRAPH)

    assert (ours.reason, other.reason) == ("its graph is deleted", None)


async def test_an_execution_that_ends_by_itself_is_no_obstacle() -> None:
    await make(FakeRunner("1", refusal=CommandNotAllowed("it has ended"))).end_executions(GRAPH)


async def test_a_store_that_takes_no_command_refuses_the_deletion() -> None:
    other = FakeRunner("2")
    deletions = make(FakeRunner("1", refusal=StorageUnavailable("not now")), other)

    with pytest.raises(StorageUnavailable):
        await deletions.end_executions(GRAPH)

    assert other.over.is_set()


@pytest.mark.bad_input(36)
async def test_an_execution_that_does_not_end_is_not_waited_for_for_ever() -> None:
    stuck = FakeRunner("1")
    stuck.ends_when_cancelled = False

    with pytest.raises(GraphInUse, match="try again") as caught:
        await make(stuck, FakeRunner("2", graph_id="other"), end_s=0.01).end_executions(GRAPH)

    assert caught.value.facts == {"executions": 1}


async def test_a_start_that_does_not_get_done_is_not_waited_for_for_ever() -> None:
    deletions = make(end_s=0.01)

    async with deletions.starting(GRAPH):
        with pytest.raises(GraphInUse):
            await deletions.end_executions(GRAPH)


async def test_what_starts_while_a_deletion_begins_is_ended_with_the_rest() -> None:
    living: Any = []
    deletions = Deletions(cast(Supervisor, living))
    runner = FakeRunner("1")

    async with deletions.starting(GRAPH):
        ending = await at_first_wait(deletions.end_executions(GRAPH))
        assert not ending.done()
        living.append(runner)
    await ending

    assert runner.over.is_set()


async def test_starts_and_deletions_wait_for_a_deletion_that_has_begun() -> None:
    deletions = make()
    done: list[str] = []

    async def start() -> None:
        async with deletions.starting(GRAPH):
            done.append("started")

    async def delete() -> None:
        async with deletions.deleting(GRAPH):
            done.append("deleted again")

    async with deletions.deleting(GRAPH):
        waiting = [await at_first_wait(start()), await at_first_wait(delete())]
        done.append("deleted")
    await asyncio.gather(*waiting)

    assert done[0] == "deleted"
    assert sorted(done[1:]) == ["deleted again", "started"]


async def test_a_deletion_waits_for_changes_that_have_begun_and_later_ones_wait_for_it() -> None:
    deletions = make()
    done: list[str] = []
    may_end = [asyncio.Event(), asyncio.Event()]

    async def change(number: int) -> None:
        async with deletions.changing(GRAPH):
            await may_end[number].wait()
            done.append(f"changed {number}")

    async def delete() -> None:
        async with deletions.deleting(GRAPH):
            done.append("deleted")

    changes = [await at_first_wait(change(number)) for number in range(2)]
    deletion = await at_first_wait(delete())
    async with deletions.deleting(GraphId("other")):
        done.append("deleted another")
    may_end[1].set()
    await changes[1]
    late = await at_first_wait(change(1))
    assert not late.done()
    may_end[0].set()
    await asyncio.gather(changes[0], deletion, late)

    assert done == ["deleted another", "changed 1", "changed 0", "deleted", "changed 1"]
