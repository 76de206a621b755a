"""What the description of the API shows works as it stands, on a service with the example graphs."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest
import pytest_asyncio

from app.api import problems
from app.api.problems import MEDIA_TYPE as PROBLEM
from app.api.schemas import service_events, streams
from graphwire.events.schema import stream_schema
from graphwire.graphs.documents import read_document
from tests.live.description import Operation, description
from tests.live.documented_requests import TAKES_A_KEY, Example, filled_in, requests
from tests.live.serving import Block, Service, parse, serving
from tests.parts import ROOT

OPERATIONS = description().operations
PAUSED = {"resume_execution", "step_execution", "edit_state"}
CHANGES = {"create_graph", "replace_graph", "delete_graph", "compare_versions"}
STREAMS = {"execute_graph_and_stream", "get_events"}
ENDLESS = "get_service_events"
ONLY_SOMETIMES = {("execute_graph_and_wait", "202"), ("is_ready", "503"), ("replace_graph", "201")}
"""Answers that no example brings about: after a time-out, while it stops, where there is no such graph."""


@pytest_asyncio.fixture
async def shown(tmp_path: Path) -> AsyncIterator[Service]:
    async with serving(tmp_path, graphs=(ROOT / "examples",)) as running:
        yield running


def answers(operation: Operation) -> dict[str, dict[str, Any]]:
    """Return what an operation answers where it refuses nothing."""
    return {status: each for status, each in operation.described["responses"].items() if status.startswith("2")}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_every_route_is_described_for_readers(operation: Operation) -> None:
    described = operation.described

    assert described["summary"] != operation.id.replace("_", " ").title(), "not made of the function's name"
    assert described["description"]
    assert described["tags"]
    for parameter in described.get("parameters", ()):
        assert parameter["description"], parameter["name"]
        has_example = filled_in(parameter) is not None or parameter["schema"].get("examples")
        assert has_example or parameter["name"] in ("after", "If-None-Match"), parameter["name"]
    if "requestBody" in described:
        assert described["requestBody"]["description"]
    for status, answer in answers(operation).items():
        assert answer["description"], status
        for media_type, content in answer.get("content", {}).items():
            assert content.keys() >= {"schema", "example"}, (status, media_type)
        for name, header in answer.get("headers", {}).items():
            assert header.keys() >= {"description", "schema", "example"}, name


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_every_code_of_a_route_exists_and_is_shown_as_it_is(operation: Operation) -> None:
    known = {code: kind.status for code, kind in problems.kinds().items()}

    for code, status in operation.codes():
        assert known.get(code) == status
    for answer in operation.described["responses"].values():
        for example in answer.get("content", {}).get(PROBLEM, {}).get("examples", {}).values():
            assert example["value"]["detail"], example["summary"]
            description().validator({"$ref": "#/components/schemas/Problem"}).validate(example["value"])
        if {"429", "503"} & {str(each["value"]["status"]) for each in _problems(answer)}:
            assert "Retry-After" in answer["headers"]


def _problems(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return list(answer.get("content", {}).get(PROBLEM, {}).get("examples", {}).values())


def test_names_of_operations_are_short_and_unique() -> None:
    names = [operation.id for operation in OPERATIONS]

    assert len(set(names)) == len(names)
    assert all(name.isidentifier() and "__" not in name and len(name) < 30 for name in names)


def test_every_tag_is_explained() -> None:
    document = description().document
    used = {tag for operation in OPERATIONS for tag in operation.described["tags"]}

    assert {tag["name"] for tag in document["tags"] if tag["description"]} == used
    assert document["info"]["version"]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.id)
def test_examples_of_answers_fit_their_schemas(operation: Operation) -> None:
    for status, answer in answers(operation).items():
        for media_type, content in answer.get("content", {}).items():
            if content["schema"] != {"type": "string"}:
                description().validator(content["schema"]).validate(content["example"])
            elif media_type == "text/event-stream":
                expected = {"execution.completed"} if operation.id == ENDLESS else {"execution_started", "stream_end"}
                assert {*types(parse(content["example"].encode()))} >= expected, status


def types(blocks: list[Block]) -> list[str]:
    return [block["event"] for block in blocks]


def test_the_events_that_are_shown_fit_their_schema() -> None:
    validator = jsonschema_rs.validator_for(stream_schema())

    for event in (*streams.EVENTS, *service_events.EVENTS):
        validator.validate(event)
    assert [block.data for block in parse(streams.AS_BLOCKS.encode())] == list(streams.EVENTS)
    assert [json.loads(line) for line in streams.AS_LINES.splitlines()] == list(streams.EVENTS)


async def prepare(service: Service, operation: Operation) -> str:
    """Bring about what the examples of an operation presuppose; returns the execution that they are about."""
    client = service.client
    if operation.id in CHANGES:
        graphs = [each["value"] for each in _document("/graphs", "post")["examples"].values()]
        graph = graphs[0]
        for each in graphs:
            await client.delete(f"/graphs/{each['id']}", params={"force": "true"})
        if operation.id != "create_graph":
            created = await client.post("/graphs", json=graph)
            assert created.status_code == 201
        if operation.id == "compare_versions":
            changed = next(iter(_document("/graphs/{graph_id}", "put")["examples"].values()))["value"]
            await client.put("/graphs/discount", json=changed, headers={"If-Match": "*"})
    if operation.id == "report_events":
        declared = await client.post("/executions", json={"graph_id": "nightly"})
        return str(declared.json()["id"])
    if operation.id in ("cancel_execution", "pause_execution", "set_breakpoints"):
        return await service.start("ticker", state={"count": 600, "interval_ms": 100})
    if operation.id in PAUSED:
        execution = await service.start("ticker", breakpoints=[{"node": "tick"}])
        return await paused(service, execution)
    if operation.id == "answer_execution":
        return await paused(service, await service.start("approval"))
    if operation.id == "retry_execution":
        return str((await service.run("ticker", state={"count": -1}))["id"])
    finished = await service.run("ticker", state={"count": 2, "interval_ms": 1})
    return str(finished["id"])


async def paused(service: Service, execution: str) -> str:
    """Wait until an execution is paused; returns its id."""
    while True:
        shown = (await service.client.get(f"/executions/{execution}")).json()
        if shown["status"] == "paused":
            return execution
        await service.client.get(
            f"/executions/{execution}/events",
            params={"after": shown["last_seq"], "wait": 1},
            headers={"Accept": "application/json"},
        )


def _document(path: str, method: str) -> Any:
    return description().document["paths"][path][method]["requestBody"]["content"]["application/json"]


async def sent(service: Service, example: Example) -> httpx.Response:
    """Send an example."""
    return await service.client.request(
        example.operation.method, example.path, params=example.query, headers=example.headers, content=example.body
    )


async def beginning(service: Service, example: Example) -> httpx.Response:
    """Send an example whose answer does not end, and read it until an execution has completed."""
    method = example.operation.method
    async with service.client.stream(method, example.path, params=example.query, headers=example.headers) as answer:
        text = b""
        is_whole = "content-length" in answer.headers
        async for part in answer.aiter_bytes():
            text += part
            if not is_whole and b"execution.completed" in text and text.endswith(b"\n"):
                break
        return httpx.Response(
            answer.status_code, headers={"content-type": answer.headers["content-type"]}, content=text
        )


@pytest.mark.parametrize(
    "operation", [each for each in OPERATIONS if not each.is_of_socket], ids=lambda operation: operation.id
)
async def test_every_example_runs_as_it_stands(shown: Service, operation: Operation) -> None:
    seen: dict[tuple[str, str], bytes] = {}
    async with asyncio.TaskGroup() as group:
        for example in requests(operation):
            if operation.id in STREAMS and "Last-Event-ID" not in example.headers:
                group.create_task(_tried(shown, example, seen))  # a stream takes as long as what it shows
            else:
                await _tried(shown, example, seen)

    for status, answer in answers(operation).items():
        for media_type, content in answer.get("content", {}).items():
            if (operation.id, status) not in ONLY_SOMETIMES:
                assert (status, media_type) in seen, f"no example is answered {status} {media_type}"
                _assert_alike(media_type, content["example"], seen[status, media_type])


async def _tried(service: Service, example: Example, seen: dict[tuple[str, str], bytes]) -> None:
    execution = await prepare(service, example.operation)
    if example.needs_an_execution:
        example = example.of_execution(execution)
    if "Last-Event-ID" in example.headers and example.operation.method == "POST":
        # It belongs to a request that is repeated with its key.
        keyed = next(each for each in requests(example.operation) if TAKES_A_KEY in each.headers)
        await sent(service, keyed)
        example = Example(
            example.operation, example.name, example.path, {}, {**example.headers, **keyed.headers}, example.body
        )
    answer = await (beginning(service, example) if example.operation.id == ENDLESS else sent(service, example))
    assert answer.status_code < 400, (example.name, answer.text)
    assert str(answer.status_code) in answers(example.operation) or answer.status_code == 304, example.name
    media_type = answer.headers.get("content-type", "").partition(";")[0]
    if "dialect" not in example.query:  # whose words are others
        seen[str(answer.status_code), media_type] = answer.content


def _assert_alike(media_type: str, example: Any, real: bytes) -> None:
    """Assert that an example has the members of a real answer."""
    match media_type:
        case "text/event-stream":
            assert types(parse(example.encode()))[-2:] == types(parse(real))[-2:]
            assert parse(real)[0].fields[0][0] == parse(example.encode())[0].fields[0][0] == "retry"
        case "application/x-ndjson":
            assert json.loads(example.splitlines()[-1]).keys() == json.loads(real.splitlines()[-1]).keys()
        case "application/json" | "application/yaml":
            value = read_document(real, "yaml" if media_type.endswith("yaml") else "json").value
            assert example.keys() == value.keys()
            if value.get("items"):
                assert example["items"][0].keys() == value["items"][0].keys()
        case "application/schema+json":
            assert example.keys() == json.loads(real).keys()
        case _:
            assert real.decode().splitlines()[0].split()[0] in example
