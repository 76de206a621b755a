import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest
from httpx_sse import aconnect_sse

from app.services.readers import ExecutionHistory
from tests.databases import on_each_database
from tests.live.control import gates
from tests.live.serving import Service, connection, http_client, numbers, parse, request, serving
from tests.live.sockets import socket


async def wire(service: Service, path: str, **headers: str) -> bytes:
    """Return a stream's body as it stood on the wire."""
    answer = await service.client.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.content


@pytest.mark.capability("SSE-04")
async def test_a_stream_says_that_nobody_may_hold_it_back(service: Service) -> None:
    execution = (await service.run("chain"))["id"]

    answer = await service.client.get(f"/executions/{execution}/events")

    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store, no-transform"
    assert answer.headers["x-accel-buffering"] == "no"


@pytest.mark.capability("SSE-05")
@pytest.mark.bad_input(70)
async def test_each_block_is_event_then_data_then_id_and_only_the_first_has_retry(service: Service) -> None:
    execution = (await service.run("chain"))["id"]

    text = await wire(service, f"/executions/{execution}/events")

    blocks = parse(text)
    names = [[name for name, _ in block.fields] for block in blocks]
    assert names[0] == ["retry", "event", "data", "id"]
    assert all(each == ["event", "data", "id"] for each in names[1:])
    assert 1_000 <= int(blocks[0]["retry"]) <= 5_000
    assert all(block["id"] == str(block.data["seq"]) for block in blocks)
    assert b"\r" not in text
    assert text.endswith(b"\n\n")


@pytest.mark.bad_input(70)
async def test_two_connections_differ_in_retry_only(service: Service) -> None:
    execution = (await service.run("chain"))["id"]

    one, other = [await wire(service, f"/executions/{execution}/events") for _ in range(2)]

    assert re.sub(rb"^retry: \d+\n", b"", one) == re.sub(rb"^retry: \d+\n", b"", other)


@on_each_database
@pytest.mark.capability("SSE-02", "SSE-11")
async def test_live_and_stored_streams_of_an_execution_are_the_same(service: Service) -> None:
    async with service.client.stream("POST", "/graphs/talk/execute/stream", json={"state": {"count": 50}}) as answer:
        execution = answer.headers["location"]
        live = parse(await answer.aread())

    stored = parse(await wire(service, f"{execution}/events"))

    assert [b.data for b in live if "seq" in b.data] == [b.data for b in stored]


@pytest.mark.bad_input(68)
async def test_ends_of_lines_in_the_data_never_end_a_line_on_the_wire(service: Service) -> None:
    text = "a\nb\r\nc\rd\u2028e\u2029f\u0085g\n\ndata: h" + "x" * 200_000

    execution = (await service.run("talk", state={"count": 1, "text": text}))["id"]
    body = await wire(service, f"/executions/{execution}/events")

    assert b"\r" not in body
    assert not any(each in body.decode() for each in "\u2028\u2029\u0085")
    said = next(block for block in parse(body) if block["event"] == "node_message")
    assert said.data["data"]["message"]["text"] == text


@on_each_database
@pytest.mark.bad_input(69)
async def test_an_event_that_is_too_large_is_sent_by_reference_and_found_whole(service: Service) -> None:
    text = "x" * 300_000

    execution = (await service.run("talk", state={"count": 1, "text": text}))["id"]
    blocks = await service.events(execution)

    said = next(block for block in blocks if block["event"] == "node_message")
    reference = said.data["data"]["message"]
    assert reference == {"$ref": f"/executions/{execution}/events/{said['id']}", "bytes": reference["bytes"]}
    assert reference["bytes"] > 300_000
    whole = (await service.client.get(reference["$ref"])).json()
    assert whole["data"]["message"]["text"] == text


@on_each_database
async def test_an_event_is_found_by_its_number(service: Service) -> None:
    execution = (await service.run("chain"))["id"]

    found = await service.client.get(f"/executions/{execution}/events/2")

    assert found.json()["type"] == "node_started"
    for number in ("0", "99", "x", "-1", "9" * 30):
        assert (await service.client.get(f"/executions/{execution}/events/{number}")).status_code == 404


@on_each_database
@pytest.mark.capability("SSE-06", "POL-05")
@pytest.mark.parametrize("how", ["header", "query"])
async def test_a_reader_goes_on_where_it_was(service: Service, how: str) -> None:
    execution = (await service.run("chain"))["id"]
    whole = numbers(await service.events(execution))

    for place in range(len(whole)):
        headers = {"Last-Event-ID": str(place)} if how == "header" else {}
        query = {"after": str(place)} if how == "query" else {}
        answer = await service.client.get(f"/executions/{execution}/events", params=query, headers=headers)
        assert numbers(parse(answer.content)) == whole[place:]


