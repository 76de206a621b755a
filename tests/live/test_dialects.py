"""Streams in other vocabularies, on every transport."""

import json
import re
from typing import Any

import pytest

from tests.live.control import gates
from tests.live.serving import Service, parse

LINES = {"accept": "application/x-ndjson"}
PAGE = {"accept": "application/json"}


async def lines(service: Service, execution: str, **query: Any) -> list[dict[str, Any]]:
    answer = await service.client.get(f"/executions/{execution}/events", params=query, headers=LINES)
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


@pytest.mark.capability("EVT-06")
async def test_native_is_what_there_is_without_a_word_about_it(service: Service) -> None:
    execution = (await service.run("talk"))["id"]
    path = f"/executions/{execution}/events"

    for headers in ({}, LINES, PAGE):
        plain = await service.client.get(path, headers=headers)
        native = await service.client.get(path, params={"dialect": "native"}, headers=headers)
        assert re.sub(rb"^retry: \d+\n", b"", native.content) == re.sub(rb"^retry: \d+\n", b"", plain.content)


@pytest.mark.parametrize("dialect", ["bus", "scoped"])
async def test_all_transports_carry_the_same_frames(service: Service, dialect: str) -> None:
    execution = (await service.run("talk"))["id"]
    path = f"/executions/{execution}/events"

    blocks = parse((await service.client.get(path, params={"dialect": dialect})).content)
    page = (await service.client.get(path, params={"dialect": dialect}, headers=PAGE)).json()

    assert [block.data for block in blocks] == page["events"] == await lines(service, execution, dialect=dialect)
    assert all(block["event"] == block.data["type"] for block in blocks)


@pytest.mark.capability("EVT-08")
async def test_a_bus_stream_goes_from_started_to_the_sentinel(service: Service) -> None:
    execution = (await service.run("chain"))["id"]

    frames = await lines(service, execution, dialect="bus")

    names = ["node_started", "node_completed"] * 3
    assert [frame["type"] for frame in frames] == [
        f"execution.{name}" for name in ("started", *names, "completed", "stream_end")
    ]
    assert [frame["sequence"] for frame in frames] == list(range(1, 10))
    assert {frame["executionId"] for frame in frames} == {execution}


@pytest.mark.capability("EVT-09")
async def test_a_scoped_stream_of_a_failure_ends_with_its_two_scopes(service: Service) -> None:
    execution = (await service.run("failing"))["id"]

    frames = await lines(service, execution, dialect="scoped")

    assert [frame["metadata"]["event"] for frame in frames[-3:]] == ["node_failed", "execution_failed", "stream_end"]
    assert [frame["scope"] for frame in frames[-3:]] == ["__diagnostic__", "__invocation_end__", "__stream_end__"]
    assert frames[-2]["message"]["error"]["message"] == "no luck"


async def test_a_live_stream_is_told_as_its_history_is_and_its_notices_too(service: Service) -> None:
    url = "/graphs/talk/execute/stream?dialect=bus"
    async with service.client.stream("POST", url, json={"state": {"gate": "gate"}}, headers=LINES) as answer:
        execution = answer.headers["location"].rpartition("/")[2]
        gates["gate"].opened.set()
        live = [json.loads(line) async for line in answer.aiter_lines()]

    stored = await lines(service, execution, dialect="bus")

    assert [frame for frame in live if "sequence" in frame] == stored
    notices = [frame for frame in live if "sequence" not in frame]
    assert notices[-1]["type"] == "execution.progress"
    assert notices[-1]["data"]["percent"] == 100


@pytest.mark.parametrize("dialect", ["bus", "scoped"])
async def test_a_reader_resumes_by_the_native_number(service: Service, dialect: str) -> None:
    execution = (await service.run("talk"))["id"]
    path = f"/executions/{execution}/events"
    whole = parse((await service.client.get(path, params={"dialect": dialect})).content)

    for count in (1, 4, len(whole) - 1):
        last = {"last-event-id": whole[count - 1]["id"]}
        rest = await service.client.get(path, params={"dialect": dialect}, headers=last)
        assert [block.data for block in parse(rest.content)] == [block.data for block in whole[count:]]

    ended = await service.client.get(path, params={"dialect": dialect}, headers={"last-event-id": whole[-1]["id"]})
    assert ended.status_code == 204


async def test_filters_name_native_types_in_every_dialect(service: Service) -> None:
    execution = (await service.run("chain"))["id"]

    frames = await lines(service, execution, dialect="bus", types="node_completed", nodes="second")

    assert [frame["type"] for frame in frames] == [
        "execution.node_completed", "execution.completed", "execution.stream_end"
    ]  # fmt: skip


async def test_an_unknown_dialect_is_refused(service: Service) -> None:
    execution = (await service.run("chain"))["id"]

    for answer in (
        await service.client.get(f"/executions/{execution}/events?dialect=klingon"),
        await service.client.post("/graphs/chain/execute/stream?dialect=klingon"),
    ):
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == "/query/dialect"
        assert "'native'" in answer.json()["errors"][0]["detail"]


async def test_a_part_of_an_event_is_a_place_in_dialects_only(service: Service) -> None:
    execution = (await service.run("chain"))["id"]

    native = await service.client.get(f"/executions/{execution}/events", headers={"last-event-id": "3.1"})

    assert native.status_code == 400
    assert native.json()["code"] == "invalid_cursor"
