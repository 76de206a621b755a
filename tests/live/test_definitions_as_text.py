"""Definitions as JSON and YAML over HTTP: taken, refused with their places, and given back."""

from typing import Any

import httpx
import pytest

from graphwire.graphs.documents import read_document
from tests.live.serving import Service

YAML = """\
# Hello in three lines
id: greeting
name: 'no'
nodes:
  - {id: hello, type: template, config: {text: "Hello, {{ state.name }}!"}}
  - id: measure
    type: transform
    config: {set: {length: len(state.hello)}}
edges: [{source: hello, target: measure}]
state:
  initial: {name: world, version: 012, since: 2026-01-31}
"""
READ = {
    "id": "greeting",
    "name": "no",
    "nodes": [
        {"id": "hello", "type": "template", "config": {"text": "Hello, {{ state.name }}!"}},
        {"id": "measure", "type": "transform", "config": {"set": {"length": "len(state.hello)"}}},
    ],
    "edges": [{"source": "hello", "target": "measure"}],
    "state": {"initial": {"name": "world", "version": "012", "since": "2026-01-31"}},
}


async def send(
    service: Service, text: str | bytes, *, media_type: str = "application/yaml", method: str = "POST"
) -> httpx.Response:
    path = "/graphs" if method == "POST" else "/graphs/greeting"
    return await service.client.request(method, path, content=text, headers={"Content-Type": media_type})


async def refused(service: Service, text: str | bytes, **how: str) -> tuple[int, str, list[dict[str, Any]]]:
    answer = await send(service, text, **how)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.elapsed.total_seconds() < 5
    return answer.status_code, answer.json()["code"], answer.json().get("errors", [])


@pytest.mark.bad_input(15)
@pytest.mark.parametrize("media_type", ["application/yaml", "application/x-yaml", "text/yaml; charset=utf-8"])
async def test_a_definition_in_yaml_is_the_same_as_in_json(service: Service, media_type: str) -> None:
    created = await send(service, YAML, media_type=media_type)
    again = await service.client.put("/graphs/greeting", json=READ, headers={"If-Match": '"1"'})
    finished = await service.run("greeting", state={"name": "Ada"})

    assert created.status_code == 201, created.text
    assert again.json()["version"] == 1  # it changes nothing
    assert finished["state"]["length"] == 11
    assert finished["state"]["since"] == "2026-01-31"


async def test_whoever_accepts_yaml_gets_yaml(service: Service) -> None:
    await send(service, YAML)
    in_json = await service.client.get("/graphs/greeting")

    in_yaml = await service.client.get("/graphs/greeting", headers={"Accept": "application/yaml"})
    listed = await service.client.get("/graphs", headers={"Accept": "application/yaml, application/json;q=0.5"})

    assert in_json.headers["content-type"] == "application/json"
    assert in_yaml.headers["content-type"] == "application/yaml"
    assert in_yaml.headers["vary"] == in_json.headers["vary"] == "Accept"
    assert read_document(in_yaml.content, "yaml").value == in_json.json()
    assert "greeting" in [graph["id"] for graph in read_document(listed.content, "yaml").value["items"]]


async def test_a_definition_that_was_given_as_yaml_is_taken_back(service: Service) -> None:
    await send(service, YAML)
    shown = await service.client.get("/graphs/greeting", headers={"Accept": "application/yaml"})
    lines = shown.text.split("definition:\n")[1].split("\nwarnings:")[0].splitlines()
    definition = "\n".join(line.removeprefix("  ") for line in lines)

    headers = {"Content-Type": "application/yaml", "If-Match": "*", "Accept": "application/yaml"}
    changed = await service.client.put("/graphs/greeting", content=definition, headers=headers)

    assert changed.status_code == 200, changed.text
    assert read_document(changed.content, "yaml").value["version"] == 1


