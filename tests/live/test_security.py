"""Keys: who has none is told nothing, and who guesses is not heard for long."""

import asyncio
import base64
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from app.main import create_app
from app.settings import Settings
from tests.live.serving import Service, connection, request, serving
from tests.waiting import PATIENCE_S

KEY = "the-first-of-the-keys"
RIGHT = {"Authorization": f"Bearer {KEY}"}


@pytest_asyncio.fixture
async def locked(tmp_path: Path) -> AsyncIterator[Service]:
    async with serving(tmp_path, api_key=f"{KEY}, the-second+of+the/keys==") as running:
        yield running


def routes() -> list[tuple[str, str]]:
    paths = create_app(Settings()).openapi()["paths"]
    return [(method.upper(), path) for path, operations in paths.items() for method in operations]


async def test_every_route_but_health_asks_for_the_key(locked: Service) -> None:
    others = [("GET", path) for path in ("/", "/docs", "/docs/swagger-ui.css", "/openapi.json", "/nothing")]
    for method, path in [*routes(), *others, ("OPTIONS", "/graphs"), ("PATCH", "/graphs")]:
        answer = await locked.client.request(method, path)
        if path.startswith("/health/"):
            assert answer.status_code == 200
        else:
            assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized"), (method, path)
            assert answer.headers["www-authenticate"] == "Bearer"
            assert answer.json()["request_id"] == answer.headers["x-request-id"]


async def test_each_of_the_keys_opens(locked: Service) -> None:
    for value in (f"Bearer {KEY}", f"bearer  {KEY}", "Bearer the-second+of+the/keys=="):
        assert (await locked.client.get("/graphs", headers={"Authorization": value})).status_code == 200
    execution = (await locked.client.post("/graphs/chain/execute/wait", headers=RIGHT)).json()
    stream = await locked.client.get(f"/executions/{execution['id']}/events", headers=RIGHT)
    assert b"event: stream_end" in stream.content


async def test_a_wrong_key_is_told_no_more_than_none(locked: Service) -> None:
    texts = set()
    wrong = ("Bearer wrong", "Bearer", "Bearer =", f"Bearer {KEY}x", f"Bearer {KEY[:-1]}", KEY, f"Digest {KEY}")
    for value in (None, *wrong):
        answer = await locked.client.get("/graphs", headers={} if value is None else {"Authorization": value})
        assert answer.status_code == 401, value
        texts.add(answer.json()["detail"])
    assert len(texts) == 1


async def test_a_body_is_not_read_without_the_key(locked: Service) -> None:
    async with asyncio.timeout(PATIENCE_S), connection(locked.port) as raw:
        await raw.send(request("POST", "/graphs", Content_Type="application/json", Content_Length="5000000"))
        status, headers, _ = await raw.answer()

    assert (status, headers["connection"]) == (401, "close")


