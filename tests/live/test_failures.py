"""Retries, circuit breakers and fallbacks of graphs that came over HTTP."""

from pathlib import Path
from typing import Any

import pytest

from tests.databases import on_each_database
from tests.live.serving import Service, serving, types

SLOW: dict[str, Any] = {"id": "slow", "type": "delay", "config": {"seconds": 60}, "timeout_s": 0.01}
RETRY_SCHEDULED = 4
AT_ONCE = {"max_attempts": 2, "delay_s": 0, "jitter": "none"}


async def put(service: Service, **node: Any) -> None:
    """Store a graph whose one node always takes too long."""
    answer = await service.client.post("/graphs", json={"id": "made", "nodes": [{**SLOW, **node}]})
    assert answer.status_code == 201, answer.text


@pytest.mark.capability("RES-05", "RES-07", "RES-10")
@on_each_database
async def test_a_node_is_tried_again_and_its_fallback_stands_in(service: Service) -> None:
    await put(service, retry=AT_ONCE, fallback="late")

    execution = (await service.run("made"))["id"]

    body = (await service.client.get(f"/executions/{execution}")).json()
    state = (await service.client.get(f"/executions/{execution}/state")).json()["state"]
    assert (body["status"], body["outcome"]) == ("completed", "success")
    assert state["slow"] == "late"
    assert [(error["code"], error["attempt"], error["is_transient"]) for error in body["errors"]] == [
        ("timeout", 2, True)
    ]
    told = types(await service.events(execution))
    assert told[1:7] == [
        "node_started",
        "node_failed",
        "retry_scheduled",
        "retry_attempted",
        "node_started",
        "node_failed",
    ]


@pytest.mark.capability("RES-08", "RES-09")
@on_each_database
async def test_executions_share_the_breaker_of_a_node(service: Service) -> None:
    await put(service, circuit_breaker={"failure_threshold": 2})

    codes = [(await service.run("made"))["error"]["code"] for _ in range(3)]

    assert codes == ["timeout", "timeout", "circuit_breaker_open"]


@pytest.mark.bad_input(99)
@on_each_database
async def test_a_cancellation_during_the_wait_for_a_retry_is_stored_as_the_only_outcome(service: Service) -> None:
    await put(service, retry={"delay_s": 3_600, "max_delay_s": 3_600, "jitter": "none"})
    execution = await service.start("made")
    while (await service.client.get(f"/executions/{execution}")).json()["last_seq"] < RETRY_SCHEDULED:
        pass

    await service.client.post(f"/executions/{execution}/cancel")

    events = types(await service.events(execution))
    assert events[-2:] == ["execution_cancelled", "stream_end"]
    assert events.count("node_started") == events.count("node_failed") == 1
    assert "node_cancelled" not in events


@pytest.mark.bad_input(100)
async def test_a_policy_out_of_bounds_is_refused_with_every_place(service: Service) -> None:
    retry = {"max_attempts": 10**9, "delay_s": -1, "multiplier": 1e9}

    answer = await service.client.post("/graphs", json={"id": "made", "nodes": [{**SLOW, "retry": retry}]})

    assert answer.status_code == 422
    assert {problem["pointer"] for problem in answer.json()["errors"]} == {
        "/nodes/0/retry/max_attempts",
        "/nodes/0/retry/delay_s",
        "/nodes/0/retry/multiplier",
    }


async def test_the_schema_of_a_node_names_the_fields_of_its_policies(service: Service) -> None:
    schemas = (await service.client.get("/openapi.json")).json()["components"]["schemas"]

    assert {"max_attempts", "strategy", "on", "time_budget_s"} <= schemas["Retry"]["properties"].keys()
    assert {"name", "failure_threshold", "open_s"} <= schemas["CircuitBreaker"]["properties"].keys()
    assert {"failures", "duration_s"} <= schemas["Quarantine"]["properties"].keys()


@pytest.mark.capability("RES-14")
@pytest.mark.parametrize("is_exposed", [False, True])
async def test_an_error_shows_its_traceback_only_where_a_setting_says_so(tmp_path: Path, is_exposed: bool) -> None:
    async with serving(tmp_path, expose_tracebacks=is_exposed) as service:
        await put(service, retry=AT_ONCE)
        execution = (await service.run("made"))["id"]
        text = (await service.client.get(f"/executions/{execution}")).text
        events = (await service.client.get(f"/executions/{execution}/events")).text

    for shown in (text, events):
        assert ("traceback" in shown) is is_exposed
        assert ("NodeTimeout: " in shown) is is_exposed
