"""Forks of executions that run, ended or failed, over HTTP."""

from typing import Any

import httpx
import pytest

from tests.databases import on_each_database
from tests.live.control import gates, keys
from tests.live.serving import Service, types
from tests.live.test_graphs import definition

pytestmark = on_each_database

KEY = {"Idempotency-Key": "fork-1"}
ANSWER = {"value": {"ok": True}}


async def fork(service: Service, execution: str, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
    return await service.client.post(f"/executions/{execution}/fork", json=body, headers=headers)


async def retry(service: Service, execution: str, headers: dict[str, str] | None = None) -> httpx.Response:
    return await service.client.post(f"/executions/{execution}/retry", headers=headers)


async def ended(service: Service, execution: str) -> dict[str, Any]:
    """Wait for the end of an execution; return it with its state."""
    await service.events(execution)
    shown = (await service.client.get(f"/executions/{execution}")).json()
    return {**shown, "state": (await service.client.get(f"/executions/{execution}/state")).json()["state"]}


async def history(service: Service, execution: str) -> list[dict[str, Any]]:
    return [block.data for block in await service.events(execution) if "seq" in block.data]


@pytest.mark.bad_input(103)
async def test_a_fork_goes_on_from_a_place_of_the_past_and_the_original_stays_as_it_is(service: Service) -> None:
    original = (await service.run("chain"))["id"]
    before = await history(service, original)

    answer = await fork(service, original, at=3)
    made = answer.json()
    events = await history(service, made["id"])
    shown = await ended(service, made["id"])

    origin = {"execution_id": original, "seq": 3}
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/executions/{made['id']}"
    assert (made["forked_from"], made["effects"], made["status"]) == (origin, [], "running")
    assert [each["seq"] for each in events] == list(range(1, len(events) + 1))
    assert events[0]["data"]["forked_from"] == origin
    assert [each.get("node_id") for each in events if each["type"] == "node_started"] == ["second", "third"]
    assert (shown["state"], shown["status"], shown["forked_from"]) == ({"count": 3}, "completed", origin)
    assert await history(service, original) == before
    listed = (await service.client.get("/executions", params={"forked_from": original})).json()["items"]
    assert [each["id"] for each in listed] == [made["id"]]


@pytest.mark.parametrize(
    ("body", "state"),
    [
        ({"at": 3, "state": {"count": 10}}, {"count": 12}),
        ({"at": 3, "state": {"count": 10, "more": [1]}}, {"count": 12, "more": [1]}),
        ({"at": 1}, {"count": 3}),
        ({}, {"count": 3}),
        ({"state": {"count": 7}}, {"count": 7}),
        ({"at": 5, "entry": ["first"]}, {"count": 5}),
        ({"at": 5, "entry": ["second"], "state": {"count": 0}}, {"count": 2}),
    ],
)
async def test_what_a_fork_is_given_replaces_what_was_there(
    service: Service, body: dict[str, Any], state: dict[str, Any]
) -> None:
    original = (await service.run("chain"))["id"]

    made = (await fork(service, original, **body)).json()

    assert (await ended(service, made["id"]))["state"] == state


@pytest.mark.bad_input(103)
async def test_a_running_execution_is_forked_and_what_was_in_flight_runs_again_with_a_key_of_its_own(
    service: Service,
) -> None:
    original = await service.start("paid")
    await gates["gate"].reached.wait()

    made = (await fork(service, original, state={"gate": "other", "name": "Grace"})).json()
    await gates["other"].reached.wait()
    gates["other"].opened.set()
    forked = await ended(service, made["id"])
    gates["gate"].opened.set()
    first = await ended(service, original)

    (effect,) = made["effects"]
    assert (effect["node"], effect["path"]) == ("pay", [])
    assert keys == [f"{original}:{effect['activation']}", f"{made['id']}:{effect['activation']}"]
    assert forked["state"]["farewell"] == "Bye, Grace"
    assert forked["state"]["greeting"] == "Hello, Ada"
    assert first["state"]["farewell"] == "Bye, Ada"


async def test_a_fork_of_a_fork_goes_on_from_the_past_of_both(service: Service) -> None:
    original = (await service.run("chain"))["id"]
    first = (await fork(service, original, at=3, state={"count": 10})).json()["id"]
    await ended(service, first)

    second = (await fork(service, first, at=3)).json()["id"]

    assert [each.get("node_id") for each in await history(service, second) if each["type"] == "node_started"] == [
        "third"
    ]
    assert (await ended(service, second))["state"] == {"count": 12}
    states = [
        (await service.client.get(f"/executions/{second}/state", params={"at": at})).json()["state"] for at in (1, 3)
    ]
    assert states == [{"count": 11}, {"count": 12}]


async def test_a_fork_with_a_key_is_made_once(service: Service) -> None:
    original = (await service.run("chain"))["id"]

    first = await fork(service, original, KEY, at=3)
    await ended(service, first.json()["id"])
    again = await fork(service, original, KEY, at=3)
    other = await fork(service, original, KEY, at=5)

    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert other.json()["code"] == "idempotency_mismatch"
    listed = (await service.client.get("/executions", params={"forked_from": original})).json()["items"]
    assert len(listed) == 1


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({"at": 0}, 422, "/at"),
        ({"at": 10}, 422, "/at"),
        ({"at": "3"}, 422, "/at"),
        ({"version": 9}, 422, "/version"),
        ({"entry": ["nowhere"]}, 422, "/entry/0"),
        ({"entry": []}, 422, "/entry"),
        ({"state": {"errors": []}}, 422, "/state/errors"),
        ({"states": {}}, 422, "/states"),
    ],
)
async def test_a_fork_that_does_not_fit_is_refused(
    service: Service, body: dict[str, Any], status: int, pointer: str | None
) -> None:
    original = (await service.run("chain"))["id"]

    answer = await fork(service, original, **body)

    assert answer.status_code == status
    if pointer is not None:
        assert answer.json()["errors"][0]["pointer"] == pointer
    assert (await service.client.get("/executions", params={"forked_from": original})).json()["items"] == []


