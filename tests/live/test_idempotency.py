"""A request that is repeated with its ``Idempotency-Key`` is carried out once."""

import asyncio
import os
import sqlite3
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.storage.repositories.idempotency import IdempotencyRepository
from tests.databases import on_each_database
from tests.live.control import gates
from tests.live.serving import GRAPHS, Service, connection, http_client, numbers, parse, request, serving
from tests.live.test_graphs import definition
from tests.waiting import PATIENCE_S

PROJECT = Path(__file__).resolve().parents[2]
KEY = {"Idempotency-Key": "8e03978e-40d5-43e8-bc93-6894a57f9324"}
REPLAYED = "idempotent-replayed"
STARTS = ["execute", "execute/stream", "execute/wait"]


async def count(service: Service) -> int:
    return len((await service.client.get("/executions")).json()["items"])


def place(answer: httpx.Response) -> str:
    return str(answer.headers["location"])


@pytest.mark.bad_input(59)
async def test_a_start_that_is_repeated_is_answered_as_the_first_time(service: Service) -> None:
    body = {"state": {"count": 5}}
    first = await service.client.post("/graphs/chain/execute", json=body, headers=KEY)
    await service.events(first.json()["id"])
    again = await service.client.post("/graphs/chain/execute", json=body, headers=KEY)
    other = await service.client.post("/graphs/chain/execute", json=body, headers={"Idempotency-Key": "other"})

    assert (first.status_code, again.status_code) == (202, 202)
    assert (again.json(), place(again)) == (first.json(), place(first))
    assert REPLAYED not in first.headers
    assert again.headers[REPLAYED] == "true"
    assert other.json()["id"] != first.json()["id"]
    assert await count(service) == 2


@on_each_database
@pytest.mark.bad_input(59)
@pytest.mark.capability("API-09")
@pytest.mark.parametrize("route", STARTS)
async def test_of_fifty_starts_at_once_with_one_key_one_execution_comes(service: Service, route: str) -> None:
    answers = await asyncio.gather(
        *(service.client.post(f"/graphs/chain/{route}", headers=KEY, timeout=30) for _ in range(50))
    )

    assert {answer.status_code for answer in answers} == {202 if route == "execute" else 200}
    assert len({place(answer) for answer in answers}) == 1
    assert sum(REPLAYED in answer.headers for answer in answers) == 49
    assert await count(service) == 1
    if route == "execute/stream":
        assert {tuple(numbers(parse(answer.content))) for answer in answers} == {tuple(range(1, 10))}
    else:
        assert len({answer.content for answer in answers}) == 1


async def test_the_same_body_written_in_another_way_is_the_same(service: Service) -> None:
    headers = {**KEY, "Content-Type": "application/json"}
    bodies = [b'{"seed":7,"state":{"a":1,"b":2}}', b'{ "state": {"b": 2, "a": 1},\n"seed": 7 }']

    answers = [await service.client.post("/graphs/chain/execute", content=body, headers=headers) for body in bodies]
    named = {"Idempotency-Key": "empty"}
    empty = [
        await service.client.post("/graphs/chain/execute", headers=named),
        await service.client.post("/graphs/chain/execute", json={}, headers=named),
    ]

    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len({answer.json()["id"] for answer in empty}) == 1


@pytest.mark.bad_input(60)
async def test_a_key_that_came_with_another_body_or_route_is_refused(service: Service) -> None:
    await service.client.post("/graphs/chain/execute", json={"seed": 1}, headers=KEY)
    different: list[tuple[str, dict[str, Any]]] = [
        ("/graphs/chain/execute", {"seed": 2}),
        ("/graphs/chain/execute", {}),
        ("/graphs/talk/execute", {"seed": 1}),
        ("/graphs/chain/execute/stream", {"seed": 1}),
        ("/graphs/chain/execute/wait", {"seed": 1}),
        ("/graphs", definition()),
        ("/executions/some/cancel", {}),
    ]

    for path, body in different:
        answer = await service.client.post(path, json=body, headers=KEY)

        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_mismatch"), path
    assert await count(service) == 1
    assert (await service.client.get("/graphs/made")).status_code == 404


@on_each_database
@pytest.mark.bad_input(60)
async def test_of_two_bodies_at_once_with_one_key_one_is_refused(service: Service) -> None:
    answers = await asyncio.gather(
        *(service.client.post("/graphs/chain/execute", json={"seed": seed}, headers=KEY) for seed in range(2))
    )

    assert sorted(answer.status_code for answer in answers) == [202, 422]
    assert await count(service) == 1


