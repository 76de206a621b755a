"""Asking what is wrong with a definition, without storing it."""

import json
from typing import Any

import pytest

from tests.live.serving import Service
from tests.live.test_graphs import definition


async def validate(service: Service, value: Any) -> dict[str, Any]:
    """Return what is said about a definition."""
    answer = await service.client.post(
        "/graphs/validate", content=json.dumps(value), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_a_good_definition_is_valid_and_shown_in_its_canonical_form(service: Service) -> None:
    told = await validate(service, definition(edges=[], on_error="fail"))

    assert told == {"valid": True, "problems": [], "warnings": [], "definition": definition()}
    assert (await service.client.get("/graphs/made")).status_code == 404


async def test_problems_are_in_the_answer_and_are_no_error(service: Service) -> None:
    told = await validate(service, definition(entry=["nowhere"], edges=[{"source": "n", "target": "m"}]))

    assert told["valid"] is False
    assert {problem["pointer"] for problem in told["problems"]} == {"/entry/0", "/edges/0/target"}
    assert told["definition"]["entry"] == ["nowhere"]


async def test_warnings_leave_a_definition_valid(service: Service) -> None:
    nodes = [{"id": id, "type": "delay", "config": {"seconds": 1}} for id in ("a", "b")]

    told = await validate(service, {"id": "made", "nodes": nodes, "entry": ["a"]})

    assert told["valid"] is True
    assert [warning["pointer"] for warning in told["warnings"]] == ["/nodes/1"]


@pytest.mark.parametrize("value", [None, [], 3, "text", {}, {"id": "made", "nodes": 5}])
async def test_what_has_not_the_shape_has_no_canonical_form(service: Service, value: Any) -> None:
    told = await validate(service, value)

    assert told["valid"] is False
    assert told["problems"]
    assert "definition" not in told


async def test_code_is_a_problem_here_too(service: Service) -> None:
    node = {"id": "n", "type": "function", "config": {"function": "os:system"}}

    told = await validate(service, {"id": "made", "nodes": [node]})

    assert [problem["code"] for problem in told["problems"]] == ["code_not_allowed"]


async def test_a_hundred_problems_are_listed_and_the_rest_is_counted(service: Service) -> None:
    edges = [{"source": "n", "target": f"m{number}"} for number in range(250)]

    told = await validate(service, definition(edges=edges))

    assert (len(told["problems"]), told["problems_left_out"]) == (100, 150)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "malformed_json"),
        (b"", 400, "malformed_json"),
        (b'{"id": 1, "id": 2}', 400, "duplicate_key"),
        (b"[" * 1_000 + b"]" * 1_000, 422, "too_deep"),
        (b'{"id": ' + b"9" * 50 + b"}", 422, "invalid_request"),
    ],
)
async def test_a_text_that_cannot_be_read_is_an_error(service: Service, body: bytes, status: int, code: str) -> None:
    answer = await service.client.post("/graphs/validate", content=body, headers={"Content-Type": "application/json"})

    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_body_of_another_type_is_refused(service: Service) -> None:
    answer = await service.client.post(
        "/graphs/validate", content=json.dumps(definition()), headers={"Content-Type": "text/plain"}
    )

    assert answer.status_code == 415


async def test_a_graph_may_be_called_validate(service: Service) -> None:
    created = await service.client.post("/graphs", json=definition("validate"))
    shown = await service.client.get("/graphs/validate")

    assert (created.status_code, shown.json()["id"]) == (201, "validate")
