"""A socket's messages on their way to a reader: bounded, and let go of whatever happens."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from graphwire.client.socket_connection import CREDIT, MAX_MESSAGE_BYTES, MOST_BYTES_AHEAD, SocketConnection
from graphwire.events.encoding import decode_line

NOTICE = b'{"method": "notice", "params": {"notice": {"type": "x", "code": 1, "ts": "", "data": {%b}}}}'


class FakeSocket:
    """Has a message whenever one is wanted."""

    def __init__(self, message: bytes) -> None:
        self.message = message
        self.received = 0
        self.transport = SimpleNamespace(abort=self.abort)
        self.is_aborted = False
        self.closing = asyncio.Event()

    async def recv(self, *, decode: bool) -> bytes:
        await asyncio.sleep(0)
        self.received += 1
        return self.message

    async def close(self) -> None:
        self.closing.set()
        await asyncio.Event().wait()

    def abort(self) -> None:
        self.is_aborted = True


def opened(message: bytes) -> tuple[FakeSocket, SocketConnection]:
    socket: Any = FakeSocket(message)
    return socket, SocketConnection(socket, decode_line, silence_s=9.0, ends=False)


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def cancelled_while_closing(socket: FakeSocket, connection: SocketConnection) -> None:
    closing = asyncio.create_task(connection.close())
    await socket.closing.wait()
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing


async def test_what_is_taken_in_ahead_of_a_reader_is_bounded_in_count_and_bytes() -> None:
    small, of_small = opened(NOTICE % b"")
    large, of_large = opened(NOTICE % (b'"text": "' + b"x" * (MAX_MESSAGE_BYTES - 100) + b'"'))

    await turns(5_000)

    assert small.received == 2 * CREDIT
    assert MOST_BYTES_AHEAD <= large.received * MAX_MESSAGE_BYTES <= MOST_BYTES_AHEAD + MAX_MESSAGE_BYTES
    for socket, connection in ((small, of_small), (large, of_large)):
        first = await connection.read()
        assert first is not None
        assert len(first) == socket.received
        received = socket.received
        reading = asyncio.create_task(connection.read())
        await turns(50)
        assert socket.received > received  # there is room again
        await reading
        await cancelled_while_closing(socket, connection)


async def test_a_close_that_is_cancelled_leaves_nothing_open() -> None:
    socket, connection = opened(NOTICE % b"")

    await cancelled_while_closing(socket, connection)

    assert socket.is_aborted
    assert "graphwire.client:socket" not in {task.get_name() for task in asyncio.all_tasks()}
