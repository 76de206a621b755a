"""Heads of requests as bytes on a socket: too large, ambiguous, or for nothing that there is."""

import asyncio
import json
from pathlib import Path

import pytest

from app.api import problems
from app.transports import heads
from tests.live.control import gates
from tests.live.serving import RawConnection, Service, connection, request, serving
from tests.waiting import PATIENCE_S

KEY = "the-key-of-these-tests"
HOST = b"Host: 127.0.0.1\r\n"
GET = b"GET /health/live HTTP/1.1\r\n" + HOST
POST = b"POST /graphs HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n"
AMBIGUOUS = [
    POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    CHUNKED + b"Content-Length: 4\r\n\r\n0\r\n\r\n",
    POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
    POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    POST + b"Content-Length: 2, 2\r\n\r\n{}",
    POST + b"Content-Length: -1\r\n\r\n",
    POST + b"Content-Length: +2\r\n\r\n{}",
    POST + b"Content-Length: 0x2\r\n\r\n{}",
    POST + b"Content-Length: 99999999999999999999999\r\n\r\n",
    POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    CHUNKED + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    CHUNKED.replace(b"1.1", b"1.0", 1) + b"\r\n0\r\n\r\n",
    CHUNKED + b"\r\n-1\r\n\r\n",
    CHUNKED + b"\r\n0x2\r\n{}\r\n0\r\n\r\n",
    CHUNKED + b"\r\nfffffffffffffffffff\r\n",
    CHUNKED + b"\r\n2\r\n{}xx0\r\n\r\n",
    CHUNKED + b"\r\n2\n{}\n0\n\n",
    GET + b"X-Odd : x\r\n\r\n",
    GET.replace(b"Host:", b"Host :") + b"\r\n",
    GET + b"X-Odd: a\r\n b\r\n\r\n",
    b"GET /health/live HTTP/1.1\r\n " + HOST + b"\r\n",
    GET + b"X-Odd: a\x00b\r\n\r\n",
    GET + b"X-\x00Odd: a\r\n\r\n",
    GET + b"X-Odd: a\x01b\r\n\r\n",
    GET + b"X-Odd: a\nX-Other: b\r\n\r\n",
    GET + b"X-Odd: a\rX-Other: b\r\n\r\n",
    GET + b"no colon\r\n\r\n",
    GET + b": no name\r\n\r\n",
    GET + HOST + b"\r\n",
    b"GET /health/live HTTP/1.1\nHost: 127.0.0.1\n\n",
    b"GET /health/live\r\n\r\n",
    GET.replace(b"1.1", b"2.0", 1) + b"\r\n",
    GET.replace(b"1.1", b"1.2", 1) + b"\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
]
NOWHERE = [
    "/../etc/passwd",
    "/graphs/../health/live",
    "/health/../graphs",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/graphs/%2e%2e",
    "/docs/..%2f..%2fsettings.py",
    "/graphs%2fchain",
    "/graphs/..%5c..%5cx",
    "/graphs/%00",
    "/graphs/chain%00",
    "/graphs/%0d%0aLocation:%20x",
    "//evil.example/graphs",
    "//graphs",
    "/graphs/",
    "/graphs/%zz",
    "/graphs/%",
]
UNREADABLE = [
    "/graphs/%ff",
    "/graphs/%c0%af",
    "/graphs/%ed%a0%80",
    "/graphs/\u00e9",
    "/health/live#x",
]


async def last_answer(port: int, data: bytes) -> tuple[int, dict[str, object]]:
    """Send bytes; return the answer, which has to be the last of its connection."""
    async with asyncio.timeout(PATIENCE_S), connection(port) as raw:
        await raw.send(data)
        status, headers, body = await raw.answer()
        assert headers["connection"] == "close"
        assert headers["content-type"] == "application/problem+json"
        assert await raw.reader.read() == b""
    return status, json.loads(body)


@pytest.mark.bad_input(49)
async def test_a_head_that_is_too_large_is_refused(service: Service) -> None:
    for data, refusal in [
        (b"GET /graphs?" + b"q" * 8_192 + b" HTTP/1.1\r\n" + HOST + b"\r\n", heads.ADDRESS_TOO_LONG),
        (b"GET /" + b"q" * 9_000, heads.ADDRESS_TOO_LONG),  # and no end
        (GET + b"X-Long: " + b"x" * 16_384 + b"\r\n\r\n", heads.HEADERS_TOO_LARGE),
        (GET + b"x" * 17_000 + b": x\r\n\r\n", heads.HEADERS_TOO_LARGE),
        (GET + b"X-Many: x\r\n" * 100 + b"\r\n", heads.HEADERS_TOO_LARGE),
        (GET + (b"X-Long: " + b"x" * 14_000 + b"\r\n") * 5 + b"\r\n", heads.HEADERS_TOO_LARGE),  # together
    ]:
        status, problem = await last_answer(service.port, data)

        assert (status, problem["code"], problem["detail"]) == (refusal.status, refusal.code, refusal.detail)


