"""The client without ``async``, in a thread of the test, against a real server."""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

import pytest

from graphwire.client import (
    AsyncClient,
    Client,
    ConnectionFailed,
    GaveUp,
    NothingYet,
    ProblemError,
    Retry,
    StreamOver,
    StreamStatus,
)
from graphwire.client.choice import Transport
from tests.live.control import gates
from tests.live.serving import Service
from tests.proxy import proxied

T = TypeVar("T")
TRANSPORTS: tuple[Transport, ...] = ("websocket", "sse", "poll")


async def with_client(service: Service, use: Callable[[Client], T]) -> T:
    """Call this beside the server, with a client that is closed afterwards."""

    def call() -> T:
        with Client(f"http://127.0.0.1:{service.port}") as client:
            return use(client)

    return await asyncio.to_thread(call)


@pytest.mark.capability("CLN-01")
async def test_graphs_and_executions_are_there_without_async(service: Service) -> None:
    def use(client: Client) -> None:
        client.graphs.create({"id": "one", "nodes": [{"id": "a", "type": "transform", "config": {"set": {"n": "1"}}}]})
        result = client.run("one")
        started = client.executions.start("chain", idempotency_key="k")

        assert result.state == {"n": 1}
        assert client.executions.start("chain", idempotency_key="k") == started
        assert client.executions.wait(started.id).status == "completed"
        assert [each.id for each in client.executions.iterate(limit=1)] == [started.id, result.id]
        assert [each.id for each in client.graphs.iterate(search="one")] == ["one"]
        assert client.service.live().status == "live"
        with pytest.raises(ProblemError, match="not_found"):
            client.graphs.get("two")

    await with_client(service, use)


@pytest.mark.capability("CLN-02", "HUB-05")
@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_each_way_of_reading_gives_the_same_events(service: Service, transport: Transport) -> None:
    def use(client: Client) -> None:
        execution = client.run("chain").id
        with client.follow(execution, transport=transport) as stream:
            iterated = [event.seq for event in stream]
            with pytest.raises(StreamOver):
                stream.recv()
            with pytest.raises(StreamOver):
                stream.try_recv()
            assert (stream.cursor, stream.next_timeout(1), stream.status.name) == (9, None, "ended")
        with client.follow(execution, transport=transport) as stream:
            with pytest.raises(NothingYet):
                stream.try_recv()
            received = [stream.recv().seq for _ in iterated]
        with client.follow(execution, transport=transport) as stream:
            batched = [[event.seq for event in batch] for batch in stream.filter("node_started").batches(2)]
        with client.follow(execution, after=7, transport=transport) as stream:
            assert [event.seq for event in stream] == [8, 9]

        assert iterated == received == list(range(1, 10))
        assert [seq for batch in batched for seq in batch] == [2, 4, 6]

    await with_client(service, use)


@pytest.mark.capability("HUB-16")
async def test_an_event_that_comes_alone_is_a_batch_in_time(service: Service) -> None:
    loop = asyncio.get_running_loop()

    def use(client: Client) -> list[int]:
        seen: list[int] = []
        with client.stream("talk", state={"count": 1, "gate": "gate"}) as stream:
            for batch in stream.batches(10, max_wait_s=0.01):
                seen += [event.seq for event in batch]
                if len(seen) == 3:
                    assert stream.next_timeout(0.01) is None
                    loop.call_soon_threadsafe(gates["gate"].opened.set)
            assert stream.result().state["said"] == 1
        return seen

    assert await with_client(service, use) == list(range(1, 8))


@pytest.mark.capability("CLN-03", "CLN-04")
async def test_a_server_that_goes_away_is_told_in_the_thread_that_reads(service: Service) -> None:
    heard: list[tuple[str, int]] = []

    def told(status: StreamStatus) -> None:
        heard.append((status.name, threading.get_ident()))

    def use(url: str, away: Callable[[], None]) -> int:
        retry = Retry(attempts=2, first_s=0.0, most_s=0.0)
        with Client(url, retry=retry) as client:
            with client.stream("gated", transport="sse", on_status=told, state={"gate": "gate"}) as stream:
                stream.recv()
                stream.recv()
                away()
                with pytest.raises(GaveUp):
                    stream.recv()
        with Client(url, request_attempts=1, retry=retry) as client, pytest.raises(ConnectionFailed):
            client.run("chain")
        return threading.get_ident()

    async with proxied(f"http://127.0.0.1:{service.port}") as proxy:
        loop = asyncio.get_running_loop()

        async def leave() -> None:
            proxy.refuses = True
            proxy.cut()

        thread = await asyncio.to_thread(
            use, proxy.url, lambda: asyncio.run_coroutine_threadsafe(leave(), loop).result()
        )

    names = ["connecting", "live", "reconnecting", "reconnecting", "failed"]
    assert heard == [(name, thread) for name in names]
    gates["gate"].opened.set()


async def test_what_a_callback_raises_reaches_the_reader(service: Service) -> None:
    def refuse(status: StreamStatus) -> None:
        raise LookupError(status.name)

    def use(client: Client) -> None:
        with client.stream("chain", on_status=refuse) as stream, pytest.raises(LookupError, match="connecting"):
            stream.recv()

    await with_client(service, use)


async def test_a_client_leaves_no_thread_behind(service: Service) -> None:
    def use(client: Client) -> None:
        client.service.live()
        with client.stream("chain") as stream:
            stream.recv()

    await with_client(service, use)

    assert not any(each.name == "graphwire.client" for each in threading.enumerate())


async def test_a_client_works_where_a_loop_runs_already(service: Service) -> None:
    entered = asyncio.Event()

    async def notebook() -> str:
        entered.set()
        with Client(f"http://127.0.0.1:{service.port}", request_attempts=1, timeout_s=0.2) as client:
            with pytest.raises(ConnectionFailed, match="did not answer in time"):
                client.service.live()  # the server is in this very loop, which the call blocks
        return "done"

    assert await notebook() == "done"


async def test_a_client_that_is_closed_says_so_and_leaves_nothing_behind(service: Service) -> None:
    def use() -> None:
        client = Client(f"http://127.0.0.1:{service.port}")
        left_open = client.stream("gated", state={"gate": "gate"}).__enter__()
        assert left_open.recv().seq == 1
        assert left_open.next_timeout(0.001) is None or left_open.next_timeout(0.001) is None
        client.close()
        client.close()
        with pytest.raises(RuntimeError, match="the client is closed"):
            client.graphs.list()
        assert "graphwire.client" not in {thread.name for thread in threading.enumerate()}

    await asyncio.to_thread(use)
    gates["gate"].opened.set()


async def test_both_clients_can_do_the_same() -> None:
    async with AsyncClient("http://127.0.0.1:1") as one:
        with Client("http://127.0.0.1:1") as other:
            for name in ("graphs", "executions", "service"):
                assert asked(getattr(one, name)) == asked(getattr(other, name))
            assert {"run", "stream", "follow", "events", "close"} <= asked(one) & asked(other)


def asked(thing: object) -> set[str]:
    """Return the names of what can be called."""
    return {name for name in dir(thing) if not name.startswith("_") and callable(getattr(thing, name))}