@pytest.mark.bad_input(61)
async def test_what_is_no_key_is_refused_everywhere_it_is_heard(service: Service) -> None:
    paths = [*(f"/graphs/chain/{route}" for route in STARTS), "/graphs", "/executions/some/cancel"]
    wrong = [b"", b"x" * 256, "schlüssel".encode(), "schlüssel".encode("latin-1"), b"a\tb"]

    for path in paths:
        for key in wrong:
            answer = await service.client.post(path, headers=[(b"Idempotency-Key", key)])

            assert (answer.status_code, answer.json()["code"]) == (400, "invalid_idempotency_key"), (path, key)
        twice = await service.client.post(path, headers=[("Idempotency-Key", "a"), ("Idempotency-Key", "a")])
        assert (twice.status_code, twice.json()["code"]) == (400, "invalid_idempotency_key")
    async with connection(service.port) as blank:
        await blank.send(request("POST", "/graphs/chain/execute", Idempotency_Key="   ", Content_Length="0"))
        assert (await blank.head())[0] == 400
    assert await count(service) == 0


@pytest.mark.bad_input(61)
async def test_a_key_of_255_printable_characters_is_one(service: Service) -> None:
    for key in ["x" * 255, '"quoted, with a comma"', "~"]:
        answers = [
            await service.client.post("/graphs/chain/execute", headers={"Idempotency-Key": key}) for _ in range(2)
        ]

        assert answers[0].json() == answers[1].json()
    assert await count(service) == 3


async def test_a_stream_that_is_repeated_goes_on_from_the_place_of_its_reader(service: Service) -> None:
    path = "/graphs/gated/execute/stream"
    async with service.client.stream("POST", path, headers=KEY) as cut:
        async with asyncio.timeout(PATIENCE_S):
            await gates["gate"].reached.wait()
    task = asyncio.create_task(service.client.post(path, headers={**KEY, "Last-Event-ID": "1"}))
    waiting = asyncio.create_task(service.client.post(f"{path}?types=node_completed", headers=KEY))
    gates["gate"].opened.set()
    resumed, filtered = await task, await waiting
    finished = await service.client.post(path, headers=KEY)
    last = numbers(parse(finished.content))[-1]
    over = await service.client.post(path, headers={**KEY, "Last-Event-ID": str(last)})

    assert {place(answer) for answer in (cut, resumed, filtered, finished, over)} == {place(cut)}
    assert numbers(parse(resumed.content)) == list(range(2, last + 1))
    assert numbers(parse(finished.content)) == list(range(1, last + 1))
    assert numbers(parse(filtered.content)) == [3, 4, 5]
    assert (over.status_code, over.content) == (204, b"")
    assert all(answer.headers[REPLAYED] == "true" for answer in (resumed, filtered, finished, over))
    assert await count(service) == 1


async def test_a_stream_that_is_repeated_with_a_place_that_nobody_can_have_is_refused(service: Service) -> None:
    path = "/graphs/chain/execute/stream"
    await service.client.post(path, headers=KEY)

    for cursor in ["1e3", "-1", "99"]:
        answer = await service.client.post(path, headers={**KEY, "Last-Event-ID": cursor})

        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


async def test_a_place_in_a_stream_with_a_key_that_is_unknown_starts_nothing(service: Service) -> None:
    for route in STARTS:
        answer = await service.client.post(f"/graphs/chain/{route}", headers={**KEY, "Last-Event-ID": "3"})

        assert (answer.status_code, answer.json()["code"]) == (409, "use_location")
    assert await count(service) == 0


async def test_a_wait_that_is_repeated_waits_for_the_same_execution(service: Service) -> None:
    path = "/graphs/gated/execute/wait"
    first = asyncio.create_task(service.client.post(path, headers=KEY))
    async with asyncio.timeout(PATIENCE_S):
        await gates["gate"].reached.wait()
    impatient = await service.client.post(f"{path}?timeout=1", headers=KEY)
    again = asyncio.create_task(service.client.post(path, headers=KEY))
    gates["gate"].opened.set()

    assert (impatient.status_code, impatient.json()["status"]) == (202, "running")
    assert (await first).json()["state"] == {"gate": "gate", "passed": True}
    assert (await again).content == (await first).content
    assert (await service.client.post(path, headers=KEY)).content == (await first).content
    assert await count(service) == 1


