import json
import tracemalloc

import pytest

from graphwire import Context, Graph, prepare, run, start_live
from graphwire.engine.runner import Start
from graphwire.errors import StateInvalid

BUSY = 20_000


def chatty() -> Graph:
    graph = Graph("chatty")

    @graph.node()
    async def talk(ctx: Context, count: int) -> int:
        for number in range(count):
            await ctx.emit(number)
        return count

    return graph


async def test_every_event_is_followed_also_by_one_who_is_behind() -> None:
    start = Start(state={"count": str(BUSY).encode()})

    async with start_live(prepare(chatty()), start) as live:
        await live.finished()
        numbers = [json.loads(line)["seq"] for lines in [page async for page in live.pages()] for line in lines]

    assert numbers == list(range(1, BUSY + 6))


@pytest.mark.parametrize("is_read_once", [True, False])
async def test_what_an_only_reader_has_read_takes_no_memory(is_read_once: bool) -> None:
    start = Start(state={"count": str(BUSY).encode()})
    count = 0
    tracemalloc.start()

    async with start_live(prepare(chatty()), start, is_read_once=is_read_once) as live:
        async for lines in live.pages():
            count += len(lines)
        kept = tracemalloc.get_traced_memory()[0]

    tracemalloc.stop()
    assert count == BUSY + 5
    assert (kept < BUSY * 100) is is_read_once  # an event takes about 500 bytes


async def test_a_run_can_be_cancelled_and_says_how_it_ended() -> None:
    async with start_live(prepare(chatty()), Start(state={"count": b"1000000"})) as live:
        pages = live.pages()
        await anext(pages)
        await live.cancel("enough")
        finished = await live.finished()

    assert (finished.status, finished.error) == ("cancelled", None)
    assert finished.duration_ms > 0


async def test_a_state_that_does_not_fit_the_schema_starts_nothing() -> None:
    graph = Graph("checked", schema={"properties": {"count": {"type": "integer"}}})
    graph.node("pause", "delay", {"seconds": 0})

    with pytest.raises(StateInvalid) as caught:
        await run(graph, {"count": "many"})

    assert [problem.pointer for problem in caught.value.problems] == ["/state/count"]
