"""What a WebSocket refuses and bounds: bad messages, many sockets, clients that do not read, or are gone."""

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.transports.heads import BoundedHeads
from app.transports.websocket.protocol import SocketProtocol
from graphwire.errors import Problem
from graphwire.graphs.documents import Document
from tests.live.control import gates
from tests.live.serving import Service, connection, request, serving
from tests.live.sockets import refused, socket
from tests.live.test_websocket_frames import HANDSHAKE, MIB, PING, TEXT, RawSocket, close, frame, raw_socket
from tests.waiting import PATIENCE_S

BAD = {
    "broken JSON": ("{", None, -32700, "malformed_json"),
    "nothing": ("", None, -32700, "malformed_json"),
    "two values": ('{"id": 1} {}', None, -32700, "malformed_json"),
    "200 levels": ('{"id": 1, "params": ' + "[" * 200 + "]" * 200 + "}", 1, -32700, "too_deep"),
    "5,000 levels": ('{"id": 1, "params": ' + "[" * 5_000 + "]" * 5_000 + "}", None, -32700, "too_deep"),
    "a lone surrogate": ('{"id": "a", "params": {"x": "\\ud800"}}', "a", -32700, "invalid_text"),
    "a doubled key": ('{"id": 1, "params": {"x": 1, "x": 2}}', 1, -32700, "duplicate_key"),
    "an infinite number": ('{"id": 1, "params": {"x": 1e400}}', 1, -32700, "malformed_json"),
    "a batch": ('[{"jsonrpc": "2.0", "id": 1, "method": "execution.start"}]', None, -32600, None),
    "an empty batch": ("[]", None, -32600, None),
    "a number": ("7", None, -32600, None),
    "null": ("null", None, -32600, None),
    "no version": ('{"id": 1, "method": "execution.start"}', 1, -32600, None),
    "version 1": ('{"jsonrpc": "1.0", "id": 1, "method": "execution.start"}', 1, -32600, None),
    "an id that is a list": ('{"jsonrpc": "2.0", "id": [], "method": "execution.start"}', None, -32600, None),
    "an id that is true": ('{"jsonrpc": "2.0", "id": true, "method": "execution.start"}', None, -32600, None),
    "an endless id": (json.dumps({"jsonrpc": "2.0", "id": "x" * 256, "method": "x"}), None, -32600, None),
    "no method": ('{"jsonrpc": "2.0", "id": 1}', 1, -32600, None),
    "a reply": ('{"jsonrpc": "2.0", "id": 1, "result": {}}', 1, -32600, None),
    "a method that is a number": ('{"jsonrpc": "2.0", "id": 1, "method": 1}', 1, -32600, None),
    "an unknown method": ('{"jsonrpc": "2.0", "id": 1.5, "method": "execution.strat"}', 1.5, -32601, None),
    "params that are a list": ('{"jsonrpc": "2.0", "id": 1, "method": "x", "params": []}', 1, -32602, None),
    "params that are null": ('{"jsonrpc": "2.0", "id": 1, "method": "x", "params": null}', 1, -32602, None),
    "wrong types": (
        '{"jsonrpc": "2.0", "id": 1, "method": "execution.start", "params": {"graph_id": 1, "seed": "x"}}',
        1, -32602, "invalid_request",
    ),
    "what is not known": (
        '{"jsonrpc": "2.0", "id": 1, "method": "execution.start", "params": {"graph": "chain"}}',
        1, -32602, "invalid_request",
    ),
    "no graph": ('{"jsonrpc": "2.0", "id": 1, "method": "execution.start"}', 1, -32602, "invalid_request"),
}  # fmt: skip


@pytest.mark.bad_input(82)
async def test_a_bad_message_is_answered_and_the_socket_stays(service: Service) -> None:
    async with socket(service) as ws:
        for name, (text, id, code, problem) in BAD.items():
            reply = await ws.ask(text)

            assert (reply["id"], reply["error"]["code"]) == (id, code), name
            assert reply["error"].get("data", {}).get("code") == problem, name
        binary = await ws.ask(b"{}")
        works = await ws.call("execution.start", graph_id="none")

    assert (binary["id"], binary["error"]["code"]) == (None, -32600)
    assert works["error"]["data"]["code"] == "not_found"


async def test_problems_have_their_place_in_the_message(service: Service) -> None:
    async with socket(service) as ws:
        shape = await ws.ask('{"jsonrpc": "2.0", "id": 1, "method": "execution.start",\n "params": {"seed": "x"}}')
        meant = {"graph_id": "chain", "entry": ["fist"]}
        unknown = await ws.call("execution.start", **meant)

    (problem,) = shape["error"]["data"]["errors"]
    assert problem["pointer"] == "/params/seed"
    assert (problem["line"], problem["column"]) == (2, 21)
    assert unknown["error"]["data"]["errors"][0]["pointer"] == "/params/entry/0"