@pytest.mark.bad_input(64)
async def test_a_bad_place_is_refused_on_every_transport(service: Service) -> None:
    for accept in ["text/event-stream", "application/x-ndjson", "application/json"]:
        execution = (await service.run("chain"))["id"]

        address = f"/executions/{execution}/events"
        for cursor in ("x", "-1", "1e3", "9" * 8_000, "\uff19", "1\x00"):
            answer = await service.client.get(address, params={"after": cursor}, headers={"Accept": accept})
            assert answer.status_code == 400
            assert answer.json()["code"] == "invalid_cursor"
        for cursor in ("x", "-1", "1e3", "9" * 9_000):
            answer = await service.client.get(address, headers={"Accept": accept, "Last-Event-ID": cursor})
            assert answer.status_code == 400
            assert answer.json()["code"] == "invalid_cursor"


@pytest.mark.bad_input(64)
async def test_the_header_wins_over_the_query_and_an_empty_one_is_none(service: Service) -> None:
    execution = (await service.run("chain"))["id"]

    both = await service.client.get(f"/executions/{execution}/events?after=2", headers={"Last-Event-ID": "7"})
    empty = await service.client.get(f"/executions/{execution}/events?after=2", headers={"Last-Event-ID": ""})

    assert numbers(parse(both.content))[0] == 8
    assert numbers(parse(empty.content))[0] == 3


@pytest.mark.bad_input(67)
async def test_who_has_the_sentinel_is_told_that_nothing_follows(service: Service) -> None:
    execution = (await service.run("chain"))["id"]
    path = f"/executions/{execution}/events?after=9"

    sse = await service.client.get(path)
    lines = await service.client.get(path, headers={"Accept": "application/x-ndjson"})
    page = await service.client.get(path, headers={"Accept": "application/json"})

    assert (sse.status_code, sse.content) == (204, b"")
    assert (lines.status_code, lines.content) == (204, b"")
    assert page.json() == {
        "events": [], "last_seq": 9, "next": 9, "ended": True, "status": "completed", "lagged": None,
    }  # fmt: skip


async def test_ndjson_is_an_event_a_line(service: Service) -> None:
    execution = (await service.run("chain"))["id"]
    blocks = await service.events(execution)

    answer = await service.client.get(f"/executions/{execution}/events", headers={"Accept": "application/x-ndjson"})

    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.text.endswith("\n")
    assert [json.loads(line) for line in answer.text.splitlines()] == [block.data for block in blocks]


@pytest.mark.bad_input(56)
async def test_an_accept_that_nothing_satisfies_is_refused_with_the_list(service: Service) -> None:
    execution = (await service.run("chain"))["id"]

    for path in (f"/executions/{execution}/events", f"/executions/{execution}", "/graphs"):
        answer = await service.client.get(path, headers={"Accept": "image/png"})
        assert answer.status_code == 406
        assert answer.json()["code"] == "not_acceptable"
        assert "application/json" in answer.json()["offered"]


@pytest.mark.bad_input(77)
async def test_a_filter_that_names_what_does_not_exist_is_refused(service: Service) -> None:
    execution = (await service.run("chain"))["id"]

    for query in ["types=node_strated", "nodes=secnd", "types=" + "x," * 1_000]:
        read = await service.client.get(f"/executions/{execution}/events?{query}")
        start = await service.client.post(f"/graphs/chain/execute/stream?{query}")

        assert read.status_code == start.status_code == 422
        assert len(read.json()["errors"]) <= 100
        assert len((await service.client.get("/executions")).json()["items"]) == 1


@pytest.mark.capability("SSE-07")
@pytest.mark.bad_input(70)
async def test_silence_is_broken_by_a_bare_comment_line(tmp_path: Path) -> None:
    async with serving(tmp_path, heartbeat_s=0.05) as service, connection(service.port) as raw:
        await raw.send(request("POST", "/graphs/gated/execute/stream", b""))
        await raw.head()
        received = b""
        while not received.endswith(b"\n\n:\n:\n"):
            received += await raw.chunk()
        gates["gate"].opened.set()
        while chunk := await raw.chunk():
            received += chunk

    blocks = parse(received)
    assert sum(block.comments for block in blocks) >= 2
    assert numbers(blocks) == list(range(1, 6))


