"""Promises 2 and 3: a reader costs a bounded amount of memory, and slows nobody, whatever it does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.live.promises.following import PIECE, Connection, Follower
from tests.live.promises.forms import FORMS, Poll, Session
from tests.live.promises.live import Telling
from tests.live.serving import Service, serving
from tests.waiting import PATIENCE_S

WRITE_BYTES = 65_536
OVERHEAD_BYTES = 64
SMALL = 4_096
"""A socket that holds little, so that a server soon notices when nobody reads."""


def stuck(service: Service) -> list[asyncio.Transport]:
    """Return the connections whose last write has not left."""
    transports = [connection.transport for connection in service.server.server_state.connections]
    return [each for each in transports if each.get_write_buffer_size() > 0 and not each.is_closing()]


def long_texts(portions: int, each: int = 100) -> list[list[str]]:
    """Return texts of which a portion is more than sockets hold."""
    return [["x" * 5_000] * each for _ in range(portions)]


@asynccontextmanager
async def unread(service: Service, form: type[Session], execution: str) -> AsyncIterator[Connection]:
    """Ask for a stream, and read nothing of it; of polls for many at once."""
    follower = Follower(form, service.port, execution)
    async with follower.connected(receive_buffer=SMALL) as connection:
        asking = connection.session.sending * (100 if form is Poll else 1)
        connection.session.sending = b""
        await asyncio.get_running_loop().sock_sendall(connection.plain, asking)
        yield connection


async def rest_before_the_reset(connection: Connection) -> bytes:
    """Read what the kernel has of a connection that was cut."""
    received = b""
    try:
        while piece := await asyncio.get_running_loop().sock_recv(connection.plain, PIECE):
            received += piece
    except ConnectionResetError:
        return received
    raise AssertionError("the connection ended as if all were well")


async def until(service: Service, is_so: Any) -> None:
    """Ask the service for its health until something is so."""
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():
            assert (await service.client.get("/health/live")).status_code == 200


@pytest.mark.bad_input(71)
@pytest.mark.capability("HUB-26")
async def test_a_reader_that_reads_nothing_costs_one_write_and_slows_nobody(
    tmp_path: Path, form: type[Session]
) -> None:
    async with serving(tmp_path, ring_events=16, write_timeout_s=60) as service:
        texts = long_texts(4)
        telling = await Telling.start(service, "unread", texts)
        async with unread(service, form, telling.execution):
            await until(service, lambda: stuck(service))
            (transport,) = stuck(service)

            others = [Follower(each, service.port, telling.execution, watch=telling.watch) for each in FORMS.values()]
            async with asyncio.TaskGroup() as group:
                following = [group.create_task(other.follow()) for other in others]

            assert [task.result() for task in following] == ["end"] * len(others)
            assert stuck(service) == [transport]
            assert 0 < transport.get_write_buffer_size() <= WRITE_BYTES + OVERHEAD_BYTES
        await until(service, lambda: not stuck(service))

    for other in others:
        assert other.seqs == list(range(1, 4 * 100 + 5 + 1))


@pytest.mark.bad_input(71)
async def test_a_reader_of_a_byte_at_a_time_is_cut_and_comes_back_to_everything(
    tmp_path: Path, form: type[Session]
) -> None:
    async with serving(tmp_path, ring_events=16, write_timeout_s=0.3) as service:
        telling = await Telling.start(service, "bytes", long_texts(2))
        async with unread(service, form, telling.execution) as connection:
            loop, follower, received = asyncio.get_running_loop(), connection.follower, b""
            await until(service, lambda: stuck(service))
            while stuck(service):
                assert (await service.client.get("/health/live")).status_code == 200
                received += await loop.sock_recv(connection.plain, 1)
            received += await rest_before_the_reset(connection)
            if form is not Poll:  # a client that asks for pages without reading them keeps none
                follower.take(connection.session, received)
        assert len(follower.events) < 100
        telling.go_on_to_the_end()
        assert await follower.follow() == "end"
        late = Follower(form, service.port, telling.execution)
        await late.follow()

    assert follower.lines == late.lines


@pytest.mark.bad_input(71)
async def test_a_slow_reader_whose_writes_drain_in_time_is_not_cut(tmp_path: Path, form: type[Session]) -> None:
    async with serving(tmp_path, write_timeout_s=2.0) as service:
        execution = (await service.run("talk", state={"count": 500, "text": "x" * 1_000}))["id"]
        follower = Follower(form, service.port, execution)
        async with follower.connected(receive_buffer=SMALL) as connection:
            while await connection.step(8_192):
                await service.client.get("/health/live")

    assert connection.session.outcome == "end"
    assert follower.seqs == list(range(1, 506))