async def test_what_there_is_not_cannot_be_forked(service: Service) -> None:
    declared = (await service.client.post("/executions", json={"graph_id": "chain"})).json()["id"]

    unknown = await fork(service, "nobody")
    foreign = await fork(service, declared)

    assert unknown.status_code == 404
    assert (foreign.status_code, foreign.json()["code"]) == (409, "command_not_allowed")
    assert foreign.json()["allowed"] == ["cancel"]


@pytest.mark.capability("RES-19")
async def test_a_failed_execution_is_retried_from_before_its_failure(service: Service) -> None:
    failed = (await service.run("fragile"))["id"]
    gates["mended"].opened.set()

    answer = await retry(service, failed)
    shown = await ended(service, answer.json()["id"])
    events = await history(service, answer.json()["id"])

    assert answer.status_code == 201
    assert answer.json()["forked_from"]["execution_id"] == failed
    assert [each["node_id"] for each in events if each["type"] == "node_started"] == ["breaks"]
    assert (shown["status"], shown["state"]) == ("completed", {"runs": 1, "held": 1, "items": [1, 2, 3]})


async def test_only_a_failed_execution_is_retried(service: Service) -> None:
    done = (await service.run("chain"))["id"]

    answer = await retry(service, done)

    assert (answer.status_code, answer.json()["code"]) == (409, "command_not_allowed")
    assert answer.json()["allowed"] == ["fork"]