async def test_what_is_ready_together_leaves_in_few_writes_of_bounded_size(service: Service) -> None:
    execution = (await service.run("talk", state={"count": 2_000}))["id"]

    async with connection(service.port) as raw:
        await raw.send(request("GET", f"/executions/{execution}/events"))
        await raw.head()
        chunks = []
        while chunk := await raw.chunk():
            chunks.append(chunk)

    assert all(chunk.endswith(b"\n\n") for chunk in chunks)
    assert max(map(len, chunks)) <= 65_536
    assert len(chunks) < 60
    assert len(parse(b"".join(chunks))) == 2_000 + 5


async def test_an_execution_that_does_not_exist_has_no_events(service: Service) -> None:
    for accept in ("text/event-stream", "application/x-ndjson", "application/json"):
        answer = await service.client.get("/executions/nothing/events", headers={"Accept": accept})
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_a_way_of_reading_that_is_out_of_range_is_refused(service: Service) -> None:
    for query in ["heartbeat=0", "heartbeat=61", "heartbeat=x", "limit=0", "limit=1001", "wait=31"]:
        answer = await service.client.get(f"/executions/nothing/events?{query}")

        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == f"/query/{query.partition('=')[0]}"


class TestPolling:
    """One page of events as JSON."""

    @staticmethod
    async def page(service: Service, execution: str, **query: Any) -> dict[str, Any]:
        """Return a page."""
        headers = {"Accept": "application/json"}
        answer = await service.client.get(f"/executions/{execution}/events", params=query, headers=headers)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    @pytest.mark.capability("POL-01", "POL-05")
    async def test_pages_make_up_the_stream(self, service: Service) -> None:
        execution = (await service.run("chain"))["id"]
        whole = [block.data for block in await service.events(execution)]

        read: list[dict[str, Any]] = []
        page: dict[str, Any] = {"next": 0, "ended": False}
        while not page["ended"]:
            page = await self.page(service, execution, after=page["next"], limit=2)
            assert len(page["events"]) <= 2
            read += page["events"]

        assert read == whole
        assert page["last_seq"] == page["next"] == 9
        assert page["status"] == "completed"

    @pytest.mark.capability("POL-02")
    async def test_a_long_poll_answers_as_soon_as_there_is_an_event(self, service: Service) -> None:
        execution = await service.start("gated")
        await gates["gate"].reached.wait()

        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(self.page(service, execution, after=2, wait=20))
            now = await self.page(service, execution, after=2)
            gates["gate"].opened.set()
        page = waiting.result()

        assert (now["events"], now["ended"], now["status"]) == ([], False, "running")
        assert page["events"][0]["seq"] == 3

    async def test_a_filter_moves_the_cursor_past_what_it_leaves_out(self, service: Service) -> None:
        execution = await service.start("gated")
        await gates["gate"].reached.wait()

        page = await self.page(service, execution, types="node_failed")
        gates["gate"].opened.set()

        assert page["events"] == []
        assert page["next"] == 2


async def test_browsers_and_other_clients_read_the_stream(service: Service) -> None:
    async with (
        http_client() as client,
        aconnect_sse(client, "POST", f"http://127.0.0.1:{service.port}/graphs/chain/execute/stream") as source,
    ):
        events = [event async for event in source.aiter_sse()]

    assert [event.id for event in events if "seq" in json.loads(event.data)] == [str(n) for n in range(1, 10)]


@pytest.mark.parametrize("form", ["text/event-stream", "application/x-ndjson", "websocket"])
async def test_a_filtered_reader_that_catches_up_for_long_is_told_how_far_it_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    loop = asyncio.get_running_loop()
    time, later = loop.time, [0.0]
    read_events = ExecutionHistory.read_events

    async def read_slowly(history: ExecutionHistory, *, after: int, upto: int, limit: int, max_bytes: int) -> Any:
        if after == 10:
            later[0] = 2.0  # so long it took up to here
        return await read_events(history, after=after, upto=upto, limit=5, max_bytes=max_bytes)

    monkeypatch.setattr(ExecutionHistory, "read_events", read_slowly)
    monkeypatch.setattr(loop, "time", lambda: time() + later[0])
    async with serving(tmp_path, ring_events=1) as service:
        execution = (await service.run("talk", state={"count": 40}))["id"]
        query = "heartbeat=1&types=execution_completed"
        if form == "websocket":
            async with socket(service, f"/executions/{execution}/ws?{query}") as ws:
                heartbeat = await ws.notice("heartbeat")
                events = await ws.events()
        else:
            address = f"/executions/{execution}/events?{query}"
            text = (await service.client.get(address, headers={"Accept": form})).text
            lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith(("data: ", "{"))]
            heartbeat, *events = [json.loads(line) for line in lines]

    assert (heartbeat["type"], heartbeat["after"]) == ("heartbeat", 15)
    assert [event["type"] for event in events] == ["execution_completed", "stream_end"]
