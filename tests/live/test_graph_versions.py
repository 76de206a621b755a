"""Versions of a graph: kept, compared, and changed only by those who saw the newest one."""

import asyncio
from typing import Any

import pytest
from httpx import Response

from app.storage.cursors import Cursor, encode_cursor
from graphwire.graphs.documents import read_document
from tests.databases import on_each_database
from tests.live.serving import Service
from tests.live.test_graphs import definition


async def put(service: Service, if_match: str | list[str] | None = None, **fields: Any) -> Response:
    """Replace the graph ``made``; ``if_match`` is the header, or its lines."""
    lines = [if_match] if isinstance(if_match, str) else if_match or []
    return await service.client.put(
        "/graphs/made", json=definition(**fields), headers=[("If-Match", line) for line in lines]
    )


async def make_versions(service: Service, count: int) -> None:
    """Store a graph ``made`` in so many versions, named after their numbers."""
    for number in range(1, count + 1):
        assert (await put(service, "*" if number > 1 else None, name=f"Version {number}")).is_success


async def test_every_version_stays_readable_as_it_was(service: Service) -> None:
    await make_versions(service, 3)

    first = await service.client.get("/graphs/made/versions/1")
    newest = await service.client.get("/graphs/made/versions/3")

    assert first.json() == {
        "id": "made",
        "version": 1,
        "definition": definition(name="Version 1"),
        "warnings": [],
        "problems": [],
    }
    assert newest.json() == (await service.client.get("/graphs/made")).json()


@on_each_database
async def test_versions_are_listed_newest_first_in_pages(service: Service) -> None:
    await make_versions(service, 3)

    page = (await service.client.get("/graphs/made/versions?limit=2")).json()
    rest = await service.client.get("/graphs/made/versions", params={"limit": 2, "after": page["next"]})

    assert [item["version"] for item in page["items"]] == [3, 2]
    assert [(item["version"], item["name"]) for item in rest.json()["items"]] == [(1, "Version 1")]
    assert rest.json()["next"] is None
    assert set(page["items"][0]) == {"version", "name", "description", "digest", "created_at"}
    assert len({item["digest"] for item in page["items"]}) == 2


async def test_the_link_of_a_page_of_versions_leads_to_the_next_one(service: Service) -> None:
    await make_versions(service, 3)

    first = await service.client.get("/graphs/made/versions?limit=2")
    second = await service.client.get(first.links["next"]["url"])

    assert [item["version"] for item in second.json()["items"]] == [1]
    assert "next" not in second.links


@on_each_database
@pytest.mark.parametrize(("value", "count"), [(2**62, 2), (2**31, 2), (1.5, 0), (-(2**62), 0)])
async def test_a_cursor_that_somebody_made_up_gives_a_page_all_the_same(
    service: Service, value: float, count: int
) -> None:
    await make_versions(service, 2)

    after = encode_cursor(Cursor("version", value, "made"))
    answer = await service.client.get("/graphs/made/versions", params={"after": after})

    assert answer.status_code == 200, answer.text
    assert len(answer.json()["items"]) == count