@pytest.mark.bad_input(49)
async def test_a_head_at_its_limits_is_taken(service: Service) -> None:
    address = b"GET /health/live?" + b"q" * (8_192 - len(b"/health/live?")) + b" HTTP/1.1\r\n" + HOST
    value = GET + b"X-Long: " + b"x" * (16_384 - len(b"X-Long")) + b"\r\n"
    number = GET + b"X-Many: x\r\n" * 99
    rest = 65_536 - len(b"Host127.0.0.1") - 4 * 16_384
    together = GET + (b"X-Long: " + b"x" * (16_384 - len(b"X-Long")) + b"\r\n") * 3
    together += b"X-Long: " + b"x" * (16_384 + rest - len(b"X-Long")) + b"\r\n"
    async with asyncio.timeout(PATIENCE_S), connection(service.port) as raw:
        for data in (address, value, number, together):
            await raw.send(data + b"\r\n")
            status, headers, _ = await raw.answer()

            assert status == 200
            assert "connection" not in headers


async def flood(raw: RawConnection, data: bytes, most: int) -> int:
    """Send the same bytes again and again until the connection ends; return how many were sent."""
    sent = 0
    while sent < most:
        try:
            await raw.send(data)
        except OSError:
            break
        sent += len(data)
    return sent


@pytest.mark.bad_input(49)
async def test_a_head_without_end_costs_no_more_than_its_limit(service: Service) -> None:
    chunked = CHUNKED + b"\r\n"
    for begin in (GET + b"X-Long: ", b"GET /", GET + b"X-", b"", chunked + b"2;", chunked + b"0\r\nX-Trailer: "):
        filler = b"x" * 8_192 if begin else b"\r\n" * 4_096
        async with asyncio.timeout(PATIENCE_S), connection(service.port) as raw:
            await raw.send(begin)
            sent = await flood(raw, filler, 50_000_000)

        assert sent < 20_000_000, begin  # most of it in the sockets' buffers


@pytest.mark.bad_input(50)
async def test_a_request_that_could_be_read_in_two_ways_is_refused(service: Service) -> None:
    for data in AMBIGUOUS:
        status, problem = await last_answer(service.port, data + GET + b"\r\n")

        assert (status, problem["code"]) == (400, "bad_request"), data


@pytest.mark.bad_input(50)
@pytest.mark.parametrize("form", ["text/event-stream", "application/x-ndjson"])
async def test_the_end_of_the_connection_ends_a_stream_to_an_old_client(service: Service, form: str) -> None:
    execution = (await service.run("chain"))["id"]
    address = f"/executions/{execution}/events"
    whole = (await service.client.get(address, headers={"Accept": form})).content
    async with asyncio.timeout(PATIENCE_S), connection(service.port) as raw:
        asked = f"GET {address} HTTP/1.0\r\nHost: 127.0.0.1\r\nConnection: keep-alive\r\nAccept: {form}\r\n\r\n"
        await raw.send(asked.encode())
        head, _, body = (await raw.reader.read()).partition(b"\r\n\r\n")

    lines = head.lower().split(b"\r\n")
    assert [line for line in lines if line.startswith((b"connection:", b"transfer-encoding:"))] == [
        b"connection: close"
    ]
    assert body.splitlines()[1:] == whole.splitlines()[1:]  # the first may have another ``retry``
    assert body


