"""Lists of graphs: paged, searched, and honest about what cannot run any more."""

import json
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from app.services import derived, graphs
from graphwire.graphs import validation
from tests.databases import on_each_database
from tests.live.serving import Service, serving
from tests.live.test_graphs import definition


async def found(service: Service, q: str) -> list[str]:
    """Return the ids that a search finds."""
    answer = await service.client.get("/graphs", params={"q": q})
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


def spoil(folder: Path, graph: str, **fields: Any) -> None:
    """Make a stored definition one that is not valid, as another version of the service may leave it."""
    with sqlite3.connect(folder / "graphwire.db") as connection:
        text = json.dumps(definition(graph, **fields)).encode()
        connection.execute(
            "UPDATE graph_versions SET definition = ?, digest = 'another' WHERE graph_id = ?", (text, graph)
        )
    connection.close()


@on_each_database
async def test_graphs_are_listed_in_pages(service: Service) -> None:
    whole = [item["id"] for item in (await service.client.get("/graphs")).json()["items"]]

    read: list[str] = []
    address: str | None = "/graphs?limit=1"
    while address is not None:
        answer = await service.client.get(address)
        read += [item["id"] for item in answer.json()["items"]]
        address = answer.links["next"]["url"] if answer.json()["next"] else None

    assert read == whole == sorted(whole)
    assert {"chain", "failing", "gated", "talk"} <= set(whole)


@pytest.mark.capability("GRF-07")
async def test_an_item_says_what_a_graph_is_and_where_it_comes_from(service: Service, tmp_path: Path) -> None:
    await service.client.post("/graphs", json=definition(name="Made", description="x" * 5_000))
    await service.client.put("/graphs/made", json=definition(name="Second"), headers={"If-Match": "*"})
    await service.client.post("/graphs", json=definition("long", description="x" * 5_000))

    answer = await service.client.get("/graphs")
    items = {item["id"]: item for item in answer.json()["items"]}

    made = items["made"]
    assert made.pop("created_at") < made.pop("updated_at")
    assert made == {
        "id": "made",
        "version": 2,
        "name": "Second",
        "description": None,
        "source": "api",
        "read_only": False,
        "valid": True,
    }
    assert (items["chain"]["source"], items["chain"]["read_only"]) == ("folder", True)
    assert items["long"]["description"] == "x" * 1_024 + "…"
    assert str(Path(__file__).parent) not in answer.text


@pytest.mark.parametrize(
    ("q", "ids"),
    [
        ("ORDER", ["a-orders"]),
        ("orders", ["a-orders"]),
        ("straße", ["b"]),
        ("STRASSE", ["b"]),
        ("éclair", ["b", "c"]),
        ("E\u0301CLAIR", ["b", "c"]),
        ("100%", ["c"]),
        ("0_", []),
        ("%", ["c"]),
        ("_", []),
        ("/", ["c"]),
        ("' OR 1=1 --", []),
        ("\\", []),
        ("\x00", ["a-orders", "b", "c"]),
        ("", ["a-orders", "b", "c"]),
        ("nothing like it", []),
    ],
)
@pytest.mark.bad_input(9, 55)
async def test_graphs_are_found_by_a_part_of_id_name_or_description(tmp_path: Path, q: str, ids: list[str]) -> None:
    async with serving(tmp_path, graphs=()) as service:
        await service.client.post("/graphs", json=definition("a-orders"))
        await service.client.post("/graphs", json=definition("b", name="Straße", description="Éclair"))
        await service.client.post("/graphs", json=definition("c", name="e\u0301clair", description="100% and/or"))

        assert await found(service, q) == ids


@on_each_database
async def test_a_search_goes_by_the_newest_version_and_is_paged(service: Service) -> None:
    for number in range(3):
        await service.client.post("/graphs", json=definition(f"made{number}", name="Before"))
        changed = definition(f"made{number}", name="After")
        await service.client.put(f"/graphs/made{number}", json=changed, headers={"If-Match": "*"})

    first = await service.client.get("/graphs?q=after&limit=2")
    second = await service.client.get(first.links["next"]["url"])

    assert await found(service, "before") == []
    assert [item["id"] for item in first.json()["items"] + second.json()["items"]] == ["made0", "made1", "made2"]


