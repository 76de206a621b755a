"""One stream more than may be open: told to come back, without harm to those that are."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from tests.live.control import gates
from tests.live.promises.following import Follower
from tests.live.promises.forms import FORMS, Poll, Session, Sse, WebSocket
from tests.live.serving import serving
from tests.waiting import PATIENCE_S


@pytest.mark.bad_input(73)
async def test_one_stream_too_many_is_told_to_come_back_and_the_others_go_on(
    tmp_path: Path, form: type[Session]
) -> None:
    async with serving(tmp_path, max_readers=2) as service:
        execution = await service.start("gated")
        await gates["gate"].reached.wait()
        one, two, refused = (Follower(each, service.port, execution) for each in (Sse, Sse, form))
        async with one.connected() as first, two.connected() as second, refused.connected() as third:
            await first.until_event(2)
            await second.until_event(2)

            outcome = await third.end()

            gates["gate"].opened.set()
            assert [await first.end(), await second.end()] == ["end", "end"]
        status, problem = third.session.status, third.session.problem
        assert await refused.follow() == "end"

    assert refused.seqs == one.seqs == two.seqs == [1, 2, 3, 4, 5]
    if form in (Sse, WebSocket):
        (told,) = refused.told("stream_closed")
        assert (outcome, status) == ("end", 200 if form is Sse else 101)
        assert third.session.close_code == (None if form is Sse else 1013)
        assert told.value["data"]["code"] == "at_capacity"
        assert 1_000 <= told.value["data"]["retry_ms"] <= 5_000
    else:
        assert (outcome, status) == ("refused", 429)
        assert problem["code"] == "at_capacity"
        assert "GRAPHWIRE_MAX_READERS" in problem["detail"]


@pytest.mark.bad_input(73)
async def test_a_start_that_nobody_could_follow_is_refused_before_anything_has_started(tmp_path: Path) -> None:
    async with serving(tmp_path, max_readers=1) as service:
        async with service.client.stream("POST", "/graphs/gated/execute/stream") as held:
            await gates["gate"].reached.wait()

            refused = await service.client.post("/graphs/gated/execute/stream", headers={"Idempotency-Key": "k"})

            gates["gate"].opened.set()
            await held.aread()
        again = await service.client.post("/graphs/gated/execute/stream", headers={"Idempotency-Key": "k"})
        count = len((await service.client.get("/executions")).json()["items"])

    assert (refused.status_code, refused.json()["code"], refused.json()["limit"]) == (429, "at_capacity", 1)
    assert int(refused.headers["retry-after"]) > 0
    assert (again.status_code, count) == (200, 2)


@pytest.mark.bad_input(73)
async def test_polls_that_wait_are_counted_and_those_that_do_not_are_not(tmp_path: Path) -> None:
    async with serving(tmp_path, max_readers=1) as service:
        execution = await service.start("gated")
        await gates["gate"].reached.wait()
        followers = [Follower(Poll, service.port, execution, after=2) for _ in range(2)]
        async with asyncio.TaskGroup() as group:
            polling = {group.create_task(follower.follow()) for follower in followers}
            (done,), _ = await asyncio.wait(polling, return_when=asyncio.FIRST_COMPLETED)
            assert done.result() == "refused"
            page = await service.client.get(f"/executions/{execution}/events", headers={"Accept": "application/json"})
            gates["gate"].opened.set()

    assert sorted(str(task.result()) for task in polling) == ["end", "refused"]
    assert len(page.json()["events"]) == 2


@pytest.mark.bad_input(73)
@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=pytest.mark.long)])
async def test_a_storm_of_connections_leaves_everything_as_it_was(tmp_path: Path, count: int) -> None:
    async with serving(tmp_path, max_readers=20, within_s=300) as service:
        execution = await service.start("gated")
        await gates["gate"].reached.wait()
        first = Follower(Sse, service.port, execution)
        async with first.connected() as held:
            await held.until_event(2)
            many = asyncio.Semaphore(1_000)
            told: Counter[str] = Counter()

            async def storm(form: type[Session]) -> None:
                follower = Follower(form, service.port, execution)
                async with many, follower.connected() as connected:
                    while not follower.notices and not follower.events and await connected.step():
                        pass
                    told["refused" if not follower.events else "served"] += 1

            async with asyncio.TaskGroup() as group:
                for number in range(count):
                    group.create_task(storm([*FORMS.values()][number % len(FORMS)]))
            async with asyncio.timeout(PATIENCE_S):
                while len(service.server.server_state.tasks) > 1:
                    await service.client.get("/health/live")
            last = [Follower(form, service.port, execution) for form in FORMS.values()]
            gates["gate"].opened.set()
            assert await held.end() == "end"
            for follower in last:
                assert await follower.follow() == "end"

    assert told.total() == count
    assert told["served"] > 0
    assert first.seqs == [1, 2, 3, 4, 5]
    assert all(follower.seqs == first.seqs for follower in last)
