"""Executions of engines that run elsewhere: declared, reported over HTTP, followed like any other."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from app.api.reports import MAX_EVENTS
from app.storage.store import SqlExecutionStore
from graphwire.events.schema import stream_schema
from tests.databases import on_each_database
from tests.docs.blocks import blocks as blocks_of
from tests.live.serving import Service, numbers, parse, serving, types
from tests.live.test_idempotency import kill_while_answering
from tests.parts import ROOT
from tests.waiting import PATIENCE_S

COUNT = 1_000
VALID = jsonschema_rs.validator_for(stream_schema())


async def declare(service: Service, **body: Any) -> str:
    answer = await service.client.post("/executions", json={"graph_id": "nightly", **body})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def event(id: str, type: str, node: str | None = None, /, *, data: dict[str, Any] | None = None, **more: Any) -> Any:
    named = {} if node is None else {"node_id": node}
    return {"id": id, "type": type, **named, **({} if data is None else {"data": data}), **more}


async def report(service: Service, execution: str, *events: Any, status: int = 200) -> dict[str, Any]:
    answer = await service.client.post(f"/executions/{execution}/events", json=list(events))
    assert answer.status_code == status, answer.text
    return dict(answer.json())


async def history(service: Service, execution: str) -> list[dict[str, Any]]:
    answer = await service.client.get(f"/executions/{execution}/events", headers={"Accept": "application/json"})
    return list(answer.json()["events"])


async def shown(service: Service, execution: str) -> dict[str, Any]:
    return dict((await service.client.get(f"/executions/{execution}")).json())


BEGIN = event("s", "node_started", "fetch")
DONE = event("c", "node_completed", "fetch", data={"result": 12})
END = event("e", "execution_completed", data={"state": {"pages": 12}})


@on_each_database
async def test_a_declared_execution_is_followed_listed_and_deleted_like_any_other(service: Service) -> None:
    client = service.client
    answer = await client.post("/executions", json={"graph_id": "nightly", "correlation_id": "order-1"})
    declared = answer.json()
    id = declared["id"]

    assert answer.status_code == 201
    assert answer.headers["location"] == declared["links"]["self"] == f"/executions/{id}"
    assert (declared["graph_id"], declared["graph_version"], declared["status"]) == ("nightly", 0, "running")
    assert (await shown(service, id))["engine"] == "foreign"
    assert (await client.delete(f"/executions/{id}")).status_code == 409

    reading = asyncio.create_task(service.events(id))
    first = await report(service, id, BEGIN, event("m", "node_message", "fetch", data={"scope": "x", "message": [1]}))
    assert [(each["id"], each["seq"], each["duplicate"]) for each in first["events"]] == [
        ("s", 2, False),
        ("m", 3, False),
    ]
    running = await shown(service, id)
    assert (running["steps"], running["last_seq"], running["progress"]) == (1, 3, None)
    assert (await client.get(f"/executions/{id}/state")).json() == {"seq": 3, "state": {}, "conflicts": []}
    last = await report(service, id, DONE, END)

    assert (last["status"], last["last_seq"]) == ("completed", 6)
    blocks = await reading
    assert numbers(blocks) == [1, 2, 3, 4, 5, 6]
    assert types(blocks)[-3:] == ["node_completed", "execution_completed", "stream_end"]
    events = [block.data for block in blocks]
    for each in events:
        VALID.validate(each)
    assert {each["correlation_id"] for each in events} == {"order-1"}
    assert [each["mono_ns"] for each in events] == sorted(each["mono_ns"] for each in events)
    assert {each["activation"] for each in events[1:4]} == {events[1]["activation"]}
    assert [each["pass"] for each in events[1:4]] == [1, 1, 1]
    assert events[3]["data"]["attempt"] == 1
    view = await shown(service, id)
    assert (view["status"], view["outcome"], view["steps"], view["last_seq"]) == ("completed", "success", 1, 6)
    assert (await client.get(f"/executions/{id}/state")).json()["state"] == {"pages": 12}
    listed = (await client.get("/executions", params={"q": "order-1"})).json()["items"]
    assert [each["id"] for each in listed] == [id]
    assert (await client.get(f"/executions/{id}/events", params={"after": 6})).status_code == 204
    filtered = await client.get(f"/executions/{id}/events", params={"nodes": "fetch", "types": "node_message"})
    assert numbers(parse(filtered.content)) == [3, 5, 6]
    assert (await client.delete(f"/executions/{id}")).status_code == 204
    assert (await client.get(f"/executions/{id}")).status_code == 404


@on_each_database
async def test_a_thousand_events_reach_a_reader_that_resumes_again_and_again(service: Service) -> None:
    id = await declare(service)
    read: list[int] = []

    async def follow() -> None:
        while True:
            headers = {"Last-Event-ID": str(read[-1])} if read else {}
            async with service.client.stream("GET", f"/executions/{id}/events", headers=headers) as answer:
                if answer.status_code == 204:
                    return
                cut_after = len(read) + 170
                async for line in answer.aiter_lines():
                    if line.startswith("id: "):
                        read.append(int(line.removeprefix("id: ")))
                    if len(read) == cut_after:
                        break

    async with asyncio.TaskGroup() as group:
        group.create_task(follow())
        await report(service, id, BEGIN)
        for begin in range(0, COUNT, 100):
            chunks = [
                event(f"{n}", "llm_chunk", "fetch", data={"stream_id": "text", "text": f"{n} "})
                for n in range(begin, begin + 100)
            ]
            lines = "\n".join(json.dumps(chunk) for chunk in chunks)
            answer = await service.client.post(
                f"/executions/{id}/events", content=lines, headers={"Content-Type": "application/x-ndjson"}
            )
            assert answer.status_code == 200
        await report(service, id, DONE, END)

    assert read == list(range(1, COUNT + 6))


@on_each_database
async def test_of_two_producers_that_race_with_the_same_events_each_event_is_taken_once(service: Service) -> None:
    id = await declare(service)
    await report(service, id, BEGIN)
    chunks = [event(f"{n}", "llm_chunk", "fetch", data={"stream_id": "t", "text": "x"}) for n in range(60)]

    async def produce(step: int) -> list[dict[str, Any]]:
        answers = []
        for begin in range(0, len(chunks), step):
            answers += (await report(service, id, *chunks[begin : begin + step]))["events"]
        return answers

    answers: list[dict[str, Any]] = []
    for each in await asyncio.gather(produce(7), produce(10), produce(60)):
        answers += each
    seqs = {each["id"]: each["seq"] for each in answers}

    assert sorted(seqs.values()) == list(range(3, 63))
    assert all(seqs[each["id"]] == each["seq"] for each in answers)
    assert sum(not each["duplicate"] for each in answers) == 60
    assert len(await history(service, id)) == 62


async def test_what_is_repeated_is_answered_with_its_number_also_after_the_end_and_a_restart(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path) as service:
        id = await declare(service)
        first = await report(service, id, BEGIN, DONE)
        again = await report(service, id, BEGIN, DONE, BEGIN)
    async with serving(tmp_path) as service:
        after = await report(service, id, DONE, event("m", "diagnostic", data={"code": "x", "message": "y"}))
        end = await report(service, id, END)
        ended = await report(service, id, END, BEGIN)
        late = await report(service, id, END, event("late", "node_started", "b"), status=409)

    assert [each["seq"] for each in first["events"]] == [2, 3]
    assert [(each["seq"], each["duplicate"]) for each in again["events"]] == [(2, True), (3, True), (2, True)]
    assert [(each["seq"], each["duplicate"]) for each in after["events"]] == [(3, True), (4, False)]
    assert (end["events"][0]["seq"], end["last_seq"]) == (5, 6)
    assert [(each["seq"], each["duplicate"]) for each in ended["events"]] == [(5, True), (2, True)]
    assert (late["code"], late["current"]) == ("command_not_allowed", "completed")


@on_each_database
async def test_a_restart_leaves_it_running_and_its_readers_go_on(tmp_path: Path, database_url: str) -> None:
    async with serving(tmp_path, database_url=database_url) as service:
        id = await declare(service)
        await report(service, id, BEGIN)
        await service.client.post(f"/executions/{id}/cancel", json={"reason": "enough"})
    async with serving(tmp_path, database_url=database_url) as service:
        view = await shown(service, id)
        listed = (await service.client.get("/executions", params={"status": "stopping"})).json()["items"]
        reading = asyncio.create_task(service.events(id, after="1"))
        answer = await report(service, id)
        await report(service, id, event("e", "execution_cancelled"))
        blocks = await reading

    assert (view["status"], view["steps"], view["last_seq"]) == ("stopping", 1, 3)
    assert [each["id"] for each in listed] == [id]
    assert answer["commands"] == [{"seq": 3, "command": "cancel", "arguments": {"reason": "enough"}}]
    assert types(blocks) == ["node_started", "command_accepted", "node_cancelled", "execution_cancelled", "stream_end"]
    assert numbers(blocks) == [2, 3, 4, 5, 6]
    assert blocks[-2].data["data"]["reason"] == "enough"
    assert blocks[-1].data["data"]["total_events"] == 6


async def test_events_whose_answer_a_kill_prevented_are_found_by_the_retry(tmp_path: Path) -> None:
    id = str(uuid4())
    async with serving(tmp_path) as service:
        await declare(service, id=id)
    await kill_while_answering(tmp_path, f"/executions/{id}/events", [BEGIN, DONE], dies_at="report")

    async with serving(tmp_path) as service:
        again = await report(service, id, BEGIN, DONE, END)
        events = await history(service, id)

    assert [(each["seq"], each["duplicate"]) for each in again["events"]] == [(2, True), (3, True), (4, False)]
    assert [each["seq"] for each in events] == [1, 2, 3, 4, 5]


async def test_a_declaration_is_repeated_by_its_key_and_refused_by_its_id(service: Service) -> None:
    body = {"graph_id": "nightly"}
    headers = {"Idempotency-Key": "declare"}
    answers = await asyncio.gather(*(service.client.post("/executions", json=body, headers=headers) for _ in range(20)))
    id = str(uuid4())
    taken = await asyncio.gather(*(service.client.post("/executions", json={**body, "id": id}) for _ in range(5)))

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.headers["location"] for answer in answers}) == 1
    assert sorted(answer.status_code for answer in taken) == [201, 409, 409, 409, 409]
    assert {answer.json()["code"] for answer in taken if answer.status_code == 409} == {"execution_exists"}
    assert len((await service.client.get("/executions")).json()["items"]) == 2


async def test_a_version_that_is_named_must_be_there(service: Service) -> None:
    named = await service.client.post("/executions", json={"graph_id": "chain", "version": 1})
    nowhere = await service.client.post("/executions", json={"graph_id": "chain", "version": 9})
    empty = await service.client.post("/executions")

    assert (named.status_code, named.json()["graph_version"]) == (201, 1)
    assert (nowhere.status_code, nowhere.json()["code"]) == (404, "not_found")
    assert (empty.status_code, empty.json()["errors"][0]["pointer"]) == (422, "/graph_id")


async def test_only_what_was_declared_takes_events(service: Service) -> None:
    own = str((await service.run("chain"))["id"])

    assert (await report(service, own, BEGIN, status=409))["code"] == "command_not_allowed"
    assert (await report(service, "nowhere", BEGIN, status=404))["code"] == "not_found"


async def test_every_fault_of_a_report_is_named_and_nothing_of_it_is_taken(service: Service) -> None:
    id = await declare(service)
    bad = [
        BEGIN,
        event("1", "node_completed", "other"),
        event("2", "execution_started"),
        event("3", "node_log", "fetch", data={"level": 7, "message": "x", "color": "red"}),
        event("4", "node_failed", "fetch", data={"error": {"code": 1, "type": "E"}}),
        event("", "node_started", "b"),
        event("5", "node_started"),
        event("6", "node_started", "b", ts="yesterday"),
        7,
    ]
    shapes = await report(service, id, *bad, status=422)
    meaning = await report(service, id, *bad[:2], *bad[3:5], bad[6], END, event("z", "node_started", "b"), status=422)

    assert [each["pointer"] for each in shapes["errors"]] == ["/2/type", "/5/id", "/7/ts", "/8"]
    assert all(each["line"] == 1 for each in shapes["errors"])
    assert [(each["pointer"], each["code"]) for each in meaning["errors"]] == [
        ("/1", "not_started"),
        ("/2/data/color", "unknown_field"),
        ("/2/data/level", "invalid_value"),
        ("/3/data/error/code", "invalid_value"),
        ("/3/data/error/message", "missing_field"),
        ("/4/node_id", "missing_field"),
        ("/6", "after_end"),
    ]
    assert len(await history(service, id)) == 1
    await report(service, id, BEGIN, DONE, END)


async def test_lines_are_judged_like_a_list(service: Service) -> None:
    id = await declare(service)
    path, headers = f"/executions/{id}/events", {"Content-Type": "application/x-ndjson"}
    lines = [json.dumps(BEGIN), "", '{"id": "1", "type": "node_x"}', "{nonsense"]

    broken = await service.client.post(path, content="\n".join(lines), headers=headers)
    wrong = await service.client.post(path, content="\n".join(lines[:3]), headers=headers)
    single = await service.client.post(path, json=BEGIN)

    assert (broken.status_code, broken.json()["code"]) == (400, "malformed_json")
    assert [(each["pointer"], each["line"]) for each in broken.json()["errors"]] == [("/2", 4)]
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/1/type")
    assert [each["seq"] for each in single.json()["events"]] == [2]


async def test_too_much_at_once_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path, max_body_bytes=300_000, max_executions=1) as service:
        id = await declare(service)
        many = [event(f"{n}", "node_started", f"n{n}") for n in range(MAX_EVENTS + 1)]
        too_many = await report(service, id, *many, status=422)
        large = [
            event("l", "node_started", "n"),
            event("m", "node_message", "n", data={"scope": "", "message": "x" * 300_000}),
        ]
        too_large = await report(service, id, *large, status=413)
        second = await service.client.post("/executions", json={"graph_id": "nightly"})
        taken = await report(service, id, *many[:MAX_EVENTS])
        await report(service, id, END)
        third = await service.client.post("/executions", json={"graph_id": "nightly"})

    assert (too_many["limit"], too_large["limit"]) == (MAX_EVENTS, 300_000)
    assert (second.status_code, second.json()["code"]) == (429, "at_capacity")
    assert taken["last_seq"] == MAX_EVENTS + 1
    assert third.status_code == 201


async def test_an_event_that_is_too_large_for_a_line_is_whole_at_its_address(service: Service) -> None:
    id = await declare(service)
    await report(service, id, BEGIN, event("m", "node_message", "fetch", data={"scope": "x", "message": "y" * 400_000}))

    line = (await history(service, id))[2]
    whole = (await service.client.get(f"/executions/{id}/events/3")).json()

    assert line["data"]["message"] == {"$ref": f"/executions/{id}/events/3", "bytes": 400_002}
    assert whole["data"]["message"] == "y" * 400_000


async def test_times_are_the_producers_as_far_as_they_can_be(service: Service) -> None:
    id = await declare(service)
    began = (await history(service, id))[0]["ts"]
    await report(
        service,
        id,
        event("1", "node_started", "a", ts="2020-01-01T00:00:00Z"),
        event("2", "node_completed", "a", ts="2099-01-01T00:00:00+02:00"),
        event("3", "diagnostic", data={"code": "x", "message": "y"}),
    )
    times = [each["ts"] for each in await history(service, id)]

    assert times == sorted(times)
    assert times[1] == began
    assert times[2] < "2099"


async def test_attempts_and_scopes_are_told_apart(service: Service) -> None:
    id = await declare(service)
    error = {"code": "exception", "type": "OSError", "message": "no"}
    inner: dict[str, Any] = {"activation": "i1", "path": [{"node": "each", "activation": "o1", "index": 0}]}
    await report(
        service,
        id,
        event("1", "node_started", "a", activation="x"),
        event("2", "node_failed", "a", data={"error": error, "will_retry": True}),
        event("3", "node_started", "a", activation="x", data={"attempt": 2}),
        event("4", "node_started", "each", activation="o1"),
        event("5", "node_started", "item", **inner),
        event("6", "node_completed", "item", activation="i1"),
        event("7", "execution_failed", data={"error": error}),
    )
    events = await history(service, id)
    view = await shown(service, id)

    assert [each["type"] for each in events[-4:]] == [
        "node_cancelled",
        "node_cancelled",
        "execution_failed",
        "stream_end",
    ]
    assert [(each["node_id"], each["data"]["attempt"]) for each in events[-4:-2]] == [("a", 2), ("each", 1)]
    assert events[6]["path"] == inner["path"]
    assert (view["status"], view["steps"], view["error"]["code"]) == ("failed", 2, "exception")


async def test_a_producer_that_is_lost_fails_its_execution(tmp_path: Path) -> None:
    async with serving(tmp_path, foreign_idle_s=2.0) as service:
        id = await declare(service)
        await report(service, id, BEGIN)
        blocks = await service.events(id)
        late = await report(service, id, DONE, status=409)

    assert types(blocks)[-3:] == ["node_cancelled", "execution_failed", "stream_end"]
    assert blocks[-2].data["data"]["error"]["code"] == "producer_lost"
    assert late["current"] == "failed"


async def test_a_drain_refuses_reports_and_leaves_the_execution_running(service: Service) -> None:
    id = await declare(service)
    service.drain()

    answer = await service.client.post(f"/executions/{id}/events", json=[BEGIN])
    declared = await service.client.post("/executions", json={"graph_id": "nightly"})

    assert (answer.status_code, answer.json()["code"]) == (503, "shutting_down")
    assert (declared.status_code, declared.json()["code"]) == (503, "shutting_down")
    assert (await shown(service, id))["status"] == "running"


JSON: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = ["id", "type", "node_id", "activation", "pass", "path", "ts", "data", "seq"]
TYPES = ["node_started", "node_completed", "node_failed", "node_log", "execution_completed", "stream_end"]
NAMES = ["attempt", "duration_ms", "edges", "result", "error", "message", "fields", "state", "outcome", "steps"]
DATA = st.dictionaries(st.sampled_from(NAMES), JSON, max_size=4)
REPORTS = st.lists(
    st.fixed_dictionaries(
        {"id": st.text(max_size=3), "type": st.sampled_from(TYPES)},
        optional={"node_id": st.sampled_from(["a", "b"]), "data": DATA, "activation": JSON, "ts": JSON, "path": JSON},
    )
    | st.dictionaries(st.sampled_from(FIELDS), JSON)
    | JSON,
    max_size=5,
)


async def test_whatever_is_reported_is_taken_whole_or_refused_whole(service: Service) -> None:
    loop = asyncio.get_running_loop()

    async def tried(value: Any) -> None:
        id = await declare(service)
        body: dict[str, Any] = {"content": json.dumps(value), "headers": {"Content-Type": "application/json"}}
        answer = await service.client.post(f"/executions/{id}/events", **body)
        events = await history(service, id)
        assert answer.status_code in (200, 422), answer.text
        if answer.status_code == 422:
            assert answer.json()["errors"]
            assert len(events) == 1
        for each in events:
            VALID.validate(each)
        assert [each["seq"] for each in events] == list(range(1, len(events) + 1))
        await report(service, id, event("the end", "execution_completed"), status=200 if not ended(events) else 409)

    def ended(events: list[dict[str, Any]]) -> bool:
        return bool(events[-1]["type"] == "stream_end")

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(value=REPORTS | JSON)
    def law(value: Any) -> None:
        asyncio.run_coroutine_threadsafe(tried(value), loop).result(PATIENCE_S)

    await asyncio.to_thread(law)


async def test_the_producer_of_the_how_to_page_runs_and_runs_again(service: Service, tmp_path: Path) -> None:
    page = ROOT / "docs" / "how-to" / "report-from-another-engine.md"
    [script] = [block.text for block in blocks_of(page) if block.file == "producer.py"]
    (tmp_path / "producer.py").write_text(script)
    base_url = str(service.client.base_url)

    for _ in range(2):
        producer = await asyncio.create_subprocess_exec(
            sys.executable, "producer.py", base_url, cwd=tmp_path, stdout=asyncio.subprocess.PIPE
        )
        printed, _ = await producer.communicate()
        assert (producer.returncode, printed) == (0, b"completed\n")
    [listed] = (await service.client.get("/executions")).json()["items"]

    assert [each["type"] for each in await history(service, listed["id"])] == [
        "execution_started",
        "node_started",
        "node_progress",
        "node_completed",
        "execution_completed",
        "stream_end",
    ]


async def test_sinks_are_given_each_event_once_also_across_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    async with serving(tmp_path, sink_file=file) as service:
        id = await declare(service)
        await report(service, id, BEGIN)
    async with serving(tmp_path, sink_file=file) as service:
        await report(service, id, DONE, END)

    written = [json.loads(line) for line in file.read_text().splitlines()]
    assert [each["seq"] for each in written if each.get("execution_id") == id] == [1, 2, 3, 4, 5]


async def test_while_nothing_can_be_stored_nothing_is_taken(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    id = await declare(service)
    monkeypatch.setattr(SqlExecutionStore, "unavailable", "the disk is full")
    refused = await report(service, id, BEGIN, status=503)
    declared = await service.client.post("/executions", json={"graph_id": "nightly"})
    cancelled = await service.client.post(f"/executions/{id}/cancel")
    monkeypatch.undo()
    taken = await report(service, id, BEGIN)

    assert refused["code"] == declared.json()["code"] == cancelled.json()["code"] == "storage_unavailable"
    assert [(each["seq"], each["duplicate"]) for each in taken["events"]] == [(2, False)]