async def test_a_search_for_too_much_is_refused(service: Service) -> None:
    assert (await service.client.get("/graphs", params={"q": "x" * 201})).status_code == 422


@pytest.mark.bad_input(40)
async def test_a_graph_that_is_not_valid_any_more_is_listed_readable_marked_and_not_started(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        for graph in ("good", "bad", "worse"):
            await service.client.post("/graphs", json=definition(graph))
    spoil(tmp_path, "bad", nodes=[{"id": "n", "type": "gone"}])
    spoil(tmp_path, "worse", nodes=[{"id": "n"}], unheard="of")

    async with serving(tmp_path) as service:
        ready = await service.client.get("/health/ready")
        items = (await service.client.get("/graphs")).json()["items"]
        bad = (await service.client.get("/graphs/bad")).json()
        worse = (await service.client.get("/graphs/worse")).json()
        cached = await service.client.get("/graphs/bad", headers={"If-None-Match": '"1"'})
        starts = [await service.client.post(f"/graphs/{graph}/execute") for graph in ("bad", "worse") for _ in "12"]
        mended = await service.client.put("/graphs/bad", json=definition("bad"), headers={"If-Match": '"1"'})
        after = (await service.client.get("/graphs")).json()["items"]

    assert ready.status_code == 200
    valid = {item["id"]: item["valid"] for item in items}
    assert (valid["good"], valid["bad"], valid["worse"]) == (True, False, False)
    assert [problem["code"] for problem in bad["problems"]] == ["unknown_node_type"]
    assert bad["definition"]["nodes"] == [{"id": "n", "type": "gone"}]
    assert {problem["pointer"] for problem in worse["problems"]} == {"/nodes/0/type", "/unheard"}
    assert (cached.status_code, cached.headers["cache-control"]) == (200, "no-store")
    assert [start.status_code for start in starts] == [422] * 4
    assert [start.json()["code"] for start in starts] == ["unknown_node_type"] * 2 + ["graph_invalid"] * 2
    assert mended.status_code == 200
    assert {item["id"]: item["valid"] for item in after}["bad"] is True


@pytest.mark.bad_input(40)
async def test_versions_that_are_not_valid_any_more_are_compared_and_replaced(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        await service.client.post("/graphs", json=definition("bad"))
    spoil(tmp_path, "bad", nodes=[{"id": "n", "type": "gone"}])

    async with serving(tmp_path) as service:
        await service.client.put("/graphs/bad", json=definition("bad"), headers={"If-Match": '"1"'})
        difference = await service.client.get("/graphs/bad/versions/1/diff/2")
        old = await service.client.get("/graphs/bad/versions/1")

    assert difference.json()["nodes"]["changed"][0]["changes"][0] == {
        "pointer": "/type",
        "before": "gone",
        "after": "transform",
    }
    assert [problem["code"] for problem in old.json()["problems"]] == ["unknown_node_type"]


@pytest.mark.bad_input(40)
async def test_large_graphs_are_looked_at_beside_the_loop_a_few_a_page_and_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = [{"id": f"n{number}", "type": "delay", "config": {"seconds": 1}} for number in range(1_000)]
    async with serving(tmp_path, graphs=()) as service:
        for number in range(3):
            await service.client.post("/graphs", json=definition(f"large{number}", nodes=large))
    on_the_loop: list[bool] = []
    original = validation.validate

    def noted(*arguments: Any, **keywords: Any) -> Any:
        on_the_loop.append(threading.current_thread() is threading.main_thread())
        return original(*arguments, **keywords)

    monkeypatch.setattr(derived, "validate", noted)
    monkeypatch.setattr(graphs, "MARKED_BYTES", 100_000)
    async with serving(tmp_path, graphs=()) as service:
        pages = [(await service.client.get("/graphs")).json()["items"] for _ in range(4)]

    assert [[item["valid"] for item in page] for page in pages] == [
        [True, None, None],
        [True, True, None],
        [True, True, True],
        [True, True, True],
    ]
    assert on_the_loop == [False] * 3