async def test_problems_of_a_definition_have_their_places_in_both_formats(service: Service) -> None:
    in_yaml = "id: x\nnodes:\n  - id: a\n    type: tranform\n  - {id: b, typ: transform}\n"
    in_json = '{"id": "x",\n "nodes": [\n {"id": "a", "type": "tranform"},\n {"id": "b", "typ": "transform"}]}'

    for text, media_type, places in [
        (in_yaml, "application/yaml", {"/nodes/0/type": (4, 11), "/nodes/1/typ": (5, 13), "/nodes/1/type": (5, 5)}),
        (in_json, "application/json", {"/nodes/0/type": (3, 22), "/nodes/1/typ": (4, 14), "/nodes/1/type": (4, 2)}),
    ]:
        status, code, errors = await refused(service, text, media_type=media_type)

        assert (status, code) == (422, "graph_invalid")
        assert {error["pointer"]: (error["line"], error["column"]) for error in errors} == places


async def test_a_fault_in_an_expression_is_placed_in_the_document(service: Service) -> None:
    text = YAML.replace("len(state.hello)", "len(state.hello")

    status, _, errors = await refused(service, text)

    assert status == 422
    assert [(error["line"], error["column"]) for error in errors] == [(8, 31)]


@pytest.mark.bad_input(4, 5, 13, 14, 16)
@pytest.mark.parametrize(
    ("text", "status", "code", "place"),
    [
        ("id: x\nid: y", 400, "duplicate_key", (2, 1)),
        ("id: !!python/object/apply:os.system [ls]", 400, "yaml_tag", (1, 5)),
        ("id: &a {b: *a}", 422, "yaml_alias_limit", (1, 12)),
        ("a: &a [1]\nb: {<<: *a}", 422, "yaml_alias_limit", (2, 5)),
        ("id:\n\tx: 1", 400, "malformed_yaml", (2, 1)),
        ("id: x\n---\nid: y", 400, "malformed_yaml", (2, 1)),
        ("[" * 20_000, 422, "too_deep", (1, 101)),
        ("? [a]\n: b", 400, "malformed_yaml", (1, 3)),
        ("id: !!set\n  ? x", 400, "yaml_tag", (1, 5)),
        ("", 400, "malformed_yaml", (1, 1)),
        ("id: 'x", 400, "malformed_yaml", (1, 5)),
        ('id: "\\ud800"', 400, "invalid_text", (1, 6)),
    ],
)
async def test_what_yaml_may_not_be_is_refused_with_its_place(
    service: Service, text: str, status: int, code: str, place: tuple[int, int]
) -> None:
    for method in ("POST", "PUT"):
        *found, errors = await refused(service, text, method=method)

        assert found == [status, code]
        assert (errors[0]["line"], errors[0]["column"]) == place


@pytest.mark.bad_input(14)
async def test_an_alias_bomb_is_refused(service: Service) -> None:
    lines = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}' if n else 'x'] * 9)}]" for n in range(10)]

    status, code, errors = await refused(service, "\n".join(lines))

    assert (status, code, errors[0]["line"]) == (422, "yaml_alias_limit", 4)


@pytest.mark.bad_input(19)
@pytest.mark.parametrize(
    "media_type",
    ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "yaml",
     "application/yaml; charset=utf-16", "application/octet-stream", "application/problem+json"],
)  # fmt: skip
async def test_a_definition_of_another_type_is_refused_and_both_that_are_taken_are_listed(
    service: Service, media_type: str
) -> None:
    answer = await send(service, YAML, media_type=media_type)

    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert answer.json()["allowed"] == ["application/json", "application/yaml"]


@pytest.mark.bad_input(19)
async def test_a_type_that_lies_is_believed(service: Service) -> None:
    as_json = await refused(service, YAML, media_type="application/json")
    started = await service.client.post(
        "/graphs/chain/execute", content="state: {}", headers={"Content-Type": "application/yaml"}
    )

    assert as_json[:2] == (400, "malformed_json")
    assert (started.status_code, started.json()["allowed"]) == (415, ["application/json"])


async def test_validation_places_problems_and_warnings(service: Service) -> None:
    text = YAML.replace("edges:", "entry: [hello]\nedges:").replace("target: measure", "target: mesure")

    answer = await service.client.post(
        "/graphs/validate", content=text, headers={"Content-Type": "application/yaml", "Accept": "application/yaml"}
    )
    found = read_document(answer.content, "yaml").value

    assert (answer.status_code, found["valid"]) == (200, False)
    assert [(each["pointer"], each["line"], each["column"]) for each in found["problems"]] == [
        ("/edges/0/target", 10, 33)
    ]
