"""Promise 6: a silent stream shows that it lives, and one that is told to end says so between two frames."""

from pathlib import Path

import pytest

from tests.live.control import gates
from tests.live.promises.cases import each_form_on_sqlite_and_one_on_postgresql
from tests.live.promises.following import Follower
from tests.live.promises.forms import FORMS, Poll, Session, Sse, WebSocket
from tests.live.promises.live import Telling, history
from tests.live.serving import serving


@pytest.mark.capability("SSE-07")
async def test_silence_is_broken_and_costs_no_event(tmp_path: Path, form: type[Session]) -> None:
    queries: list[dict[str, str]] = [{}, {"heartbeat_event": "1"}, {"types": "node_failed"}]
    async with serving(tmp_path, heartbeat_s=0.05) as service:
        execution = await service.start("gated")
        await gates["gate"].reached.wait()
        wait = {"wait": "0.05"} if form is Poll else {}
        followers = [Follower(form, service.port, execution, query={**query, **wait}) for query in queries]
        for follower in followers:
            async with follower.connected() as connection:
                while follower.signs < 3 or follower.place != 2:
                    assert await connection.step()
        gates["gate"].opened.set()
        for follower in followers:
            assert await follower.follow() == "end"

    plain, visible, filtered = followers
    assert plain.seqs == visible.seqs == [1, 2, 3, 4, 5]
    # What was looked at need not be looked at again, also where the filter showed none of it.
    assert filtered.seqs == [4, 5]
    assert bool(plain.told("heartbeat")) == (form is not Sse and form is not Poll)
    for follower in (visible, filtered) if form is not Poll else ():
        assert follower.told("heartbeat")[-1].value.keys() == {"type", "code", "execution_id", "ts", "after", "data"}
        assert follower.told("heartbeat")[-1].value["after"] == 2


@each_form_on_sqlite_and_one_on_postgresql("form", list(FORMS))
@pytest.mark.capability("SSE-13")
@pytest.mark.bad_input(129)
async def test_a_service_that_stops_ends_streams_between_two_frames_and_the_next_one_goes_on_with_them(
    tmp_path: Path, database_url: str, form: type[Session]
) -> None:
    texts = [["one", "two"], ["three"], ["four"]]
    async with serving(tmp_path, database_url=database_url) as service:
        telling = await Telling.start(service, "drain", texts)
        follower = Follower(form, service.port, telling.execution, watch=None)
        async with follower.connected() as connection:
            await connection.until_event(4)
            service.server.should_exit = True
            outcome = await connection.end()
            rest = connection.session.rest
        before = follower.seqs
        telling.go_on_to_the_end()
    async with serving(tmp_path, database_url=database_url) as service:
        resumed = Follower(form, service.port, telling.execution, after=follower.place)
        assert await resumed.follow() == "end"
        whole = await history(service, telling.execution)

    assert (rest, before) == (b"", [1, 2, 3, 4])
    assert follower.lines + resumed.lines == whole
    if form is not Poll:
        assert outcome == "end"
        (told,) = follower.told("stream_closed")
        assert told.value["data"]["code"] == "shutting_down"
        assert 1_000 <= told.value["data"]["retry_ms"] <= 5_000
        assert told.place == 4
        assert connection.session.close_code == (1012 if form is WebSocket else None)


@pytest.mark.bad_input(129)
async def test_who_comes_while_the_service_stops_is_told_to_come_back(tmp_path: Path, form: type[Session]) -> None:
    async with serving(tmp_path) as service:
        execution = await service.start("gated")
        await gates["gate"].reached.wait()
        service.drain()

        follower = Follower(form, service.port, execution, after=2)
        async with follower.connected() as connection:
            if form is Poll:  # it is answered at once: with what there is
                await connection.until(lambda: follower.signs > 0)
            else:
                outcome = await connection.end()
            session = connection.session
        gates["gate"].opened.set()

    if form is Sse:
        assert (outcome, session.status) == ("end", 200)
        assert [notice.value["data"]["code"] for notice in follower.notices] == ["shutting_down"]
    elif form is not Poll:
        assert (outcome, session.status, session.problem["code"]) == ("refused", 503, "shutting_down")
    assert follower.place == 2
