"""Where a client sends its requests, and what it says of that place and of its key."""

import asyncio

import pytest

from graphwire.client import AsyncClient, ClientError, ConnectionFailed, UnexpectedAnswer
from graphwire.client.call import path
from tests.client.test_strange_servers import AT_ONCE, answering, failure

MOVED = b"HTTP/1.1 301 Moved\r\nLocation: %b/elsewhere\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("name", [".", "..", "../events", "a/b", "a?b", "a#b", "%2e%2e", "", "é\n"])
async def test_no_name_leads_anywhere_else(name: str) -> None:
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).split()[1])
        writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server, AsyncClient(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as client:
        with pytest.raises(UnexpectedAnswer):
            await client.executions.state(name)

    assert asked == [path("executions", name, "state").encode()]
    assert asked[0].count(b"/") == 3
    assert not {b".", b".."} & set(asked[0].split(b"/"))


@pytest.mark.parametrize("address", ["http://host/?key=abc", "http://host/#abc", "http://host:port/"])
def test_an_address_with_more_than_a_place_is_none(address: str) -> None:
    with pytest.raises(ValueError, match="the address of a service is like"):
        AsyncClient(address)


async def test_a_password_in_the_address_is_never_told() -> None:
    async with AsyncClient("http://ada:hunter2@127.0.0.1:1", request_attempts=1, retry=AT_ONCE) as client:
        with pytest.raises(ConnectionFailed) as refused:
            await client.service.live()
        async with client.follow("e", transport="websocket") as stream:
            with pytest.raises(ClientError) as given_up:
                await stream.recv()

    assert "hunter2" not in str(refused.value) + str(given_up.value)
    assert "127.0.0.1:1" in str(refused.value)


@pytest.mark.parametrize("key", ["two\nlines-of-a-key", "schlüssel-schlüssel", "with space in it", ""])
def test_a_key_that_cannot_be_sent_is_refused_and_not_told(key: str) -> None:
    with pytest.raises(ValueError, match="a key has printable ASCII") as refused:
        AsyncClient("http://127.0.0.1:1", key)

    assert not key or key not in str(refused.value)


@pytest.mark.parametrize("key", ["two\nlines", "schlüssel", "", "x" * 256])
async def test_a_name_for_a_start_that_cannot_be_sent_is_refused(key: str) -> None:
    async with AsyncClient("http://127.0.0.1:1") as client:
        with pytest.raises(ValueError, match="Idempotency-Key"):
            await client.executions.start("chain", idempotency_key=key)


@pytest.mark.parametrize("transport", ["websocket", "sse", "poll"])
async def test_a_stream_goes_nowhere_else_and_says_where_it_was_sent(transport: str) -> None:
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.close()

    other = await asyncio.start_server(answer, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{other.sockets[0].getsockname()[1]}"
    async with other, answering(MOVED % address.encode()) as first:
        error = await failure(first, transport)  # type: ignore[arg-type]

    assert asked == []
    assert isinstance(error, UnexpectedAnswer)
    assert f"{address}/elsewhere" in error.detail


async def test_a_request_goes_nowhere_else_and_says_where_it_was_sent() -> None:
    async with answering(MOVED % b"https://graphs.example") as address, AsyncClient(address) as client:
        with pytest.raises(UnexpectedAnswer, match=r"https://graphs\.example/elsewhere"):
            await client.service.live()
