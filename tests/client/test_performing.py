"""How often a request is sent, and when it is given up."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from graphwire.client import AsyncClient, ConnectionFailed, ProblemError, Retry, Timing
from graphwire.client.answers import Execution, Result, State
from graphwire.client.call import Call
from graphwire.client.execution_calls import RawPage

AWAY = ConnectionFailed("away", was_open=False)
BROKEN = ConnectionFailed("broken", was_open=True)
BUSY = ProblemError("at_capacity", 429, "", retry_after_s=2.0)
NOT_NOW = ProblemError("storage_unavailable", 503, "", retry_after_s=2.0)
MEMBERS: dict[str, Any] = {
    "id": "e", "graph_id": "g", "status": "completed", "started_at": "2026-11-20T19:45:30Z", "duration_ms": 1.0,
}  # fmt: skip
RESULT = Result(**MEMBERS, state={"n": 1})
DONE = [RawPage([], 3, 3, True, "completed"), Execution(**MEMBERS), State(3, {"n": 1})]


class Asked(AsyncClient):
    """A client that is answered by a list."""

    def __init__(self, answers: list[Any], **options: Any) -> None:
        self.calls: list[str] = []
        self.slept: list[float] = []
        self._answers: Iterator[Any] = iter(answers)
        super().__init__("http://g.test", timing=Timing(sleep=self._sleep, random=lambda: 0.5), **options)
        self.performer.once = self._once  # type: ignore[method-assign]

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def _once(self, call: Call[Any]) -> Any:
        self.calls.append(call.path)
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_an_end_is_waited_for_while_the_service_is_away_for_long() -> None:
    client = Asked([AWAY] * 9 + DONE[:1] + [AWAY] * 9 + DONE[1:2] + [NOT_NOW] * 9 + DONE[2:])

    assert await client.executions.wait("e") == RESULT


async def test_a_run_that_may_have_begun_is_asked_for_as_long_as_a_stream_is_resumed() -> None:
    client = Asked([AWAY, BROKEN, *[AWAY] * 9, RESULT])

    assert await client.run("g") == RESULT
    assert set(client.calls) == {"/graphs/g/execute/wait"}


async def test_a_run_is_given_up_soon_where_there_is_no_service() -> None:
    client = Asked([AWAY] * 9)

    with pytest.raises(ConnectionFailed):
        await client.run("g")
    assert len(client.calls) == 3


async def test_what_is_refused_for_now_is_asked_again_when_the_service_wants_it() -> None:
    client = Asked([BUSY, BUSY, BUSY])

    with pytest.raises(ProblemError, match="at_capacity"):
        await client.graphs.put("g", {})
    assert client.slept == [2.25, 2.5]


@pytest.mark.parametrize("failure", [BROKEN, ProblemError("internal", 500, "")])
async def test_what_may_have_been_done_is_not_asked_twice_unless_that_is_safe(failure: Exception) -> None:
    asks: list[tuple[Callable[[AsyncClient], Awaitable[object]], int]] = [
        (lambda client: client.graphs.put("g", {}), 1),
        (lambda client: client.executions.delete("e"), 1),
        (lambda client: client.executions.start("g"), 3),
        (lambda client: client.executions.cancel("e"), 3),
        (lambda client: client.graphs.list(), 3),
    ]
    for ask, times in asks:
        client = Asked([failure] * 3, retry=Retry(attempts=9))
        with pytest.raises(type(failure)):
            await ask(client)
        assert len(client.calls) == times


async def test_whether_the_service_is_ready_is_answered_at_once() -> None:
    client = Asked([NOT_NOW])

    with pytest.raises(ProblemError, match="storage_unavailable"):
        await client.service.ready()
    assert client.slept == []
