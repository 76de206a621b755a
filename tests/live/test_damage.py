"""Histories that cannot be read: the service starts and serves all the others."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from tests.live.serving import Service, numbers, serving, types

JSON = {"Accept": "application/json"}
NDJSON = {"Accept": "application/x-ndjson"}


def alter(folder: Path, execution: str, change: Callable[[bytes], bytes], *, seals: bool) -> None:
    """Change the stored events of an execution after the first; ``seals`` gives them a checksum that fits."""
    connection = sqlite3.connect(folder / "graphwire.db")
    query = "SELECT first_seq, events, events_checksum FROM event_chunks WHERE execution_id = ? AND last_seq > 1"
    for first_seq, events, checksum in connection.execute(query, (execution,)).fetchall():
        changed = change(events)
        values = (changed, crc32(changed) if seals else checksum, execution, first_seq)
        connection.execute(
            "UPDATE event_chunks SET events = ?, events_checksum = ? WHERE execution_id = ? AND first_seq = ?", values
        )
    connection.commit()
    connection.close()


async def leave_unfinished(folder: Path) -> str:
    """Start an execution and end the service before it; return its id."""
    delay = {"id": "n", "type": "delay", "config": {"seconds": 600}}
    async with serving(folder, drain_s=0.2) as service:
        await service.client.post("/graphs", json={"id": "made", "nodes": [delay]})
        execution = await service.start("made")
        async with service.client.stream("GET", f"/executions/{execution}/events") as answer:
            async for line in answer.aiter_lines():
                if line == "id: 2":
                    break
        # A further start is stored after what was shown.
        await service.run("chain")
    return execution


@pytest.mark.bad_input(141)
@pytest.mark.parametrize(
    ("change", "seals"),
    [
        (lambda events: events + b" ", False),
        (lambda events: events.replace(b'"attempt":1', b'"attempt":"x"'), True),
        (lambda events: b"not JSON", True),
    ],
    ids=["checksum", "field", "text"],
)
async def test_an_unfinished_execution_with_a_damaged_history_fails_for_good(
    tmp_path: Path, change: Callable[[bytes], bytes], seals: bool
) -> None:
    execution = await leave_unfinished(tmp_path)
    alter(tmp_path, execution, change, seals=seals)

    for _ in range(2):
        async with serving(tmp_path) as service:
            shown = (await service.client.get(f"/executions/{execution}")).json()
            assert (shown["status"], shown["error"]["code"], shown["last_seq"]) == ("failed", "history_damaged", 2)
            assert shown["ended_at"] is not None
            listed = (await service.client.get("/executions?status=failed")).json()["items"]
            assert [item["id"] for item in listed] == [execution]
            assert (await service.run("chain"))["status"] == "completed"
    async with serving(tmp_path) as service:
        assert (await service.client.delete("/graphs/made")).status_code == 204


async def damaged(service: Service, folder: Path) -> str:
    execution = str((await service.run("chain"))["id"])
    alter(folder, execution, lambda events: events + b" ", seals=False)
    return execution


@pytest.mark.bad_input(141)
async def test_streams_of_a_damaged_history_say_that_they_end(service: Service, tmp_path: Path) -> None:
    execution = await damaged(service, tmp_path)

    blocks = await service.events(execution)
    lines = (await service.client.get(f"/executions/{execution}/events", headers=NDJSON)).text.splitlines()

    assert numbers(blocks) == [1]
    assert types(blocks)[-1] == "stream_closed"
    assert blocks[-1].data["data"]["code"] == "history_damaged"
    last: dict[str, Any] = json.loads(lines[-1])
    assert (last["type"], last["data"]["code"], last["after"]) == ("stream_closed", "history_damaged", 1)


@pytest.mark.bad_input(141)
async def test_a_damaged_event_of_the_service_ends_who_comes_to_it_and_nobody_behind_it(
    service: Service, tmp_path: Path
) -> None:
    last = (await service.client.get("/events", headers=JSON)).json()["last_seq"]
    async with service.client.stream("GET", f"/events?after={last}", headers=NDJSON) as told:
        with closing(sqlite3.connect(tmp_path / "graphwire.db")) as file, file:
            row = (last + 1, "system.diagnostic", 9 * 10**18, b"{}")
            file.execute("INSERT INTO service_events (seq, topic, at_us, data) VALUES (?, ?, ?, ?)", row)
        await service.run("chain")
        closed = json.loads([line async for line in told.aiter_lines()][-1])
        page = await service.client.get(f"/events?after={last}", headers=JSON)
        behind = await service.client.get(f"/events?after={last + 1}", headers=JSON)

    assert (closed["type"], closed["data"]["code"], closed["after"]) == ("stream_closed", "history_damaged", last)
    assert (page.status_code, page.json()["code"], page.json()["seq"]) == (500, "history_damaged", last + 1)
    assert [event["topic"] for event in behind.json()["events"]] == ["execution.started", "execution.completed"]


@pytest.mark.bad_input(141)
async def test_a_damaged_history_has_a_code_of_its_own(service: Service, tmp_path: Path) -> None:
    execution = await damaged(service, tmp_path)

    page = await service.client.get(f"/executions/{execution}/events", headers=JSON)
    rest = await service.client.get(f"/executions/{execution}/events?after=1", headers=JSON)
    event = await service.client.get(f"/executions/{execution}/events/3")

    assert [each["seq"] for each in page.json()["events"]] == [1]
    assert (rest.status_code, rest.json()["code"]) == (500, "history_damaged")
    assert (event.status_code, event.json()["code"]) == (500, "history_damaged")