@pytest.mark.parametrize("version", ["0", "3", "-1", "x", "1.0", "01", "%EF%BC%91", "9" * 5_000, "%00", "1e3"])
async def test_a_version_that_there_is_not_is_not_found(service: Service, version: str) -> None:
    await make_versions(service, 2)

    for address in (f"versions/{version}", f"versions/1/diff/{version}", f"versions/{version}/diff/1"):
        answer = await service.client.get(f"/graphs/made/{address}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), address


async def test_versions_of_a_graph_that_there_is_not_or_not_any_more_are_not_found(service: Service) -> None:
    await make_versions(service, 2)
    await service.client.delete("/graphs/made")

    for graph in ("made", "never"):
        for address in ("versions", "versions/1", "versions/1/diff/2"):
            assert (await service.client.get(f"/graphs/{graph}/{address}")).status_code == 404, (graph, address)


async def test_two_versions_are_compared_by_the_ids_of_nodes_and_edges(service: Service) -> None:
    node = {"id": "m", "type": "transform", "config": {"set": {"y": "2"}}}
    changed = {"id": "n", "type": "transform", "config": {"set": {"x": "3"}}}
    await service.client.post("/graphs", json=definition())
    edge = {"source": "n", "target": "m"}
    second = {"id": "made", "name": "Second", "nodes": [changed, node], "edges": [edge]}
    await service.client.put("/graphs/made", json=second, headers={"If-Match": '"1"'})

    forth = await service.client.get("/graphs/made/versions/1/diff/2")
    back = await service.client.get("/graphs/made/versions/2/diff/1")
    same = await service.client.get("/graphs/made/versions/2/diff/2")

    nothing: dict[str, Any] = {"added": [], "removed": [], "changed": [], "reordered": False}
    change = {"id": "n", "changes": [{"pointer": "/config/set/x", "before": "1", "after": "3"}]}
    assert forth.json() == {
        "id": "made",
        "from": 1,
        "to": 2,
        "nodes": {**nothing, "added": [node], "changed": [change]},
        "edges": {**nothing, "added": [edge]},
        "settings": [{"pointer": "/name", "after": "Second"}],
    }
    assert back.json()["nodes"]["removed"] == [node]
    assert back.json()["settings"] == [{"pointer": "/name", "before": "Second"}]
    assert same.json()["nodes"] == same.json()["edges"] == nothing


@pytest.mark.capability("GRF-07")
@pytest.mark.bad_input(35)
async def test_a_change_says_which_version_it_was_made_for(service: Service) -> None:
    created = await service.client.post("/graphs", json=definition())
    without = await put(service, name="Second")
    stale = await put(service, '"7"', name="Second")
    fitting = await put(service, created.headers["etag"], name="Second")
    late = await put(service, created.headers["etag"], name="Third")

    assert (created.status_code, created.headers["etag"]) == (201, '"1"')
    assert (without.status_code, without.json()["code"], without.json()["current"]) == (428, "precondition_required", 1)
    assert (stale.status_code, stale.json()["code"], stale.json()["current"]) == (412, "revision_conflict", 1)
    assert (fitting.status_code, fitting.headers["etag"]) == (200, '"2"')
    assert (late.status_code, late.json()["current"]) == (412, 2)
    assert (await service.client.get("/graphs/made")).json()["definition"]["name"] == "Second"


@pytest.mark.bad_input(35)
@pytest.mark.parametrize(
    ("if_match", "status"),
    [
        ("*", 200),
        ('"2"', 200),
        ('"1", "2"', 200),
        (['"1"', '"2"'], 200),
        (',"2" ,,', 200),
        ('"1"', 412),
        ('"2-yaml"', 200),
        ('W/"2"', 412),
        ('"1-yaml"', 412),
        ('"2-json"', 412),
        ('"02"', 412),
        ('"other", ""', 412),
        ('"' + "9" * 5_000 + '"', 412),
        ("2", 400),
        ('"2', 400),
        ("", 400),
        (",", 400),
        ('*, "2"', 400),
        ('"2" "1"', 400),
        ("w/'2'", 400),
    ],
)
async def test_if_match_is_read_as_it_is_defined(service: Service, if_match: str | list[str], status: int) -> None:
    await make_versions(service, 2)

    answer = await put(service, if_match, name="Third")

    assert answer.status_code == status
    assert answer.status_code != 400 or answer.json()["code"] == "bad_request"
    newest = (await service.client.get("/graphs/made")).json()["version"]
    assert newest == (3 if status == 200 else 2)


@on_each_database
@pytest.mark.bad_input(35)
async def test_of_changes_made_for_one_version_exactly_one_wins(service: Service) -> None:
    await make_versions(service, 1)

    answers = await asyncio.gather(*(put(service, '"1"', name=f"Racer {number}") for number in range(20)))

    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 19
    newest = (await service.client.get("/graphs/made")).json()
    winner = next(answer for answer in answers if answer.status_code == 200)
    assert (newest["version"], newest["definition"]) == (2, winner.json()["definition"])


@on_each_database
@pytest.mark.bad_input(35)
async def test_of_puts_that_make_a_graph_exactly_one_makes_it(service: Service) -> None:
    answers = await asyncio.gather(*(put(service, name=f"Racer {number}") for number in range(10)))

    assert sorted(answer.status_code for answer in answers) == [201] + [428] * 9
    assert (await service.client.get("/graphs/made")).json()["version"] == 1


async def test_a_put_with_if_match_makes_no_graph(service: Service) -> None:
    for if_match in ("*", '"1"'):
        answer = await put(service, if_match)
        assert (answer.status_code, answer.json()["current"]) == (412, 0)


async def test_a_put_may_say_that_it_only_makes_a_graph(service: Service) -> None:
    only_new = {"If-None-Match": "*"}
    first = await service.client.put("/graphs/made", json=definition(), headers=only_new)
    second = await service.client.put("/graphs/made", json=definition(name="Second"), headers=only_new)
    tagged = await service.client.put("/graphs/made", json=definition(), headers={"If-None-Match": '"1"'})

    assert [answer.status_code for answer in (first, second, tagged)] == [201, 412, 400]


@pytest.mark.parametrize("address", ["/graphs/made", "/graphs/made/versions/2"])
@pytest.mark.parametrize("known", ['"2"', 'W/"2"', '"1", "2"', "*"])
async def test_what_the_caller_has_already_is_not_sent_again(service: Service, address: str, known: str) -> None:
    await make_versions(service, 2)

    answer = await service.client.get(address, headers={"If-None-Match": known})

    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", '"2"')


@pytest.mark.parametrize("known", ['"1"', "2", "", '"'])
async def test_what_the_caller_has_not_is_sent(service: Service, known: str) -> None:
    await make_versions(service, 2)

    answer = await service.client.get("/graphs/made", headers={"If-None-Match": known})

    assert (answer.status_code, answer.headers["etag"], answer.json()["version"]) == (200, '"2"', 2)


async def test_a_deletion_may_say_which_version_it_was_made_for(service: Service) -> None:
    await make_versions(service, 2)

    stale = await service.client.delete("/graphs/made", headers={"If-Match": '"1"'})
    broken = await service.client.delete("/graphs/made", headers={"If-Match": "1"})
    fitting = await service.client.delete("/graphs/made", headers={"If-Match": '"2"'})

    assert (stale.status_code, stale.json()["current"]) == (412, 2)
    assert (broken.status_code, fitting.status_code) == (400, 204)


async def test_an_old_version_is_brought_back_by_storing_its_definition_again(service: Service) -> None:
    await make_versions(service, 3)
    first = (await service.client.get("/graphs/made/versions/1")).json()["definition"]

    restored = await service.client.put("/graphs/made", json=first, headers={"If-Match": '"3"'})

    digests = [item["digest"] for item in (await service.client.get("/graphs/made/versions")).json()["items"]]
    assert (restored.status_code, restored.headers["etag"]) == (200, '"4"')
    assert digests[0] == digests[3]
    assert len(set(digests)) == 3


async def test_a_version_is_yaml_for_whoever_accepts_that(service: Service) -> None:
    await make_versions(service, 2)
    yaml = {"Accept": "application/yaml"}

    answer = await service.client.get("/graphs/made/versions/1", headers=yaml)
    known = await service.client.get("/graphs/made/versions/1", headers={**yaml, "If-None-Match": '"1-yaml"'})
    in_json = await service.client.get("/graphs/made/versions/1", headers={**yaml, "If-None-Match": '"1"'})
    in_yaml = await service.client.get("/graphs/made/versions/1", headers={"If-None-Match": '"1-yaml"'})
    changed = await put(service, '"2-yaml"', name="Third")

    assert answer.headers["content-type"].startswith("application/yaml")
    assert read_document(answer.content, "yaml").value == (await service.client.get("/graphs/made/versions/1")).json()
    assert (answer.headers["etag"], answer.headers["vary"]) == ('"1-yaml"', "Accept")
    assert (known.status_code, known.headers["etag"], known.headers["vary"]) == (304, '"1-yaml"', "Accept")
    assert (in_json.status_code, in_json.content) == (200, answer.content)
    assert (in_yaml.status_code, in_yaml.headers["etag"]) == (200, '"1"')
    assert (changed.status_code, changed.headers["etag"]) == (200, '"3"')


async def test_a_graph_that_is_made_again_goes_on_counting(service: Service) -> None:
    await make_versions(service, 2)
    await service.client.delete("/graphs/made")

    again = await service.client.post("/graphs", json=definition())

    assert (again.status_code, again.headers["etag"]) == (201, '"3"')


@pytest.mark.bad_input(35)
async def test_a_running_execution_keeps_its_version(service: Service) -> None:
    delay = {"id": "n", "type": "delay", "config": {"seconds": 600}}
    await service.client.post("/graphs", json={"id": "made", "nodes": [delay]})
    execution = await service.start("made")

    replaced = await put(service, '"1"')

    assert replaced.json()["version"] == 2
    running = (await service.client.get(f"/executions/{execution}")).json()
    assert (running["graph_version"], running["status"]) == (1, "running")
    await service.client.post(f"/executions/{execution}/cancel")
    await service.events(execution)