async def test_a_browser_is_asked_for_the_key_as_a_password(locked: Service) -> None:
    refused = await locked.client.get("/docs", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    login = base64.b64encode(f"anybody:{KEY}".encode()).decode()
    opened = await locked.client.get("/docs", headers={"Authorization": f"Basic {login}"})

    assert (refused.status_code, opened.status_code) == (401, 200)
    assert refused.headers["www-authenticate"] == 'Basic realm="Graphwire", charset="UTF-8"'
    by_the_page = await locked.client.get("/openapi.json", headers={"Sec-Fetch-Site": "same-origin"})
    assert by_the_page.headers["www-authenticate"] == 'Basic realm="Graphwire", charset="UTF-8"'
    for junk in ("!!", base64.b64encode(KEY.encode()).decode(), base64.b64encode(b"x:wrong").decode()):
        answer = await locked.client.get("/docs", headers={"Authorization": f"Basic {junk}"})
        assert answer.status_code == 401


async def test_the_description_of_the_api_says_that_it_asks_for_a_key(locked: Service, tmp_path: Path) -> None:
    schema = (await locked.client.get("/openapi.json", headers=RIGHT)).json()

    assert schema["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    assert schema["security"] == [{"key": []}]
    assert schema["paths"]["/health/live"]["get"]["security"] == []
    assert "401" in schema["paths"]["/graphs"]["get"]["responses"]
    assert "security" not in create_app(Settings()).openapi()


@pytest.mark.bad_input(121)
async def test_a_key_in_the_address_is_refused_and_not_logged(
    locked: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("api_key", "key", "token", "access_token", "API_KEY", "%6bey"):
        for path in ("/graphs", "/nothing", "/docs"):
            answer = await locked.client.get(f"{path}?a=1&{name}={KEY}", headers=RIGHT)
            assert (answer.status_code, answer.json()["code"]) == (400, "misplaced_key")
            assert KEY not in answer.text

    lines = [record.getMessage() for record in caplog.records if record.name.startswith("app.")]
    assert len(lines) == 18
    assert all("(parameter " in line for line in lines)
    assert not [record for record in caplog.records if KEY in record.getMessage() and "httpx" not in record.name]


@pytest.mark.bad_input(121)
async def test_a_key_in_two_headers_is_refused(locked: Service, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    twice = [("Authorization", f"Bearer {KEY}"), ("Authorization", f"Bearer {KEY}")]
    answer = await locked.client.get("/graphs", headers=twice)

    assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert KEY not in answer.text
    assert not [record for record in caplog.records if KEY in record.getMessage()]


@pytest.mark.bad_input(121)
async def test_a_key_in_a_body_opens_nothing_and_is_not_repeated(
    locked: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    closed = await locked.client.post("/graphs/chain/execute", json={"api_key": KEY})
    opened = await locked.client.post("/graphs/chain/execute", json={"api_key": KEY}, headers=RIGHT)

    assert (closed.status_code, opened.status_code) == (401, 422)
    assert [error["pointer"] for error in opened.json()["errors"]] == ["/api_key"]
    assert KEY not in opened.text
    assert not [record for record in caplog.records if KEY in record.getMessage()]


@pytest.mark.bad_input(124)
async def test_who_guesses_is_not_heard_for_a_while(locked: Service) -> None:
    wrong = {"Authorization": "Bearer guess"}
    first = [await locked.client.get("/graphs", headers=wrong) for _ in range(10)]
    later = [await locked.client.get("/graphs", headers=headers) for headers in (wrong, RIGHT, {})]

    assert {answer.status_code for answer in first} == {401}
    for answer in later:
        assert (answer.status_code, answer.json()["code"]) == (429, "too_many_failures")
        assert 50 <= int(answer.headers["retry-after"]) <= 60
    assert (await locked.client.get("/health/ready")).status_code == 200


@pytest.mark.bad_input(52, 124)
async def test_another_address_cannot_be_claimed(locked: Service) -> None:
    for number in range(10):
        headers = {"Authorization": "Bearer guess", "X-Forwarded-For": f"10.0.0.{number}", "Forwarded": "for=10.0.0.1"}
        assert (await locked.client.get("/graphs", headers=headers)).status_code == 401
    assert (await locked.client.get("/graphs", headers=headers)).status_code == 429


@pytest.mark.bad_input(124)
async def test_an_address_that_had_the_right_key_is_not_locked_out_by_those_who_share_it(locked: Service) -> None:
    await locked.client.get("/graphs", headers=RIGHT)
    wrong = {"Authorization": "Bearer guess"}
    statuses = [(await locked.client.get("/graphs", headers=wrong)).status_code for _ in range(11)]

    assert statuses == [401] * 10 + [429]
    assert (await locked.client.get("/graphs", headers=RIGHT)).status_code == 200


async def test_requests_without_a_key_are_no_guesses(locked: Service) -> None:
    statuses = {(await locked.client.get("/graphs")).status_code for _ in range(20)}

    assert statuses == {401}
    assert (await locked.client.get("/graphs", headers=RIGHT)).status_code == 200


def serve(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Start the service as its command does; it is to refuse."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GRAPHWIRE_")}
    command = [sys.executable, "-m", "app", "serve", *arguments]
    environment = {**clean, **environment}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.bad_input(126)
def test_the_service_is_not_opened_to_others_without_a_key() -> None:
    refused = serve("--host", "0.0.0.0", "--port", "0")

    assert refused.returncode == 2
    assert "GRAPHWIRE_API_KEY=" in refused.stderr
    assert "GRAPHWIRE_ALLOW_OPEN=1" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.bad_input(126)
def test_a_key_that_cannot_be_sent_is_refused_and_not_shown() -> None:
    refused = serve("--host", "0.0.0.0", GRAPHWIRE_API_KEY="secret key")

    assert refused.returncode == 2
    assert "GRAPHWIRE_API_KEY" in refused.stderr
    assert "secret" not in refused.stderr


@pytest.mark.bad_input(124, 126)
def test_a_key_that_is_short_enough_to_guess_is_refused_and_not_shown() -> None:
    refused = serve(GRAPHWIRE_API_KEY="0123456789abcdef,fifteen-letters")

    assert refused.returncode == 2
    assert "a key has at least 16 characters" in refused.stderr
    assert "fifteen" not in refused.stderr


@pytest.mark.bad_input(126)
async def test_it_can_be_forced_open_and_then_answers_for_addresses_and_names_that_are_allowed(tmp_path: Path) -> None:
    async with serving(tmp_path, host="0.0.0.0", allow_open=True, allowed_hosts=("graphs.example",)) as service:
        for name in ("graphs.example", "10.0.0.1:8000", "[fe80::1]:80", "localhost"):
            assert (await service.client.get("/graphs", headers={"Host": name})).status_code == 200
        rebound = {"Host": "evil.example", "Origin": "http://evil.example"}
        assert (await service.client.get("/graphs", headers=rebound)).status_code == 421
        foreign = await service.client.get("/graphs", headers={"Origin": "https://evil.example"})
    assert foreign.status_code == 403
