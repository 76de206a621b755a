"""Promises 4 and 5: a stream ends in a way that cannot be mistaken, and what is lost is told."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.transports.websocket.protocol import ClientLeftError, SocketProtocol
from tests.live.control import gates
from tests.live.promises.cases import each_form_on_sqlite_and_one_on_postgresql
from tests.live.promises.following import Follower
from tests.live.promises.forms import FORMS, Poll, Session, WebSocket, WebSocketDeflate
from tests.live.serving import Service, serving


def values(follower: Follower) -> list[dict[str, Any]]:
    """Return the events."""
    return [json.loads(line) for line in follower.lines]


@pytest.mark.capability("SSE-11")
@pytest.mark.parametrize("ending", ["completed", "failed", "cancelled"])
async def test_the_sentinel_is_the_last_event_and_then_the_server_closes(
    service: Service, form: type[Session], ending: str
) -> None:
    graph = {"completed": "chain", "failed": "failing", "cancelled": "gated"}[ending]
    execution = await service.start(graph)
    follower = Follower(form, service.port, execution)
    async with follower.connected() as connection:
        if ending == "cancelled":
            await gates["gate"].reached.wait()
            await service.client.post(f"/executions/{execution}/cancel")
        outcome = await connection.end()

        assert (outcome, connection.session.rest) == ("end", b"")
    *_, terminal, sentinel = values(follower)
    assert terminal["type"] == f"execution_{ending}"
    assert sentinel["type"] == "stream_end"
    assert sentinel["data"]["status"] == ending
    assert sentinel["data"]["total_events"] == sentinel["seq"] == len(follower.events)


@pytest.mark.bad_input(67)
async def test_who_has_the_sentinel_is_told_that_nothing_follows(service: Service, form: type[Session]) -> None:
    execution = (await service.run("chain"))["id"]
    follower = Follower(form, service.port, execution, after=9)

    outcome = await follower.follow()

    assert (outcome, follower.events, follower.notices) == ("nothing", [], [])  # on a socket: closed with 1000


@pytest.mark.bad_input(65)
async def test_a_place_in_the_future_is_refused_of_ended_and_live_executions(
    service: Service, form: type[Session]
) -> None:
    ended = (await service.run("chain"))["id"]
    live = await service.start("gated")
    await gates["gate"].reached.wait()

    for execution, last in ((ended, 9), (live, 2)):
        follower = Follower(form, service.port, execution, after=last + 1)
        async with follower.connected() as connection:
            assert await connection.end() == "refused"
            assert connection.session.status == 400
            assert connection.session.problem["code"] == "invalid_cursor"
            assert connection.session.problem["last_seq"] == last
    gates["gate"].opened.set()


@each_form_on_sqlite_and_one_on_postgresql("form", list(FORMS))
@pytest.mark.bad_input(76, 142)
async def test_a_stream_of_what_is_deleted_says_so_between_two_events_and_is_found_no_more(
    tmp_path: Path, database_url: str, form: type[Session]
) -> None:
    async with serving(tmp_path, database_url=database_url, ring_events=4) as service:
        state = {"count": 1_000, "text": "x" * 2_000}
        execution = (await service.run("talk", state=state))["id"]
        follower = Follower(form, service.port, execution)
        async with follower.connected(receive_buffer=4_096) as connection:
            await connection.until_event(2)
            assert (await service.client.delete(f"/executions/{execution}")).status_code == 204
            outcome, closed = await connection.end(), connection.session.close_code
        again = Follower(form, service.port, execution, after=follower.place)
        async with again.connected() as connection:
            assert await connection.end() == "refused"
            assert (connection.session.status, connection.session.problem["code"]) == (404, "not_found")

    assert follower.seqs == list(range(1, len(follower.events) + 1))
    assert len(follower.events) < 1_000
    if form is Poll:
        assert outcome == "refused"
    else:
        (told,) = follower.told("stream_closed")
        assert outcome == "end"
        assert told.value["data"]["code"] == "deleted"
        assert "retry_ms" not in told.value["data"]
        assert told.place == follower.seqs[-1]
        assert closed == (4404 if form is WebSocket else None)


@pytest.mark.parametrize("form", [WebSocket, WebSocketDeflate])
async def test_nothing_is_sent_over_a_socket_whose_client_has_ended_it_without_a_word(
    service: Service, form: type[Session]
) -> None:
    follower = Follower(form, service.port, await service.start("gated"))
    async with follower.connected() as connection:
        await connection.until_event(2)
        (held,) = [each for each in service.server.server_state.connections if isinstance(each, SocketProtocol)]

        held.eof_received()  # what is published in the same turn of the loop would be sent now

        with pytest.raises(ClientLeftError):
            await held.send_texts([b"{}"])
    gates["gate"].opened.set()
