"""What the kernel is told about a connection, also about one that is gone."""

import asyncio
import socket
import sys

import pytest
import uvloop

from app.transports.peers import let_go_when_silent


def test_a_connection_that_is_gone_is_told_nothing() -> None:
    async def closed() -> object:
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            connection = writer.get_extra_info("socket")
            await reader.read()
            writer.close()
            await writer.wait_closed()
        return connection

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        let_go_when_silent(runner.run(closed()), 1.0)


@pytest.mark.skipif(sys.platform != "linux", reason="the option is Linux's")
def test_the_time_is_set_in_milliseconds_and_taken_back() -> None:
    with socket.socket() as plain:
        let_go_when_silent(plain, 1.5)
        assert plain.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 1_500

        let_go_when_silent(plain, None)
        assert plain.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 0