@on_each_database
async def test_a_graph_is_created_once_and_the_answer_is_that_of_the_first_time(service: Service) -> None:
    answers = await asyncio.gather(*(service.client.post("/graphs", json=definition(), headers=KEY) for _ in range(50)))
    deleted = await service.client.delete("/graphs/made")
    later = await service.client.post("/graphs", json=definition(), headers=KEY)

    assert {answer.status_code for answer in answers} == {201}
    assert sum(REPLAYED in answer.headers for answer in answers) == 49
    assert deleted.status_code == 204
    assert {answer.content for answer in answers} == {later.content}
    assert place(later) == "/graphs/made"
    assert (await service.client.get("/graphs/made")).status_code == 404


@on_each_database
async def test_a_cancellation_that_is_repeated_is_told_the_number_of_the_first(service: Service) -> None:
    execution = await service.start("gated")
    path = f"/executions/{execution}/cancel"
    answers = await asyncio.gather(*(service.client.post(path, headers=KEY) for _ in range(50)))
    blocks = await service.events(execution)
    late = await service.client.post(path, headers=KEY)
    without = await service.client.post(path)

    assert {answer.status_code for answer in answers} == {202}
    assert {answer.content for answer in (*answers, late)} == {answers[0].content}
    accepted = [block.data["seq"] for block in blocks if block["event"] == "command_accepted"]
    assert accepted == [late.json()["applied_seq"]]
    assert late.headers[REPLAYED] == "true"
    assert without.status_code == 409


async def test_what_is_refused_does_not_use_up_its_key(service: Service) -> None:
    answers = await asyncio.gather(
        *(service.client.post("/graphs/chain/execute", json={"version": 9}, headers=KEY) for _ in range(5))
    )
    started = await service.client.post("/graphs/chain/execute", json={"version": 1}, headers=KEY)

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(422, "invalid_request")] * 5
    assert started.status_code == 202
    assert REPLAYED not in started.headers


async def test_at_capacity_nothing_is_started_and_what_was_started_is_still_told(tmp_path: Path) -> None:
    async with serving(tmp_path, max_executions=1) as service:
        first = await service.client.post("/graphs/gated/execute", headers=KEY)
        new = {"Idempotency-Key": "new"}
        refused = await asyncio.gather(*(service.client.post("/graphs/chain/execute", headers=new) for _ in range(5)))
        again = await service.client.post("/graphs/gated/execute", headers=KEY)
        gates["gate"].opened.set()
        await service.events(first.json()["id"])
        started = await service.client.post("/graphs/chain/execute", headers=new)

    assert {answer.status_code for answer in refused} == {429}
    assert again.json() == first.json()
    assert started.status_code == 202


async def test_what_was_made_and_deleted_is_not_made_again(service: Service, tmp_path: Path) -> None:
    first = await service.client.post("/graphs/chain/execute/wait", headers=KEY)
    with sqlite3.connect(tmp_path / "graphwire.db") as database:
        database.execute("PRAGMA foreign_keys=ON")
        database.execute("DELETE FROM executions WHERE id = ?", (first.json()["id"],))
    database.close()

    again = await service.client.post("/graphs/chain/execute/wait", headers=KEY)

    assert (again.status_code, again.json()["code"]) == (404, "not_found")
    assert await count(service) == 0


async def test_a_body_without_a_declared_length_has_a_key_too(service: Service) -> None:
    async def body() -> Any:
        yield b'{"seed":'
        yield b" 7}"

    headers = {**KEY, "Content-Type": "application/json"}
    chunked = await service.client.post("/graphs/chain/execute", content=body(), headers=headers)
    whole = await service.client.post("/graphs/chain/execute", json={"seed": 7}, headers=KEY)
    large = {"state": {"text": "x" * 200_000}}
    twice = [
        await service.client.post("/graphs/chain/execute", json=large, headers={"Idempotency-Key": "large"})
        for _ in range(2)
    ]

    assert chunked.status_code == 202
    assert whole.json() == chunked.json()
    assert twice[0].json() == twice[1].json()


