"""Bodies that nobody reads: the answer arrives, and then the connection ends."""

import asyncio

import pytest

from tests.live.serving import RawConnection, Service, connection, request
from tests.waiting import PATIENCE_S

CHUNK = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
CHUNKED = {"Content_Type": "application/json", "Transfer_Encoding": "chunked"}
PLAIN = {"Content_Type": "text/plain", "Transfer_Encoding": "chunked"}


async def flood(raw: RawConnection, most_chunks: int) -> int:
    """Send chunks until the connection ends; return how many were sent."""
    for sent in range(most_chunks):
        try:
            await raw.send(CHUNK)
        except OSError:
            return sent
    return most_chunks


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("POST", "/nothing", CHUNKED, 404),
        ("POST", "/graphs", PLAIN, 415),
        ("POST", "/graphs/chain/execute", {**CHUNKED, "Last_Event_ID": "4"}, 409),
        ("GET", "/health/live", CHUNKED, 200),
    ],
)
async def test_an_answer_that_did_not_wait_for_the_body_ends_the_connection(
    service: Service, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    async with asyncio.timeout(PATIENCE_S), connection(service.port) as raw:
        await raw.send(request(method, path, None, **headers) + CHUNK[:100])
        answered, found = await raw.head()
        body = await raw.reader.readexactly(int(found["content-length"]))

        assert (answered, found["connection"]) == (status, "close")
        assert body.startswith(b"{")
        assert await raw.reader.read() == b""
        assert await flood(raw, 10_000) < 10_000


async def test_a_body_that_is_too_large_gets_its_answer_though_the_client_goes_on_sending(service: Service) -> None:
    async with asyncio.timeout(PATIENCE_S), connection(service.port) as raw:
        await raw.send(request("POST", "/graphs", Content_Type="application/json", Content_Length="20000000"))
        await raw.send(b"x" * 60_000)
        status, found = await raw.head()

        assert (status, found["connection"]) == (413, "close")
        assert len(await raw.reader.read()) == int(found["content-length"])


async def test_a_request_whose_body_has_ended_keeps_its_connection(service: Service) -> None:
    async with asyncio.timeout(PATIENCE_S), connection(service.port) as raw:
        for _ in range(2):
            await raw.send(request("POST", "/nothing", b'{"a": 1}'))
            status, found = await raw.head()
            await raw.reader.readexactly(int(found["content-length"]))

            assert status == 404
            assert "connection" not in found
