import asyncio
import re

from tests.live.serving import Service, connection, request
from tests.waiting import PATIENCE_S


async def test_the_service_says_that_it_serves(service: Service) -> None:
    assert (await service.client.get("/health/live")).json() == {"status": "live"}
    assert (await service.client.get("/health/ready")).json() == {"status": "ready", "troubled_files": 0, "sinks": []}


async def test_what_is_not_there_is_a_problem(service: Service) -> None:
    answer = await service.client.get("/nothing/here")

    body = answer.json()
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert body == {
        "type": "/problems/not_found",
        "title": "Not found",
        "status": 404,
        "detail": body["detail"],
        "code": "not_found",
        "request_id": answer.headers["x-request-id"],
    }


async def test_a_method_that_is_not_offered_is_a_problem_that_says_which_are(service: Service) -> None:
    answer = await service.client.patch("/graphs")

    assert answer.status_code == 405
    assert answer.json()["code"] == "method_not_allowed"
    assert answer.json()["allowed"] == sorted(part.strip() for part in answer.headers["allow"].split(","))
    assert "POST" in answer.json()["allowed"]

    own = await service.client.post("/openapi.json")
    assert (own.status_code, own.json()["allowed"]) == (405, ["GET", "HEAD"])


async def test_head_is_answered_as_get_without_the_body(service: Service) -> None:
    own = {"date", "x-request-id"}
    paths = """/ /docs /openapi.json /health/live /health/ready /graphs /graphs/chain /graphs/chain/diagram /node-types
        /executions /problems/not_found /graphs/nothing /nothing""".split()
    async with asyncio.timeout(PATIENCE_S), connection(service.port) as raw:
        for path in paths:
            whole = await service.client.get(path)
            await raw.send(request("HEAD", path))
            status, headers = await raw.head()  # a byte of a body would be in the way of the next

            assert status == whole.status_code, path
            assert {name: value for name, value in headers.items() if name not in own} == {
                name: value.lower() for name, value in whole.headers.items() if name not in own
            }, path


async def test_head_does_not_count_as_a_reader_of_a_stream(service: Service) -> None:
    execution = (await service.client.post("/graphs/chain/execute/wait")).json()["id"]

    answer = await service.client.head(f"/executions/{execution}/events")
    event = await service.client.head(f"/executions/{execution}/events/1")
    start = await service.client.head("/graphs/chain/execute/stream")

    assert (answer.status_code, answer.headers["allow"], answer.content) == (405, "GET, POST", b"")
    assert event.status_code == 200
    assert (start.status_code, start.headers["allow"]) == (405, "POST")


async def test_an_address_is_never_redirected(service: Service) -> None:
    for path in ("/graphs/", "//graphs", "/graphs/chain/", "/%2e%2e/graphs", "/graphs/..%2f..%2fetc"):
        async with connection(service.port) as raw:
            await raw.send(request("GET", path))
            status, headers = await raw.head()
        assert status == 404, path
        assert "location" not in headers


async def test_the_description_of_the_api_is_whole(service: Service) -> None:
    schema = (await service.client.get("/openapi.json")).json()

    named = set(re.findall(r"#/components/schemas/([A-Za-z0-9_.]+)", str(schema)))
    assert named <= schema["components"]["schemas"].keys()
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            assert operation.get("description"), f"{method} {path}"
    start = schema["paths"]["/graphs/{graph_id}/execute"]["post"]
    assert "requestBody" in start
    assert {"202", "404", "409", "413", "415", "422", "429", "503"} <= start["responses"].keys()


async def test_junk_in_headers_is_ignored(service: Service) -> None:
    for name in ["X-Forwarded-For", "Accept-Language", "traceparent", "Cookie"]:
        async with connection(service.port) as raw:
            await raw.send(request("GET", "/health/live", None, **{name: "'\"<>,;=" * 50}))

            status, _ = await raw.head()

        assert status == 200


async def test_no_address_makes_the_service_fail(service: Service) -> None:
    execution = (await service.run("chain"))["id"]
    junk = ["x", "%00", "%ff", "a%2fb", "'", "..", "9" * 500, "%F0%9F%98%80", "-1", "null", "{}"]
    paths = [
        "/graphs/{}", "/graphs/{}/execute/stream", "/graphs/{}/diagram", "/executions/{}/events",
        "/executions/{}/cancel",
        f"/executions/{execution}/events?after={{0}}&types={{0}}", "/executions?after={0}", "/executions?q={0}",
        "/executions?graph={0}&since={0}", "/problems/{}", "/graphs?after={}",
    ]  # fmt: skip

    for method in ("GET", "POST", "DELETE"):
        for address in [path.format(each) for path in paths for each in junk]:
            async with service.client.stream(method, address) as answer:  # `..` leads to a stream that has no end
                assert answer.status_code < 500, (method, address)
                if answer.status_code >= 400:
                    assert answer.headers["content-type"] == "application/problem+json", (method, address)