async def test_without_a_key_nothing_is_looked_up(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise AssertionError("a key was looked up")

    monkeypatch.setattr(IdempotencyRepository, "get", fail)

    assert (await service.client.post("/graphs", json=definition())).status_code == 201
    for route in STARTS:
        assert (await service.client.post(f"/graphs/made/{route}")).status_code in (200, 202)
    gated = await service.start("gated")
    assert (await service.client.post(f"/executions/{gated}/cancel")).status_code == 202


# The process dies with what it made on disk, before the first byte of its answer.
DYING = """
import os, signal, sys
from pathlib import Path
from app.server import make_server
from app.services.executions import ExecutionService
from app.services.foreign import ForeignService
from app.services.graphs import GraphService
from app.settings import Settings

def dying(original):
    async def die(*arguments, **named):
        if (sys.argv[2] == "cancel") == (original.__name__ == "command"):
            await original(*arguments, **named)
            os.kill(os.getpid(), signal.SIGKILL)
        return await original(*arguments, **named)
    return die

executions = (ExecutionService, "start"), (ExecutionService, "command"), (ForeignService, "append")
for service, name in (*executions, (GraphService, "create")):
    setattr(service, name, dying(getattr(service, name)))
settings = Settings(port=0, database_url=f"sqlite:///{sys.argv[1]}/graphwire.db", graphs=(Path(sys.argv[3]),))
make_server(settings, ready=lambda _, port: print(port, flush=True)).run()
"""


async def kill_while_answering(folder: Path, path: str, body: Any, *, dies_at: str = "start") -> list[str]:
    """Send a request to a process that dies before it answers; returns the executions that were listed before."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", DYING, str(folder), dies_at, str(GRAPHS), stdout=asyncio.subprocess.PIPE, cwd=PROJECT,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
    )  # fmt: skip
    assert child.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE_S):
            base_url = f"http://127.0.0.1:{int(await child.stdout.readline())}"
            async with http_client(base_url) as client:
                started = []
                if "{id}" in path:
                    started = [(await client.post("/graphs/gated/execute")).json()["id"]]
                with pytest.raises(httpx.TransportError):
                    await client.post(path.format(id="".join(started)), json=body, headers=KEY)
            await child.wait()
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    return started


@pytest.mark.bad_input(62)
@pytest.mark.parametrize("route", STARTS)
async def test_a_start_whose_answer_a_kill_prevented_is_found_by_the_retry(tmp_path: Path, route: str) -> None:
    await kill_while_answering(tmp_path, f"/graphs/chain/{route}", {"seed": 7})

    async with serving(tmp_path) as service:
        listed = (await service.client.get("/executions")).json()["items"]
        again = await service.client.post(f"/graphs/chain/{route}", json={"seed": 7}, headers=KEY)

        assert again.status_code == (202 if route == "execute" else 200)
        assert again.headers[REPLAYED] == "true"
        assert [place(again)] == [f"/executions/{each['id']}" for each in listed]
        assert await count(service) == 1


@pytest.mark.bad_input(62)
async def test_a_graph_whose_answer_a_kill_prevented_is_found_by_the_retry(tmp_path: Path) -> None:
    await kill_while_answering(tmp_path, "/graphs", definition(), dies_at="create")

    async with serving(tmp_path) as service:
        again = await service.client.post("/graphs", json=definition(), headers=KEY)

        assert (again.status_code, again.headers[REPLAYED]) == (201, "true")
        assert again.json() == (await service.client.get("/graphs/made")).json()


@pytest.mark.bad_input(62)
async def test_a_cancellation_whose_answer_a_kill_prevented_is_found_by_the_retry(tmp_path: Path) -> None:
    path = "/executions/{id}/cancel"
    [execution] = await kill_while_answering(tmp_path, path, {"reason": "enough"}, dies_at="cancel")

    async with serving(tmp_path) as service:
        again = await service.client.post(path.format(id=execution), json={"reason": "enough"}, headers=KEY)
        blocks = await service.events(execution)

        assert (again.status_code, again.headers[REPLAYED]) == (202, "true")
        accepted = [block.data["seq"] for block in blocks if block["event"] == "command_accepted"]
        assert accepted == [again.json()["applied_seq"]]


async def test_a_client_that_leaves_before_its_answer_finds_it_by_its_key(service: Service) -> None:
    path = "/graphs/gated/execute/wait"
    async with connection(service.port) as cut:
        await cut.send(request("POST", path, b"{}", Idempotency_Key="left"))
        async with asyncio.timeout(PATIENCE_S):
            await gates["gate"].reached.wait()
    gates["gate"].opened.set()

    again = await service.client.post(path, json={}, headers={"Idempotency-Key": "left"})

    assert (again.status_code, again.json()["status"]) == (200, "completed")
    assert await count(service) == 1
