import asyncio
import socket
from pathlib import Path

import pytest

from app.transports.server import StreamProtocol
from tests.live.control import gates
from tests.live.serving import Service, numbers, parse, request, serving


def small_socket() -> socket.socket:
    """Open a socket that holds little, so that a server soon notices when nobody reads."""
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    plain.setblocking(False)
    plain.settimeout(0)
    return plain


def stuck_connection(service: Service) -> StreamProtocol | None:
    """Return a connection whose last write has not left."""
    connections = [each for each in service.server.server_state.connections if isinstance(each, StreamProtocol)]
    return next((each for each in connections if each.flow.write_paused), None)


async def read_until_reset(plain: socket.socket) -> bytes:
    """Read what is left of a connection that was aborted."""
    received = b""
    try:
        while piece := await asyncio.get_running_loop().sock_recv(plain, 65_536):
            received += piece
    except ConnectionResetError:
        return received
    raise AssertionError("the connection ended as if all were well")


@pytest.mark.bad_input(71)
async def test_a_reader_that_reads_nothing_is_cut_and_can_resume(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    async with serving(tmp_path, write_timeout_s=0.3) as service:
        execution = (await service.run("talk", state={"count": 3_000, "text": "x" * 1_000}))["id"]
        with small_socket() as plain:
            await loop.sock_connect(plain, ("127.0.0.1", service.port))
            await loop.sock_sendall(plain, request("GET", f"/executions/{execution}/events"))

            async with asyncio.timeout(10):
                while (stuck := stuck_connection(service)) is None:
                    await service.client.get("/health/live")
                while stuck in service.server.server_state.connections:
                    await service.client.get("/health/live")
            received = await read_until_reset(plain)

        read = numbers(parse(received.partition(b"\r\n\r\n")[2].replace(b"\r\n", b"\n")))
        rest = numbers(await service.events(execution, after=0))
    assert len(rest) == 3_005
    assert len(read) < len(rest)


@pytest.mark.bad_input(71)
async def test_a_reader_that_reads_nothing_slows_nobody(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    async with serving(tmp_path, ring_events=16) as service:
        execution = await service.start("talk", state={"count": 2_000, "text": "x" * 1_000, "gate": "gate"})
        await gates["gate"].reached.wait()
        with small_socket() as plain:
            await loop.sock_connect(plain, ("127.0.0.1", service.port))
            await loop.sock_sendall(plain, request("GET", f"/executions/{execution}/events"))

            gates["gate"].opened.set()
            blocks = await service.events(execution)

    assert numbers(blocks) == list(range(1, 2_007))


@pytest.mark.bad_input(71)
async def test_a_reader_of_a_byte_at_a_time_is_cut_and_slows_nobody(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    async with serving(tmp_path, write_timeout_s=1.0, ring_events=16) as service:
        execution = await service.start("talk", state={"count": 3_000, "text": "x" * 1_000, "gate": "gate"})
        await gates["gate"].reached.wait()
        with small_socket() as plain:
            await loop.sock_connect(plain, ("127.0.0.1", service.port))
            await loop.sock_sendall(plain, request("GET", f"/executions/{execution}/events"))
            received, held = b"", 0
            async with asyncio.timeout(15):
                while (stuck := stuck_connection(service)) is None:
                    received += await loop.sock_recv(plain, 1)
                began = loop.time()
                while stuck in service.server.server_state.connections:
                    assert (await service.client.get("/health/live")).status_code == 200
                    held = max(held, stuck.transport.get_write_buffer_size())
                    if not stuck.transport.is_closing():
                        received += await loop.sock_recv(plain, 1)
                took = loop.time() - began
            gates["gate"].opened.set()
            whole = await service.events(execution)
            received += await read_until_reset(plain)

        read = numbers(parse(received.partition(b"\r\n\r\n")[2].replace(b"\r\n", b"\n")))
        rest = numbers(await service.events(execution, after=read[-1] if read else 0))
    assert 0.9 <= took < 5  # it is seen to be stuck a little after it is
    assert 0 < held <= 65_536 + 64
    assert numbers(whole) == list(range(1, 3_007))
    assert read + rest == numbers(whole)


@pytest.mark.bad_input(71)
async def test_a_slow_reader_whose_writes_drain_in_time_is_not_cut(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    received, piece = b"", b"x"
    async with serving(tmp_path, write_timeout_s=2.0) as service:
        execution = (await service.run("talk", state={"count": 1_000, "text": "x" * 1_000}))["id"]
        with small_socket() as plain:
            await loop.sock_connect(plain, ("127.0.0.1", service.port))
            await loop.sock_sendall(plain, request("GET", f"/executions/{execution}/events", connection="close"))
            async with asyncio.timeout(15):
                while piece:
                    await service.client.get("/health/live")
                    piece = await loop.sock_recv(plain, 8_192)
                    received += piece

    assert received.count(b"\nid: ") == 1_005
    assert received.endswith(b"0\r\n\r\n")


async def test_a_reader_that_is_stuck_holds_one_write_at_most(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    async with serving(tmp_path) as service:
        execution = (await service.run("talk", state={"count": 3_000, "text": "x" * 1_000}))["id"]
        with small_socket() as plain:
            await loop.sock_connect(plain, ("127.0.0.1", service.port))
            await loop.sock_sendall(plain, request("GET", f"/executions/{execution}/events"))
            async with asyncio.timeout(10):
                while (stuck := stuck_connection(service)) is None:
                    await service.client.get("/health/live")

            assert 0 < stuck.transport.get_write_buffer_size() <= 65_536 + 64
            stuck.transport.abort()
