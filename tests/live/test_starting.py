import asyncio
from pathlib import Path

import pytest

from app.storage.repositories.executions import ExecutionRepository
from graphwire.errors import StorageUnavailable
from tests.live.control import gates
from tests.live.serving import Service, numbers, parse, serving, types
from tests.live.test_graph_changes import hold
from tests.waiting import PATIENCE_S


async def test_a_start_is_accepted_with_the_place_where_the_execution_is_found(service: Service) -> None:
    answer = await service.client.post("/graphs/chain/execute", json={"state": {"count": 5}})

    body = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/executions/{body['id']}"
    assert body == {
        "id": body["id"],
        "graph_id": "chain",
        "graph_version": 1,
        "status": "running",
        "links": {
            "self": f"/executions/{body['id']}",
            "events": f"/executions/{body['id']}/events",
            "websocket": f"/executions/{body['id']}/ws",
        },
    }


@pytest.mark.capability("SSE-01")
async def test_a_start_with_a_stream_gives_every_event_from_the_first_on(service: Service) -> None:
    async with service.client.stream("POST", "/graphs/chain/execute/stream") as answer:
        assert answer.headers["location"].startswith("/executions/")
        blocks = parse(await answer.aread())

    assert numbers(blocks) == list(range(1, len(numbers(blocks)) + 1))
    assert types(blocks)[0] == "execution_started"
    assert types(blocks)[-2:] == ["execution_completed", "stream_end"]


async def test_a_start_that_waits_answers_with_the_state(service: Service) -> None:
    body = await service.run("chain", state={"count": 5})

    assert body["status"] == "completed"
    assert body["outcome"] == "success"
    assert body["state"] == {"count": 8}
    assert body["steps"] == 3
    assert body["errors"] == []
    assert body["progress"]["percent"] == 100
    assert body["last_seq"] == 9


async def test_a_failed_execution_is_an_answer_too(service: Service) -> None:
    body = await service.run("failing")

    assert body["status"] == "failed"
    assert body["outcome"] is None
    assert body["error"]["message"] == "no luck"
    assert body["errors"][0]["node"] == "broken"


async def test_a_wait_that_takes_too_long_answers_where_the_execution_is_found(service: Service) -> None:
    answer = await service.client.post("/graphs/gated/execute/wait?timeout=1")

    assert answer.status_code == 202
    assert answer.json()["status"] == "running"
    gates["gate"].opened.set()


async def test_what_a_start_asks_for_is_what_it_gets(service: Service) -> None:
    body = {"entry": ["third"], "seed": 7, "limits": {"max_steps": 5}, "detail": "full", "metadata": {"by": "me"}}
    answer = await service.client.post("/graphs/chain/execute/stream", json=body)

    blocks = parse(answer.content)
    started = blocks[0].data["data"]
    assert started["entry"] == ["third"]
    assert started["seed"] == 7
    assert started["options"]["limits"] == {"max_steps": 5}
    assert started["options"]["metadata"] == {"by": "me"}
    assert "node_entered" in types(blocks)


async def test_a_graph_that_does_not_exist_is_not_found_before_a_stream_begins(service: Service) -> None:
    answer = await service.client.post("/graphs/nothing/execute/stream")

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "not_found"


async def test_a_repeated_start_is_sent_to_its_location(service: Service) -> None:
    for route in ["execute", "execute/stream", "execute/wait"]:
        answer = await service.client.post(f"/graphs/chain/{route}", headers={"Last-Event-ID": "3"})

        assert answer.status_code == 409
        assert answer.json()["code"] == "use_location"
        assert (await service.client.get("/executions")).json()["items"] == []


async def test_an_unknown_version_is_refused_at_its_place(service: Service) -> None:
    answer = await service.client.post("/graphs/chain/execute", json={"version": 9})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/version"


async def test_an_entry_that_is_no_node_is_refused_with_the_nearest(service: Service) -> None:
    answer = await service.client.post("/graphs/chain/execute", json={"entry": ["first", "secnd"]})

    error = answer.json()["errors"][0]
    assert answer.status_code == 422
    assert error["pointer"] == "/entry/1"
    assert '"second"' in error["detail"]


async def test_all_that_is_wrong_with_a_start_is_told_at_once(service: Service) -> None:
    answer = await service.client.post("/graphs/chain/execute", json={"entry": ["nowhere"], "state": {"errors": []}})

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/entry/0", "/state/errors"]


async def test_a_version_larger_than_any_is_refused(service: Service) -> None:
    for version in [2**31, 2**63]:
        answer = await service.client.post("/graphs/chain/execute", json={"version": version})

        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == "/version"


async def test_one_execution_too_many_is_refused_for_now(tmp_path: Path) -> None:
    async with serving(tmp_path, max_executions=1) as service:
        first = await service.start("gated")

        answer = await service.client.post("/graphs/chain/execute")

        assert answer.status_code == 429
        assert answer.json()["code"] == "at_capacity"
        assert answer.json()["limit"] == 1
        assert int(answer.headers["retry-after"]) > 0
        gates["gate"].opened.set()
        await service.events(first)
        assert (await service.run("chain"))["status"] == "completed"


@pytest.mark.capability("EXE-21")
async def test_a_client_that_goes_away_does_not_stop_the_execution(service: Service) -> None:
    async with service.client.stream("POST", "/graphs/gated/execute/stream") as answer:
        execution = answer.headers["location"]
        async with asyncio.timeout(PATIENCE_S):
            await gates["gate"].reached.wait()

    gates["gate"].opened.set()
    blocks = parse((await service.client.get(f"{execution}/events")).content)
    assert types(blocks)[-1] == "stream_end"
    assert blocks[-1].data["data"]["status"] == "completed"


async def test_no_start_waits_for_newer_durations_than_are_known(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    await service.client.post("/graphs/chain/execute/wait")
    monkeypatch.setattr("app.services.launching.DURATIONS_AGE_S", -1.0)
    await service.client.post("/graphs/chain/execute/wait")
    hold(monkeypatch, ExecutionRepository, "node_durations", first=True)

    async with asyncio.timeout(PATIENCE_S):
        ended = await service.client.post("/graphs/chain/execute/wait")
        await gates["node_durations"].reached.wait()
    gates["node_durations"].opened.set()

    assert ended.json()["status"] == "completed"


async def test_durations_that_cannot_be_looked_up_again_are_no_failure(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await service.client.post("/graphs/chain/execute/wait")
    monkeypatch.setattr("app.services.launching.DURATIONS_AGE_S", -1.0)
    await service.client.post("/graphs/chain/execute/wait")
    asked = asyncio.Event()

    async def refuse(*_: object) -> None:
        asked.set()
        raise StorageUnavailable("not now")

    monkeypatch.setattr(ExecutionRepository, "node_durations", refuse)
    ended = await service.client.post("/graphs/chain/execute/wait")
    await asked.wait()
    await service.client.get("/health/live")

    assert ended.json()["status"] == "completed"
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []
