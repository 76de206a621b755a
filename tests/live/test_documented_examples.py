"""What the OpenAPI page shows as an example works as it stands."""

from typing import Any

from tests.live.serving import Service


def example(document: Any, path: str, method: str) -> Any:
    return document["paths"][path][method]["requestBody"]["content"]["application/json"]["example"]


async def test_every_body_that_is_described_has_an_example(service: Service) -> None:
    document = (await service.client.get("/openapi.json")).json()

    operations = [each for path in document["paths"].values() for each in path.values() if "requestBody" in each]

    assert len(operations) >= 6
    for operation in operations:
        assert operation["requestBody"]["content"]["application/json"]["example"], operation["operationId"]


async def test_the_examples_run(service: Service) -> None:
    document = (await service.client.get("/openapi.json")).json()
    graph = example(document, "/graphs", "post")
    start = example(document, "/graphs/{graph_id}/execute", "post")

    created = await service.client.post("/graphs", json=graph)
    changed = await service.client.put(
        f"/graphs/{graph['id']}",
        json=example(document, "/graphs/{graph_id}", "put"),
        headers={"If-Match": created.headers["etag"]},
    )
    validated = await service.client.post("/graphs/validate", json=example(document, "/graphs/validate", "post"))
    finished = await service.client.post(f"/graphs/{graph['id']}/execute/wait", json=start)
    streamed = await service.client.post(f"/graphs/{graph['id']}/execute/stream", json=start)

    assert (created.status_code, changed.status_code) == (201, 200)
    assert validated.json()["valid"] is True
    assert finished.json()["state"]["offer"] == "Yours for 108.0"
    assert "event: stream_end" in streamed.text
    cancelled = await service.client.post(
        f"/executions/{finished.json()['id']}/cancel",
        json=example(document, "/executions/{execution_id}/cancel", "post"),
    )
    assert cancelled.json()["code"] == "command_not_allowed"