@pytest.mark.bad_input(82)
async def test_the_places_of_problems_in_a_large_message_are_found_while_others_are_served(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, served = threading.Event(), threading.Event()
    described: list[int] = []
    find = Document.located

    def located(document: Document, problems: Iterable[Problem]) -> tuple[Problem, ...]:
        begun.set()
        assert served.wait(5), "nobody was served meanwhile"
        described.append(len(wanted := tuple(problems)))
        return find(document, wanted)

    monkeypatch.setattr(Document, "located", located)
    async with socket(service) as ws:
        refused = asyncio.ensure_future(ws.call("execution.start", graph_id="chain", entry=["x"] * 50_000))
        assert await asyncio.to_thread(begun.wait, 5)
        async with socket(service) as other:
            assert (await other.call("execution.pause", execution_id="any"))["error"]["code"] == -32000
        served.set()
        problem = (await refused)["error"]["data"]

    assert problem["code"] == "invalid_request"
    assert (len(problem["errors"]), problem["errors_left_out"]) == (100, 49_900)
    assert described == [100]


@pytest.mark.bad_input(82)
async def test_the_hundredth_bad_message_of_a_minute_closes_the_socket(service: Service) -> None:
    async with socket(service) as ws:
        for _ in range(50):
            await ws.ask("{")
        await ws.problem("execution.cancel", execution_id="none")  # refused, but not bad
        for _ in range(50):
            assert (await ws.ask(b""))["error"]["code"] == -32600

        assert await ws.end() == (1008, "too many bad messages")


@pytest.mark.capability("WSK-14")
async def test_one_socket_more_than_there_may_be_is_told_to_come_back(tmp_path: Path) -> None:
    async with serving(tmp_path, max_sockets=1) as service:
        async with socket(service) as first:
            async with socket(service) as second:
                assert await second.end() == (1013, "at_capacity")
            await first.connection.close()
            await first.connection.wait_closed()
        async with socket(service) as third:
            assert (await third.call("execution.pause", execution_id="any"))["error"]["code"] == -32000


@pytest.mark.bad_input(80)
async def test_a_socket_opens_for_its_own_pages_only(tmp_path: Path) -> None:
    allowed = "https://good.example"
    async with serving(tmp_path, cors_origins=allowed) as service:
        own = f"http://127.0.0.1:{service.port}"
        for origin in (own, allowed):
            async with socket(service, origin=origin):
                pass
        foreign = (
            "https://evil.example", "null", "", "https://good.example.evil.example", "http://good.example",
            "https://good.example:8443", f"http://localhost:{service.port}", "http://127.0.0.1", own.upper(),
        )  # fmt: skip
        for origin in foreign:
            status, problem = await refused(service, "/ws", origin=origin)
            assert (status, problem["code"]) == (403, "origin_not_allowed"), origin
        host = {"Host": "evil.example"}
        assert (await refused(service, "/ws", additional_headers=host))[0] in (400, 421)
    async with serving(
        tmp_path, api_key="a-secret-key-of-tests", database_url=f"sqlite:///{tmp_path}/other.db"
    ) as locked:
        assert (await refused(locked, "/ws"))[0] == 401
        assert (await refused(locked, "/ws", origin="https://evil.example"))[0] == 403


@pytest.mark.bad_input(86)
async def test_a_socket_needs_the_key_where_there_is_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving(tmp_path, api_key="the-right-key-of-tests", access_log=True) as service:
        for options in (
            {},
            {"additional_headers": {"Authorization": "Bearer the-wrong-key-of-tests"}},
            {"subprotocols": ["graphwire.v1", "bearer.the-wrong-key-of-tests"]},
        ):
            status, problem = await refused(service, "/ws", **options)
            assert (status, problem["code"]) == (401, "unauthorized")
        status, problem = await refused(service, "/ws?api_key=the-right-key-of-tests&token=the-right-key-of-tests")
        assert (status, problem["code"]) == (400, "misplaced_key")
        async with socket(service, subprotocols=["graphwire.v1", "bearer.the-right-key-of-tests"]) as ws:
            assert ws.connection.subprotocol == "graphwire.v1"
        async with socket(service, additional_headers={"Authorization": "Bearer the-right-key-of-tests"}) as ws:
            assert ws.connection.subprotocol is None
    told = [record for record in caplog.records if record.name.startswith(("app", "graphwire", "uvicorn"))]
    assert told
    assert not [record for record in told if "the-right-key-of-tests" in record.getMessage()]


@pytest.mark.bad_input(86)
async def test_half_a_handshake_ends_its_connection(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedHeads, "head_timeout_s", 0.2)
    half = b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
    async with asyncio.timeout(PATIENCE_S), connection(service.port) as raw, connection(service.port) as used:
        await raw.send(half)
        await used.send(b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" + half)

        assert await raw.reader.read() == b""
        assert (await used.answer())[0] == 200
        assert await used.reader.read() == b""


@asynccontextmanager
async def limits(tmp_path: Path, **changes: Any) -> AsyncIterator[Service]:
    times = {"ping_s": 0.2, "pong_s": 2.0, "write_timeout_s": 0.5}
    async with serving(tmp_path, **{**times, **changes}) as service:
        yield service


@pytest.mark.bad_input(72)
@pytest.mark.capability("WSK-13")
async def test_a_client_that_answers_no_ping_is_cut_and_one_that_does_stays(tmp_path: Path) -> None:
    async with limits(tmp_path) as service, socket(service, "/graphs/gated/ws") as live:
        await live.result("execution.start")
        async with raw_socket(service) as dead:
            assert await dead.frame() == (PING, b"")
            with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
                await dead.frame()
        gates["gate"].opened.set()

        assert (await live.events())[-1]["type"] == "stream_end"
        assert await live.end() == (1000, "")


class Watch(logging.Handler):
    """Says when a line of the log has these words."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self.words = words
        self.seen = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if self.words in record.getMessage():
            self.seen.set()


@asynccontextmanager
async def watching(words: str) -> AsyncIterator[asyncio.Event]:
    watch = Watch(words)
    log = logging.getLogger("app.transports.websocket.protocol")
    level, log.level = log.level, logging.INFO
    log.addHandler(watch)
    try:
        yield watch.seen
    finally:
        log.removeHandler(watch)
        log.setLevel(level)


async def send_without_end(ws: RawSocket, data: bytes) -> None:
    while True:
        await ws.send(data)


@pytest.fixture
def last_words_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.transports.websocket.protocol.LAST_WORD_S", 30.0)


@pytest.mark.bad_input(87)
@pytest.mark.usefixtures("last_words_wait")
async def test_a_client_that_sends_and_never_reads_is_held_up_and_then_closed(tmp_path: Path) -> None:
    ask = frame(TEXT, json.dumps({"jsonrpc": "2.0", "id": "x" * 200, "method": "x" * 500}).encode()) * 100
    async with limits(tmp_path, ping_s=60, max_bad_messages=10**9) as service, watching("too_slow") as cut:
        async with raw_socket(service) as ws:
            before = psutil.Process().memory_info().rss
            sending = asyncio.ensure_future(send_without_end(ws, ask))
            await cut.wait()
            grown = psutil.Process().memory_info().rss - before
            sending.cancel()
            last = await ws.close_code()

        assert grown < 16 * MIB
        assert last == 1013


@pytest.mark.capability("WSK-16")
@pytest.mark.usefixtures("last_words_wait")
async def test_a_subscriber_that_does_not_read_is_cut_and_resumes_while_others_are_undisturbed(tmp_path: Path) -> None:
    state = {"count": 12_000, "text": "x" * 500, "gate": None}
    async with limits(tmp_path, ping_s=60, write_timeout_s=2.0) as service, watching("too_slow") as cut:
        execution = await service.start("talk", state=state)
        async with socket(service, f"/executions/{execution}/ws", max_queue=None) as reading:
            async with raw_socket(service) as stalled:
                params = {"execution_id": execution}
                call = {"jsonrpc": "2.0", "id": 1, "method": "execution.subscribe", "params": params}
                await stalled.send(frame(TEXT, json.dumps(call).encode()))
                reads = asyncio.ensure_future(reading.events())
                await cut.wait()
                seqs: list[int] = []
                while (found := await stalled.frame())[0] == TEXT:
                    params = json.loads(found[1]).get("params", {})
                    if "event" in params:
                        seqs.append(params["event"]["seq"])
            whole = await reads
        async with socket(service, f"/executions/{execution}/ws?after={seqs[-1]}", max_queue=None) as resumed:
            rest = await resumed.events()

    assert [event["seq"] for event in whole] == list(range(1, len(whole) + 1))
    assert int.from_bytes(found[1][:2], "big") == 1013
    assert seqs + [event["seq"] for event in rest] == list(range(1, len(whole) + 1))


@pytest.mark.bad_input(87)
@pytest.mark.usefixtures("last_words_wait")
async def test_a_client_that_never_reads_is_told_so_whatever_its_pings_say(tmp_path: Path) -> None:
    ask = frame(TEXT, json.dumps({"jsonrpc": "2.0", "id": "x" * 200, "method": "x" * 500}).encode()) * 100
    defaults = {"ping_s": 1.0, "pong_s": 0.5, "write_timeout_s": 1.5}  # as 20, 10 and 30
    async with limits(tmp_path, max_bad_messages=10**9, **defaults) as service, watching("cut a WebSocket") as cut:
        async with raw_socket(service) as ws:
            sending = asyncio.ensure_future(send_without_end(ws, ask))
            await cut.wait()
            sending.cancel()

            assert await ws.close_code() == 1013


@pytest.mark.bad_input(87)
async def test_a_client_that_is_held_up_may_leave_with_a_reset(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ask = frame(TEXT, json.dumps({"jsonrpc": "2.0", "id": "x" * 200, "method": "x" * 500}).encode()) * 100
    held_up = asyncio.Event()
    async with limits(tmp_path, ping_s=60, max_bad_messages=10**9) as service:
        with watching_pauses(held_up):
            async with raw_socket(service) as ws:
                sending = asyncio.ensure_future(send_without_end(ws, ask))
                await held_up.wait()
                sending.cancel()
                ws.raw.writer.transport.abort()
        await sockets_are_gone(service)

    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


@contextmanager
def watching_pauses(paused: asyncio.Event) -> Iterator[None]:
    pause = SocketProtocol.pause_writing

    def noted(protocol: SocketProtocol) -> None:
        pause(protocol)
        if protocol._unread:
            paused.set()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(SocketProtocol, "pause_writing", noted)
        yield


async def sockets_are_gone(service: Service) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while any("subscription" in task.get_name() or "websocket" in task.get_name() for task in asyncio.all_tasks()):
            await service.client.get("/health/live")


async def test_what_waits_for_a_stuck_socket_does_not_grow_with_its_subscriptions(tmp_path: Path) -> None:
    state = {"texts": [[], ["x" * 30_000] * 10]}
    async with limits(tmp_path, ping_s=60) as service, watching("too_slow") as cut:
        execution = await service.start("portions", state=state)
        call = {"jsonrpc": "2.0", "method": "execution.subscribe", "params": {"execution_id": execution, "after": 2}}
        async with raw_socket(service) as ws:
            await ws.send(*[frame(TEXT, json.dumps({**call, "id": number}).encode()) for number in range(500)])
            replies = 0
            while replies < 500:
                replies += b'"id":' in (await ws.frame())[1]
            before = psutil.Process().memory_info().rss
            gates["gate 1"].opened.set()
            await cut.wait()
            grown = psutil.Process().memory_info().rss - before

    assert grown < 16 * MIB


async def test_a_denial_reaches_a_client_that_goes_on_sending(service: Service) -> None:
    early = frame(TEXT, b"x" * 60_000) * 300
    async with asyncio.timeout(PATIENCE_S), connection(service.port) as raw:
        raw.writer.write(request("GET", "/executions/none/ws", None, **HANDSHAKE) + early)
        status, headers = await raw.head()
        body = await raw.reader.readexactly(int(headers["content-length"]))

        assert (status, json.loads(body)["code"]) == (404, "not_found")
        await raw.writer.drain()  # all of it was taken
        assert await raw.reader.read() == b""


async def test_requests_before_a_close_are_carried_out(service: Service) -> None:
    call = {"jsonrpc": "2.0", "method": "execution.start", "params": {"graph_id": "chain", "subscribe": False}}
    async with raw_socket(service) as ws:
        await ws.send(*[frame(TEXT, json.dumps({**call, "id": number}).encode()) for number in range(40)], close(1000))

        assert await ws.close_code() == 1000
    await sockets_are_gone(service)
    assert len((await service.client.get("/executions")).json()["items"]) == 40


@pytest.mark.bad_input(85)
async def test_a_cancel_that_races_from_ten_sockets_is_answered_once_each(service: Service) -> None:
    execution = await service.start("gated")
    await gates["gate"].reached.wait()

    async def cancel() -> dict[str, object]:
        async with socket(service) as ws:
            return await ws.call("execution.cancel", execution_id=execution)

    replies = await asyncio.gather(*[cancel() for _ in range(10)])
    events = [block.data for block in await service.events(execution)]

    accepted = [reply["result"]["applied_seq"] for reply in replies if "result" in reply]  # type: ignore[index]
    refusals = [reply["error"]["data"]["code"] for reply in replies if "error" in reply]  # type: ignore[index]
    assert sorted(accepted) == [event["seq"] for event in events if event.get("type") == "command_accepted"]
    assert len(accepted) >= 1
    assert set(refusals) <= {"command_not_allowed"}
    assert [event["type"] for event in events][-2:] == ["execution_cancelled", "stream_end"]


async def test_nothing_is_left_of_sockets_that_are_gone(service: Service) -> None:
    execution = await service.start("gated")
    for number in range(10):
        async with socket(service) as ws:
            for _ in range(3):
                await ws.result("execution.subscribe", execution_id=execution)
            if number % 2:
                ws.connection.transport.abort()
    await sockets_are_gone(service)
    gates["gate"].opened.set()
    assert len(service.server.server_state.connections) <= 1
