"""In whose name a request comes: hosts, origins, and what a proxy claims."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from app.services.executions import ExecutionService
from tests.live.serving import Service, connection, serving
from tests.waiting import PATIENCE_S

KEY = "the-key-of-these-tests"
PAGE = "https://page.example"


async def ask(
    service: Service, *headers: str, target: str = "/graphs", method: str = "GET"
) -> tuple[int, dict[str, str], Any]:
    """Send exactly these headers; return the answer."""
    async with asyncio.timeout(PATIENCE_S), connection(service.port) as raw:
        await raw.send("\r\n".join([f"{method} {target} HTTP/1.1", *headers, "", ""]).encode("latin-1"))
        status, found, body = await raw.answer()
    is_json = found.get("content-type", "").endswith("json")
    return status, found, json.loads(body) if is_json else body


@pytest.mark.bad_input(51)
async def test_without_a_key_only_the_names_of_this_machine_are_answered(service: Service) -> None:
    for name in ("localhost", "127.0.0.1", "[::1]", "LocalHost"):
        for port in ("", ":80", f":{service.port}"):
            assert (await ask(service, f"Host: {name}{port}"))[0] == 200

    names = "evil.example localhost.evil.example localhost. 127.0.0.1.evil.example 0.0.0.0 2130706433 [::]"
    for name in names.split():
        status, _, problem = await ask(service, f"Host: {name}:{service.port}")
        assert (status, problem["code"]) == (421, "misdirected_request"), name
        assert name not in json.dumps(problem)


@pytest.mark.bad_input(51)
async def test_what_is_no_host_is_refused(service: Service) -> None:
    for host in (
        "localhost?x", "localhost/x", "localhost#x", "local host", "me@localhost", "me:secret@localhost", "localhost:",
        "localhost:x", "localhost:80:80", "::1", "[::1", "[::1]x", "", "localhost,evil.example", "\u00fc.example",
    ):  # fmt: skip
        status, headers, problem = await ask(service, f"Host: {host}")
        assert (status, problem["code"], headers["connection"]) == (400, "bad_request", "close"), host


@pytest.mark.bad_input(51)
async def test_a_request_names_exactly_one_host(service: Service) -> None:
    none = await ask(service)
    two = await ask(service, "Host: localhost", "Host: localhost")
    other = await ask(service, "Host: localhost", "host: evil.example")

    assert [answer[0] for answer in (none, two, other)] == [400, 400, 400]


@pytest.mark.bad_input(51)
async def test_a_target_with_a_host_must_name_that_of_the_header(service: Service) -> None:
    host = f"localhost:{service.port}"
    same = await ask(service, f"Host: {host}", target=f"http://{host}/graphs")
    refused = [
        await ask(service, f"Host: {host}", target=target)
        for target in (
            "http://evil.example/graphs", f"http://me@{host}/graphs", f"http://{host}", f"ftp://{host}/graphs",
            f"http://{host}/graphs#x", "graphs", f"//{host}\\graphs", "?graphs",
        )
    ]  # fmt: skip

    assert same[0] == 200
    assert {answer[0] for answer in refused} <= {400, 404}
    assert refused[0][0] == 400


@pytest.mark.bad_input(51)
async def test_addresses_in_answers_never_hold_a_host(tmp_path: Path) -> None:
    async with serving(tmp_path, api_key=KEY) as service:
        status, headers, body = await ask(
            service, "Host: evil.example", f"Authorization: Bearer {KEY}", "Content-Length: 0",
            target="/graphs/chain/execute", method="POST",
        )  # fmt: skip
        listed = await ask(service, "Host: evil.example", f"Authorization: Bearer {KEY}", target="/executions?limit=1")

    assert status == 202
    assert headers["location"] == f"/executions/{body['id']}"
    assert "evil" not in f"{headers}{body}{listed}"


@pytest.mark.bad_input(51)
async def test_an_operator_names_the_hosts_of_the_service(tmp_path: Path) -> None:
    async with serving(tmp_path, allowed_hosts=("graphs.example",), api_key=KEY) as service:
        named = await ask(service, "Host: Graphs.Example:8443", target="/health/live")
        local = await ask(service, "Host: 127.0.0.1", target="/health/live")
        other = await ask(service, "Host: evil.example", target="/health/live")

    assert [answer[0] for answer in (named, local, other)] == [200, 200, 421]


@pytest.mark.bad_input(52)
async def test_what_a_proxy_claims_is_ignored(service: Service) -> None:
    good = f"Host: localhost:{service.port}"
    claims = (
        "X-Forwarded-Host: evil.example",
        "X-Forwarded-Proto: https",
        "X-Forwarded-For: 1.2.3.4, junk",
        "X-Forwarded-Prefix: /evil",
        "Forwarded: host=evil.example;proto=https",
    )

    plain = await ask(service, good, "Content-Length: 0", target="/graphs/chain/execute", method="POST")
    claimed = await ask(service, good, "Content-Length: 0", *claims, target="/graphs/chain/execute", method="POST")
    as_host = await ask(service, "Host: evil.example", "X-Forwarded-Host: localhost")
    as_page = await ask(service, good, *claims, "Origin: https://evil.example")

    assert plain[0] == claimed[0] == 202
    assert claimed[1]["location"] == f"/executions/{claimed[2]['id']}"
    assert "evil" not in json.dumps(claimed[2])
    assert (as_host[0], as_page[0]) == (421, 403)


@pytest.mark.bad_input(125)
async def test_a_foreign_page_starts_and_reads_nothing(service: Service) -> None:
    own = f"http://localhost:{service.port}"
    host = f"Host: localhost:{service.port}"
    foreign = (
        *("https://evil.example", "null", "", "file://", "http://localhost", f"http://127.0.0.1:{service.port}"),
        *(own.replace("localhost", "localhost.evil.example"), own.replace("http:", "https:")),
        *(own + "/", own + "1", f"{own} {own}"),
    )
    for origin in foreign:
        for method, target in (("POST", "/graphs/chain/execute"), ("GET", "/graphs"), ("GET", "/health/live")):
            sent = (host, f"Origin: {origin}", "Cookie: session=1", "Content-Length: 0")
            status, headers, problem = await ask(service, *sent, method=method, target=target)
            assert (status, problem["code"]) == (403, "origin_not_allowed"), (origin, target)
            assert "access-control-allow-origin" not in headers

    assert (await service.client.get("/executions")).json()["items"] == []
    started = await ask(
        service, host, f"Origin: {own}", "Content-Length: 0", method="POST", target="/graphs/chain/execute"
    )
    assert started[0] == 202


@pytest.mark.bad_input(125)
async def test_a_simple_form_starts_nothing_even_without_an_origin(service: Service) -> None:
    for media_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        answer = await service.client.post(
            "/graphs/chain/execute", content=b'{"state": {}}', headers={"Content-Type": media_type}
        )
        assert answer.status_code == 415
    assert (await service.client.get("/executions")).json()["items"] == []


async def test_cors_is_off_by_default(service: Service) -> None:
    status, headers, _ = await ask(
        service, f"Host: localhost:{service.port}", f"Origin: {PAGE}", "Access-Control-Request-Method: POST",
        method="OPTIONS",
    )  # fmt: skip

    assert status == 403
    assert not [name for name in headers if name.startswith("access-control")]


async def test_a_page_of_a_named_origin_may_ask_beforehand_what_it_may_send(tmp_path: Path) -> None:
    wanted = "authorization,content-type,idempotency-key,if-match,if-none-match,last-event-id"
    async with serving(tmp_path, cors_origins=(PAGE,), api_key=KEY) as service:
        status, headers, _ = await ask(
            service, "Host: graphs.example", f"Origin: {PAGE}", "Access-Control-Request-Method: POST",
            f"Access-Control-Request-Headers: {wanted}", target="/graphs/chain/execute/stream", method="OPTIONS",
        )  # fmt: skip
        foreign = await ask(
            service, "Host: graphs.example", "Origin: https://evil.example", "Access-Control-Request-Method: POST",
            method="OPTIONS",
        )  # fmt: skip
        odd = await ask(
            service, "Host: graphs.example", f"Origin: {PAGE}", "Access-Control-Request-Method: POST",
            "Access-Control-Request-Headers: x-odd", method="OPTIONS",
        )  # fmt: skip

    assert (status, headers["access-control-allow-origin"]) == (200, PAGE)
    assert set(wanted.split(",")) <= set(headers["access-control-allow-headers"].split(", "))
    assert {"post", "put", "delete"} <= set(headers["access-control-allow-methods"].split(", "))
    assert "origin" in headers["vary"]
    assert "access-control-allow-credentials" not in headers
    assert (foreign[0], foreign[2]["code"]) == (403, "origin_not_allowed")
    assert "access-control-allow-origin" not in foreign[1]
    assert (odd[0], odd[2]["code"]) == (400, "bad_request")
    assert odd[2]["request_id"] == odd[1]["x-request-id"]


async def test_a_page_of_a_named_origin_can_read_answers_refusals_and_streams(tmp_path: Path) -> None:
    page = {"Origin": PAGE, "Authorization": f"Bearer {KEY}"}
    async with serving(tmp_path, cors_origins=(PAGE,), api_key=KEY) as service:
        stream = await service.client.post("/graphs/chain/execute/stream", headers=page)
        answers = [
            stream,
            await service.client.get("/graphs", headers=page),
            await service.client.get("/graphs", headers={"Origin": PAGE}),
            await service.client.get("/nothing", headers=page),
            await service.client.post("/graphs", content=b"{", headers={**page, "Content-Type": "application/json"}),
        ]

    assert [answer.status_code for answer in answers] == [200, 200, 401, 404, 400]
    assert b"event: stream_end" in stream.content
    for answer in answers:
        exposed = set(answer.headers["access-control-expose-headers"].split(", "))
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert "Origin" in answer.headers["vary"]
        assert exposed == {"ETag", "Link", "Location", "Retry-After", "X-Request-Id"}


async def test_a_page_of_a_named_origin_can_read_what_no_route_sees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("out of order")

    monkeypatch.setattr(ExecutionService, "list", fail)
    async with serving(tmp_path, cors_origins=(PAGE,), max_body_bytes=1_024) as service:
        good = ("Host: localhost", f"Origin: {PAGE}")
        answers = [
            await ask(service, "Host: evil.example", f"Origin: {PAGE}"),
            await ask(service, *good, target="/graphs/a%2fb"),
            await ask(service, *good, target="/graphs/%ff"),
            await ask(service, *good, "Last-Event-ID: 1", "Last-Event-ID: 2"),
            await ask(service, *good, "Content-Length: 1025", method="POST"),
            await ask(service, *good, target="/executions"),
        ]
        foreign = await ask(service, "Host: localhost", "Origin: https://evil.example")

    assert [answer[0] for answer in answers] == [421, 404, 400, 400, 413, 500]
    for status, headers, problem in answers:
        assert headers.get("access-control-allow-origin") == PAGE, status
        assert headers["vary"] == "origin"
        assert "x-request-id" in headers["access-control-expose-headers"]
        assert problem["request_id"] == headers["x-request-id"]
    assert foreign[0] == 403
    assert "access-control-allow-origin" not in foreign[1]