async def test_an_answer_of_a_known_length_to_an_old_client_is_as_long(service: Service) -> None:
    async with asyncio.timeout(PATIENCE_S), connection(service.port) as raw:
        await raw.send(b"GET /graphs HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
        status, headers, body = await raw.answer()

        assert (status, headers.get("connection"), "transfer-encoding" in headers) == (200, "close", False)
        assert json.loads(body)
        assert await raw.reader.read() == b""


async def test_a_trailer_is_no_header(tmp_path: Path) -> None:
    async with serving(tmp_path, api_key=KEY) as service, connection(service.port) as raw:
        await raw.send(CHUNKED + b"\r\n2\r\n{}\r\n0\r\nAuthorization: Bearer %b\r\n\r\n" % KEY.encode())
        status, _, _ = await raw.answer()

    assert status == 401


@pytest.mark.bad_input(50)
async def test_what_was_asked_before_junk_is_answered_and_nothing_after_it(service: Service) -> None:
    async with asyncio.timeout(PATIENCE_S), connection(service.port) as raw:
        await raw.send(GET + b"\r\n" + b"\x00junk\r\n\r\n" + GET + b"\r\n")
        status, headers, _ = await raw.answer()

        assert (status, headers["connection"]) == (200, "close")
        assert await raw.reader.read() == b""


@pytest.mark.bad_input(50)
async def test_junk_never_stands_within_a_stream(service: Service) -> None:
    async with asyncio.timeout(PATIENCE_S), connection(service.port) as raw:
        await raw.send(request("POST", "/graphs/gated/execute/stream", b""))
        status, _ = await raw.head()
        await raw.chunk()
        await raw.send(b"\x00junk\r\n\r\n")
        gates["gate"].opened.set()
        rest = await raw.reader.read()

    assert status == 200
    assert b"HTTP/1.1" not in rest
    assert b"event: stream_end" in rest


@pytest.mark.bad_input(50)
async def test_a_body_that_breaks_off_into_junk_is_refused_once(service: Service) -> None:
    async with asyncio.timeout(PATIENCE_S), connection(service.port) as raw:
        await raw.send(CHUNKED + b"\r\n2\r\n{ \r\n")
        await service.client.get("/health/live")  # the request has begun
        await raw.send(b"junk\r\n")
        status, headers, _ = await raw.answer()

        assert (status, headers["connection"]) == (400, "close")
        assert await raw.reader.read() == b""


def test_what_no_application_sees_is_refused_with_codes_that_are_explained() -> None:
    kinds = problems.kinds()

    for refusal in (heads.UNREADABLE, heads.ADDRESS_TOO_LONG, heads.HEADERS_TOO_LARGE):
        kind = kinds[refusal.code]
        assert (kind.status, kind.title) == (refusal.status, refusal.title)


@pytest.mark.bad_input(53)
async def test_an_unknown_method_is_refused(service: Service) -> None:
    for line in (b"FOO /graphs", b"get /graphs", b"G\x00T /graphs", b"CONNECT 127.0.0.1:80"):
        status, problem = await last_answer(service.port, line + b" HTTP/1.1\r\n" + HOST + b"\r\n")

        assert (status, problem["code"]) == (400, "bad_request")


@pytest.mark.bad_input(53)
async def test_a_method_that_is_not_offered_says_which_are(service: Service) -> None:
    for method in ("TRACE", "PURGE", "DELETE", "OPTIONS"):
        async with asyncio.timeout(PATIENCE_S), connection(service.port) as raw:
            await raw.send(request(method, "/health/live"))
            status, headers, body = await raw.answer()

        assert (status, headers["allow"]) == (405, "get, head")
        assert json.loads(body)["allowed"] == ["GET", "HEAD"]


@pytest.mark.bad_input(54)
async def test_an_odd_path_leads_nowhere(service: Service) -> None:
    for path, status in [*((path, 404) for path in NOWHERE), *((path, 400) for path in UNREADABLE)]:
        async with asyncio.timeout(PATIENCE_S), connection(service.port) as raw:
            await raw.send(request("GET", path))
            answered, headers, body = await raw.answer()

        assert answered == status, path
        assert headers["content-type"] == "application/problem+json"
        assert "location" not in headers
        assert b"evil" not in body


@pytest.mark.bad_input(58)
async def test_junk_in_headers_that_say_nothing_here_is_ignored(service: Service) -> None:
    junk = ["'\"<>,;=" * 50, "00-00-00-00", "\u00e9\u00ff", "a=b; c", "=", "*;q=x", "ff-" + "f" * 4_000]
    for name in ("traceparent", "tracestate", "Accept-Language", "Cookie"):
        for value in junk:
            async with asyncio.timeout(PATIENCE_S), connection(service.port) as raw:
                await raw.send(f"{GET.decode()}{name}: {value}\r\n\r\n".encode("latin-1"))
                status, headers, _ = await raw.answer()

            assert status == 200, (name, value)
            assert "set-cookie" not in headers


@pytest.mark.bad_input(56)
async def test_a_list_of_media_types_is_read_up_to_a_limit(service: Service) -> None:
    long = "application/json" + ", a/b" * 816
    assert len(long) == 4_096
    for value, status in ((long, 200), (long + ",", 431)):
        answer = await service.client.get("/executions", headers={"Accept": value})

        assert answer.status_code == status
    assert answer.json()["code"] == "headers_too_large"
    several = await service.client.get("/executions", headers=[("Accept", "a/b," * 700)] * 20)
    assert several.status_code == 431
