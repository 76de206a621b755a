"""What the codes of errors mean: each is explained, says what to do next, and its example is like a real one."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from app.api import problems
from app.api.explanations import ADVICE, WITHOUT_A_CLASS
from graphwire.errors import GraphwireError
from tests.live.description import description
from tests.live.serving import Service, serving

KEY = "the-key-of-these-tests"
JSON = {"Content-Type": "application/json"}
YAML = {"Content-Type": "application/yaml"}
GRAPH = {"id": "made", "nodes": [{"id": "a", "type": "transform"}]}
DEEP = b'{"state": ' + b"[" * 101 + b"]" * 101 + b"}"
MANY = b"a: &a [" + b"1, " * 10 + b"]\nb: &b [" + b"*a, " * 11 + b"]\nc: [" + b"*b, " * 11 + b"]"

Request = tuple[str, str, dict[str, str], bytes | None]
REFUSED: dict[str, Request] = {
    "command_not_allowed": ("POST", "/executions/{ended}/cancel", {}, None),
    "duplicate_key": ("POST", "/graphs/chain/execute", JSON, b'{"state": {"name": 1, "name": 2}}'),
    "graph_exists": ("POST", "/graphs", JSON, b'{"id": "mine", "nodes": [{"id": "a", "type": "transform"}]}'),
    "graph_invalid": (
        "POST", "/graphs", JSON,
        b'{"id": "made", "nodes": [{"id": "offer", "type": "transform"}],'
        b' "edges": [{"source": "offer", "target": "ofer"}]}',
    ),
    "graph_read_only": ("DELETE", "/graphs/chain", {}, None),
    "idempotency_mismatch": ("POST", "/graphs/chain/execute", {**JSON, "Idempotency-Key": "used"}, b'{"seed": 2}'),
    "invalid_cursor": ("GET", "/executions/{ended}/events?after=x", {}, None),
    "invalid_idempotency_key": ("POST", "/graphs/chain/execute", {"Idempotency-Key": ""}, None),
    "invalid_request": ("POST", "/graphs/chain/execute", JSON, b'{"seed": "7"}'),
    "invalid_text": ("POST", "/graphs/chain/execute", JSON, b'{"state": {"name": "\\ud800"}}'),
    "malformed_json": ("POST", "/graphs/chain/execute", JSON, b'{"state": {'),
    "malformed_yaml": ("POST", "/graphs", YAML, b"id: made\nnodes:\n\t- a"),
    "code_not_allowed": (
        "POST", "/graphs", JSON,
        b'{"id": "made", "nodes": [{"id": "a", "type": "function", "config": {"function": "os:system"}}]}',
    ),
    "method_not_allowed": ("PATCH", "/graphs", {}, None),
    "not_acceptable": ("GET", "/executions", {"Accept": "text/csv"}, None),
    "not_found": ("GET", "/graphs/helo", {}, None),
    "origin_not_allowed": ("GET", "/graphs", {"Origin": "https://elsewhere.example"}, None),
    "misdirected_request": ("GET", "/graphs", {"Host": "elsewhere.example"}, None),
    "precondition_required": ("PUT", "/graphs/mine", JSON, b'{"nodes": [{"id": "b", "type": "transform"}]}'),
    "revision_conflict": (
        "PUT", "/graphs/mine", {**JSON, "If-Match": '"9"'}, b'{"nodes": [{"id": "b", "type": "transform"}]}',
    ),
    "state_invalid": ("POST", "/graphs/chain/execute", JSON, b'{"state": {"errors": []}}'),
    "too_deep": ("POST", "/graphs/chain/execute", JSON, DEEP),
    "unknown_node_type": ("POST", "/graphs", JSON, b'{"id": "made", "nodes": [{"id": "a", "type": "transfrom"}]}'),
    "unsupported_compression": ("POST", "/graphs/chain/execute", {**JSON, "Content-Encoding": "gzip"}, b"{}"),
    "unsupported_media_type": ("POST", "/graphs/chain/execute", {"Content-Type": "text/plain"}, b"{}"),
    "use_location": ("POST", "/graphs/chain/execute/stream", {"Last-Event-ID": "2"}, None),
    "websocket_required": ("GET", "/ws", {}, None),
    "yaml_alias_limit": ("POST", "/graphs", YAML, MANY),
    "yaml_tag": ("POST", "/graphs", YAML, b"id: !!python/name:os.system made"),
    "bad_request": ("PUT", "/graphs/mine", {**JSON, "If-Match": "3"}, b"{}"),
}  # fmt: skip
ELSEWHERE = {
    "address_too_long", "already_running", "at_capacity", "body_too_large", "checkpoint_corrupt",
    "code_changed", "execution_exists", "graph_in_use", "headers_too_large", "history_damaged", "internal",
    "interrupt_closed", "misplaced_key", "nothing_ready", "shutting_down", "storage_unavailable",
    "too_many_failures", "unauthorized",
}  # fmt: skip
"""Codes whose requests need more than a line; tests of their own bring them about."""


@pytest_asyncio.fixture
async def used(service: Service) -> AsyncIterator[tuple[Service, str]]:
    """A service on which something has happened, and an execution that has ended."""
    ended = await service.client.post("/graphs/chain/execute/wait", json={}, headers={"Idempotency-Key": "used"})
    await service.client.post("/graphs", json={**GRAPH, "id": "mine"})
    yield service, str(ended.json()["id"])


@pytest.mark.parametrize("code", REFUSED)
async def test_an_example_of_a_problem_is_like_a_real_one(used: tuple[Service, str], code: str) -> None:
    service, ended = used
    method, path, headers, body = REFUSED[code]

    answer = await service.client.request(method, path.format(ended=ended), headers=headers, content=body)

    real = answer.json()
    example = _example(code)
    assert (real["code"], answer.status_code, real["title"]) == (code, example["status"], example["title"])
    assert example.keys() == real.keys()
    if "errors" in real:
        assert example["errors"][0].keys() == real["errors"][0].keys()
        assert example["errors"][0]["code"] == real["errors"][0]["code"]


def _example(code: str) -> dict[str, Any]:
    general = description().document["components"]["responses"]["AnyRequest"]
    found = [general, *(each for one in description().operations for each in one.described["responses"].values())]
    for answer in found:
        examples = answer.get("content", {}).get(problems.MEDIA_TYPE, {}).get("examples", {})
        if code in examples:
            return dict(examples[code]["value"])
    raise LookupError(code)


def test_every_code_of_an_answer_is_brought_about_somewhere() -> None:
    described = {code for operation in description().operations for code, _ in operation.codes()}
    described |= {code for code, _ in description().general}

    assert described == REFUSED.keys() | ELSEWHERE


def _classes(error: type[GraphwireError]) -> set[str]:
    return {error.code}.union(*(_classes(each) for each in error.__subclasses__()))


def test_every_code_says_what_to_do_next() -> None:
    codes = _classes(GraphwireError) | WITHOUT_A_CLASS.keys()

    assert codes - ADVICE.keys() - WITHOUT_A_CLASS.keys() == set(), "add what to do next to app/api/explanations.py"
    assert problems.kinds().keys() == codes
    for kind in problems.kinds().values():
        assert kind.explanation.endswith("."), kind.code
        assert len(kind.advice) > 30, kind.code
        assert kind.advice.endswith("."), kind.code


async def test_every_code_has_a_page_and_a_document(service: Service) -> None:
    for code, kind in problems.kinds().items():
        page = await service.client.get(f"/problems/{code}", headers={"Accept": "text/html"})
        body = (await service.client.get(f"/problems/{code}")).json()

        assert kind.title in page.text
        assert "What to do next" in page.text
        assert "`" not in page.text
        assert body == {
            "type": f"/problems/{code}",
            "code": code,
            "title": kind.title,
            "status": kind.status,
            "explanation": kind.explanation,
            "advice": kind.advice,
        }


async def test_all_codes_are_listed(service: Service) -> None:
    page = await service.client.get("/problems", headers={"Accept": "text/html,*/*;q=0.8"})
    listed = (await service.client.get("/problems")).json()["items"]

    assert {each["code"] for each in listed} == problems.kinds().keys()
    for each in listed:
        assert f"href='{each['type']}'" in page.text
    one = await service.client.get("/problems/internal", headers={"Accept": "text/html"})
    assert "href='/problems'" in one.text


async def test_what_a_key_brings_about_is_described(tmp_path: Path) -> None:
    async with serving(tmp_path, api_key=KEY) as service:
        document = (await service.client.get("/openapi.json", headers={"Authorization": f"Bearer {KEY}"})).json()
        misplaced = await service.client.get("/graphs", params={"api_key": KEY})
        missing = await service.client.get("/graphs")

    assert (misplaced.json()["code"], missing.json()["code"]) == ("misplaced_key", "unauthorized")
    assert document["security"] == [{"key": []}]
    for answer in (misplaced, missing):
        assert _example(answer.json()["code"]).keys() == answer.json().keys()
