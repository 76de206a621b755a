from typing import Any

import pytest

from tests.databases import on_each_database
from tests.live.control import gates
from tests.live.serving import Service


def definition(graph_id: str = "made", **fields: Any) -> dict[str, Any]:
    """Return a definition that is valid."""
    node = {"id": "n", "type": "transform", "config": {"set": {"x": "1"}}}
    return {"id": graph_id, "nodes": [node], **fields}


@on_each_database
async def test_a_graph_is_created_shown_replaced_run_and_deleted(service: Service) -> None:
    created = await service.client.post("/graphs", json=definition())
    shown = await service.client.get("/graphs/made")
    replaced = await service.client.put("/graphs/made", json=definition(name="Second"), headers={"If-Match": '"1"'})
    ran = await service.run("made")
    old = await service.run("made", version=1)
    deleted = await service.client.delete("/graphs/made")

    assert created.status_code == 201
    assert created.headers["location"] == "/graphs/made"
    assert created.json() == shown.json()
    assert shown.json() == {"id": "made", "version": 1, "definition": definition(), "warnings": [], "problems": []}
    assert (replaced.status_code, replaced.json()["version"]) == (200, 2)
    assert (ran["graph_version"], ran["state"]) == (2, {"x": 1})
    assert old["graph_version"] == 1
    assert deleted.status_code == 204
    assert (await service.client.get("/graphs/made")).status_code == 404
    assert (await service.client.post("/graphs/made/execute")).status_code == 404
    assert (await service.client.get(f"/executions/{ran['id']}")).status_code == 200


async def test_a_definition_that_changes_nothing_makes_no_version(service: Service) -> None:
    await service.client.post("/graphs", json=definition())

    again = await service.client.put("/graphs/made", json=definition(), headers={"If-Match": "*"})

    assert (again.status_code, again.json()["version"], again.headers["etag"]) == (200, 1, '"1"')


async def test_put_makes_a_graph_that_is_not_there(service: Service) -> None:
    made = await service.client.put("/graphs/made", json=definition())

    assert (made.status_code, made.json()["version"]) == (201, 1)


async def test_a_graph_that_exists_is_not_created_again(service: Service) -> None:
    answer = await service.client.post("/graphs", json=definition("chain"))

    assert (answer.status_code, answer.json()["code"]) == (409, "graph_exists")


async def test_the_id_in_the_address_is_the_one_in_the_definition(service: Service) -> None:
    answer = await service.client.put("/graphs/other", json=definition())

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/id"


async def test_graphs_from_folders_are_changed_there_only(service: Service) -> None:
    put = await service.client.put("/graphs/chain", json=definition("chain"))
    delete = await service.client.delete("/graphs/chain")

    assert (put.status_code, put.json()["code"]) == (409, "graph_read_only")
    assert (delete.status_code, delete.json()["code"]) == (409, "graph_read_only")


async def test_all_that_is_wrong_with_a_definition_is_told_at_once(service: Service) -> None:
    wrong = definition(
        entry=["nowhere"], name=5, edges=[{"source": "n", "target": "m"}, {"source": "x", "target": "n", "on": 1}]
    )

    created = await service.client.post("/graphs", json=wrong)
    replaced = await service.client.put("/graphs/other", json=wrong)

    places = ["/edges/0/target", "/edges/1/on", "/edges/1/source", "/entry/0", "/name"]
    assert (created.status_code, created.json()["code"]) == (422, "graph_invalid")
    assert [error["pointer"] for error in created.json()["errors"]] == places
    assert [error["pointer"] for error in replaced.json()["errors"]] == [*places[:4], "/id", places[4]]


async def test_a_flood_of_problems_is_counted_exactly(service: Service) -> None:
    edges = [{"source": "n", "target": number} for number in range(5_000)]

    answer = await service.client.post("/graphs", json=definition(edges=edges))

    body = answer.json()
    assert [error["pointer"] for error in body["errors"]] == [f"/edges/{number}/target" for number in range(100)]
    assert body["errors_left_out"] == 4_900
    assert body["detail"].endswith("(and 4,999 more)")


async def test_code_in_a_definition_that_came_as_data_is_refused(service: Service) -> None:
    node = {"id": "n", "type": "function", "config": {"function": "os:system"}}

    answer = await service.client.post("/graphs", json={"id": "made", "nodes": [node]})

    assert (answer.status_code, answer.json()["code"]) == (422, "code_not_allowed")


@pytest.mark.parametrize(
    ("query", "media_type", "begins"),
    [
        ("", "text/vnd.mermaid", "flowchart"),
        ("?format=mermaid", "text/vnd.mermaid", "flowchart"),
        ("?format=dot", "text/vnd.graphviz", "digraph"),
    ],
)
async def test_a_graph_is_drawn(service: Service, query: str, media_type: str, begins: str) -> None:
    answer = await service.client.get(f"/graphs/chain/diagram{query}")

    assert answer.headers["content-type"] == f"{media_type}; charset=utf-8"
    assert answer.text.startswith(begins)


async def test_a_diagram_is_plain_text_for_whoever_takes_nothing_else(service: Service) -> None:
    answer = await service.client.get("/graphs/chain/diagram?format=dot", headers={"Accept": "text/plain"})

    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.text.startswith("digraph")


async def test_a_language_that_diagrams_are_not_drawn_in_is_refused(service: Service) -> None:
    answer = await service.client.get("/graphs/chain/diagram?format=pdf")

    assert answer.status_code == 422


async def test_node_types_are_listed_with_the_schema_of_their_config(service: Service) -> None:
    items = (await service.client.get("/node-types")).json()["items"]

    transform = next(item for item in items if item["name"] == "transform")
    assert transform["config"]["type"] == "object"


async def test_the_first_page_lists_the_graphs(service: Service) -> None:
    answer = await service.client.get("/")

    assert answer.headers["content-type"].startswith("text/html")
    assert "/graphs/chain" in answer.text
    assert "Chain &lt;of&gt; three" in answer.text
    assert "href='/docs'" in answer.text
    gates.clear()
