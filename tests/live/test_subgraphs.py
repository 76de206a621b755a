"""Graphs on a server that run other graphs."""

from typing import Any

import pytest

from tests.live.serving import Service


def inner(id: str = "inner", key: str = "seen", **fields: Any) -> dict[str, Any]:
    node = {"id": f"{id}_node", "type": "transform", "config": {"set": {key: "state.n"}}}
    return {"id": id, "nodes": [node], **fields}


def outer(id: str = "outer", graph: str = "inner", **config: Any) -> dict[str, Any]:
    return {"id": id, "nodes": [{"id": f"{id}_sub", "type": "subgraph", "config": {"graph": graph, **config}}]}


async def store(service: Service, definition: dict[str, Any], *, status: int = 201) -> dict[str, Any]:
    """Store a graph, or a new version of it."""
    path = f"/graphs/{definition['id']}"
    headers = {} if (await service.client.get(path)).status_code == 404 else {"If-Match": "*"}
    answer = await service.client.put(path, json=definition, headers=headers)
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def result(service: Service, graph: str = "outer", **start: Any) -> dict[str, Any]:
    answer = await service.client.post(f"/graphs/{graph}/execute/wait", json={"state": {"n": 1}, **start})
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.capability("NOD-08")
async def test_a_graph_runs_another_one_that_comes_later(service: Service) -> None:
    first = await store(service, outer())
    early = await service.client.post("/graphs/outer/execute", json={})
    await store(service, inner())

    ended = await result(service)

    assert [(each["pointer"], each["code"]) for each in first["warnings"]] == [
        ("/nodes/0/config/graph", "unknown_graph")
    ]
    assert early.status_code == 422
    assert early.json()["errors"][0]["pointer"] == "/nodes/0/config/graph"
    assert ended["state"] == {"n": 1, "seen": 1}
    assert (await service.client.get("/graphs/outer")).json()["warnings"] == []


async def test_a_start_takes_the_newest_version_unless_one_is_named(service: Service) -> None:
    await store(service, inner())
    await store(service, outer())
    await store(service, outer("old", version=1))
    await store(service, inner(key="new"), status=200)

    assert (await result(service))["state"] == {"n": 1, "new": 1}
    assert (await result(service, "old"))["state"] == {"n": 1, "seen": 1}


async def test_a_filter_of_nodes_names_those_of_the_other_graph(service: Service) -> None:
    await store(service, inner())
    await store(service, outer())
    ended = await result(service)

    blocks = await service.events(ended["id"], nodes="inner_node")
    unknown = await service.client.get(f"/executions/{ended['id']}/events?nodes=nobody")

    events = [block.data for block in blocks if "node_id" in block.data]
    assert {event["node_id"] for event in events} == {"inner_node"}
    assert [step["node"] for step in events[0]["path"]] == ["outer_sub"]
    assert unknown.status_code == 422


async def test_graphs_never_run_themselves(service: Service) -> None:
    await store(service, outer("a", "b"))
    await store(service, outer("b", "c"))

    refused = await service.client.put("/graphs/c", json=outer("c", "a"))
    itself = await service.client.post("/graphs", json=outer("d", "d"))
    judged = await service.client.post("/graphs/validate", json=outer("c", "a"))

    assert refused.status_code == itself.status_code == 422
    assert [each["code"] for each in refused.json()["errors"]] == ["graph_cycle"]
    assert judged.json()["valid"] is False
    assert [each["code"] for each in judged.json()["problems"]] == ["graph_cycle"]


async def test_a_graph_that_others_run_may_be_deleted(service: Service) -> None:
    await store(service, inner())
    await store(service, outer())
    ended = await result(service)

    deleted = await service.client.delete("/graphs/inner")
    early = await service.client.post("/graphs/outer/execute", json={})
    nodes = await service.client.get(f"/executions/{ended['id']}/events?nodes=inner_node")

    assert deleted.status_code == 204
    assert early.status_code == 422
    assert early.json()["errors"][0]["code"] == "unknown_graph"
    assert nodes.status_code == 200
    assert [each["code"] for each in (await service.client.get("/graphs/outer")).json()["warnings"]] == [
        "unknown_graph"
    ]


async def paused(service: Service, execution: str) -> dict[str, Any]:
    """Wait until an execution waits for input; return it."""
    while True:
        shown: dict[str, Any] = (await service.client.get(f"/executions/{execution}")).json()
        if shown["status"] == "paused":
            return shown
        await service.client.get(
            f"/executions/{execution}/events",
            params={"after": shown["last_seq"], "wait": 1},
            headers={"Accept": "application/json"},
        )


async def answered(service: Service, execution: str) -> dict[str, Any]:
    """Answer the one question of an execution, and return the state at its end."""
    (question,) = (await paused(service, execution))["interrupts"]
    answer = await service.client.post(
        f"/executions/{execution}/input", json={"interrupt_id": question["interrupt_id"], "value": {"approved": True}}
    )
    assert answer.status_code == 202, answer.text
    await service.events(execution)
    state: dict[str, Any] = (await service.client.get(f"/executions/{execution}/state")).json()["state"]
    return state


@pytest.mark.capability("NOD-08", "NOD-11")
async def test_executions_and_their_forks_keep_to_the_versions_that_they_started_with(service: Service) -> None:
    def asking(key: str) -> dict[str, Any]:
        after = {"id": "after", "type": "transform", "config": {"set": {key: "state.approved"}}}
        ask = {"id": "ask", "type": "human_input", "config": {"prompt": "May it?"}}
        return {"id": "inner", "nodes": [ask, after], "edges": [{"source": "ask", "target": "after"}]}

    await store(service, asking("old"))
    await store(service, outer())
    first = await service.start("outer")
    await paused(service, first)
    await store(service, asking("new"), status=200)

    made = await service.client.post(f"/executions/{first}/fork", json={})
    forked = await answered(service, made.json()["id"])

    assert forked == {"approved": True, "old": True}
    assert await answered(service, first) == forked
    assert await answered(service, await service.start("outer")) == {"approved": True, "new": True}