@pytest.mark.capability("RES-19")
async def test_all_that_failed_are_retried_by_conditions(service: Service) -> None:
    failed = [(await service.run("fragile"))["id"] for _ in range(3)]
    await service.run("failing")
    gates["mended"].opened.set()

    body = {"graph": ["fragile"], "limit": 2}
    answer = (await service.client.post("/executions/retry", json=body, headers=KEY)).json()
    again = (await service.client.post("/executions/retry", json=body, headers=KEY)).json()

    assert [item["id"] for item in answer["items"]] == failed[:2]
    assert answer["more"] is True
    assert again["items"][:2] == answer["items"]
    for item in answer["items"]:
        assert (await ended(service, item["execution"]["id"]))["status"] == "completed"


async def test_a_version_that_mends_the_fault_goes_on_with_the_past(service: Service) -> None:
    nodes = [
        {"id": "a", "type": "transform", "config": {"set": {"n": "state.n + 1"}}},
        {"id": "b", "type": "transform", "config": {"set": {"m": "state.nothing"}}},
    ]
    made = definition("mended", nodes=nodes, edges=[{"source": "a", "target": "b"}], state={"initial": {"n": 0}})
    await service.client.post("/graphs", json=made)
    failed = (await service.run("mended"))["id"]
    nodes[1]["config"] = {"set": {"m": "state.n * 10"}}
    made["nodes"] = [*nodes, {"id": "c", "type": "transform", "config": {"set": {"last": "state.m"}}}]
    made["edges"] = [{"source": "b", "target": "c"}, {"source": "a", "target": "b"}]
    await service.client.put("/graphs/mended", json=made, headers={"If-Match": "*"})

    forked = (await fork(service, failed, at=3, version=2)).json()
    shown = await ended(service, forked["id"])

    assert (shown["status"], shown["graph_version"]) == ("completed", 2)
    assert shown["state"] == {"n": 1, "m": 10, "last": 10}


async def test_a_version_that_the_past_does_not_fit_is_refused_with_what_does_not(service: Service) -> None:
    nodes = [{"id": name, "type": "transform", "config": {"set": {name: "1"}}} for name in "abc"]
    made = definition("changed", nodes=nodes, edges=[{"source": "a", "target": "b"}, {"source": "b", "target": "c"}])
    await service.client.post("/graphs", json=made)
    original = (await service.run("changed"))["id"]
    made = definition("changed", nodes=nodes[::2], edges=[{"source": "a", "target": "c"}])
    await service.client.put("/graphs/changed", json=made, headers={"If-Match": "*"})

    answer = await fork(service, original, at=3, version=2)

    assert answer.status_code == 422
    assert [each["pointer"] for each in answer.json()["errors"]] == ["/version"]
    assert "b" in answer.json()["errors"][0]["detail"]
    assert "stream_end" in types(await service.events(original))


async def test_what_waits_for_an_answer_waits_on_under_another_name(service: Service) -> None:
    original = await service.start("asking")
    asked = await waiting(service, original)

    made = (await fork(service, original)).json()["id"]
    again = await waiting(service, made)

    assert (again["payload"], again["interrupt_id"] == asked["interrupt_id"]) == (asked["payload"], False)
    old = await service.client.post(f"/executions/{made}/input", json={**ANSWER, "interrupt_id": asked["interrupt_id"]})
    new = await service.client.post(f"/executions/{made}/input", json={**ANSWER, "interrupt_id": again["interrupt_id"]})
    assert (old.status_code, new.status_code) == (404, 202)
    assert (await service.client.get(f"/executions/{original}")).json()["status"] == "paused"
    await service.client.post("/executions/cancel", json={"graph": ["asking"]})
    assert types(await service.events(made))[-1] == "stream_end"


async def waiting(service: Service, execution: str) -> dict[str, Any]:
    """Wait until an execution waits for input; return the data of its question."""
    after, asked = 0, {}
    while True:
        query = {"after": after, "wait": 5}
        page = await service.client.get(
            f"/executions/{execution}/events", params=query, headers={"Accept": "application/json"}
        )
        for event in page.json()["events"]:
            if event["type"] == "node_suspended":
                asked = event["data"]
            if event["type"] == "execution_paused":
                return asked
        after = page.json()["next"]
