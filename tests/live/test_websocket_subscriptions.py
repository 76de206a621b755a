"""Subscriptions of a WebSocket: filters that change, credit, heartbeats, and their end before the execution's."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from app.services.executions import ExecutionService
from tests.live.control import gates
from tests.live.serving import Service, serving
from tests.live.sockets import Socket, refused, socket


async def said(ws: Socket, count: int) -> list[int]:
    """Return the numbers that the next messages of the graph ``talk`` say."""
    found: list[int] = []
    while len(found) < count:
        event = await ws.event()
        if event["type"] == "node_message":
            found.append(event["data"]["message"]["number"])
    return found


COMPRESSIONS = pytest.mark.parametrize("compression", [None, "deflate"])


@COMPRESSIONS
async def test_a_filter_changes_at_a_known_number(service: Service, compression: str | None) -> None:
    async with socket(service, compression=compression) as ws:
        started = await ws.result("execution.start", graph_id="talk", state={"count": 3, "gate": "gate"})
        subscription = started["subscription"]
        await said(ws, 3)
        changed = await ws.result("execution.filter", subscription=subscription, types=["node_completed"])
        gates["gate"].opened.set()
        events = await ws.events(subscription)
        whole = (
            await service.client.get(
                f"/executions/{started['execution']['id']}/events?limit=100", headers={"Accept": "application/json"}
            )
        ).json()["events"]

    after = [event for event in whole if event["seq"] >= changed["from_seq"]]
    assert [event["type"] for event in after[:2]] == ["node_message", "node_completed"]
    assert [event["seq"] for event in events] == [event["seq"] for event in after[1:]]


async def test_a_filter_that_names_what_is_not_there_changes_nothing(service: Service) -> None:
    async with socket(service) as ws:
        started = await ws.result("execution.start", graph_id="gated")
        named = {"types": ["nod_failed"], "nodes": ["x"]}
        wrong = await ws.call("execution.filter", subscription=started["subscription"], **named)
        missing = await ws.problem("execution.filter", subscription="s9", types=["node_failed"])
        gates["gate"].opened.set()
        events = await ws.events()

    assert wrong["error"]["code"] == -32602
    assert [each["pointer"] for each in wrong["error"]["data"]["errors"]] == ["/params/types/0", "/params/nodes/0"]
    assert missing["code"] == "not_found"
    assert len(events) == 5


async def test_no_more_events_come_than_there_is_credit_for(service: Service) -> None:
    execution = (await service.run("chain"))["id"]
    async with socket(service) as ws:
        subscription = (await ws.result("execution.subscribe", execution_id=execution, credit=2))["subscription"]
        first = [(await ws.event())["seq"] for _ in range(2)]
        assert await ws.result("stream.credit", subscription=subscription, events=3) == {}
        more = [(await ws.event())["seq"] for _ in range(3)]
        await ws.result("stream.credit", subscription=subscription, events=100)
        rest = [event["seq"] for event in await ws.events()]
        over = await ws.problem("stream.credit", subscription=subscription, events=1)

    assert (first, more, rest) == ([1, 2], [3, 4, 5], [6, 7, 8, 9])
    assert over["code"] == "not_found"


async def test_exactly_enough_credit_ends_a_subscription(service: Service) -> None:
    execution = (await service.run("chain"))["id"]
    async with socket(service, "/graphs/chain/ws") as ws:
        await ws.result("execution.subscribe", execution_id=execution, credit=9)
        await ws.events()

        assert await ws.end() == (1000, "")


async def test_notices_need_no_credit(service: Service) -> None:
    async with socket(service, "/ws?heartbeat=1") as ws:
        execution = await service.start("gated")
        subscription = (await ws.result("execution.subscribe", execution_id=execution, credit=1))["subscription"]
        await ws.event()
        heartbeat = await ws.notice("heartbeat")
        gates["gate"].opened.set()
        await ws.result("stream.credit", subscription=subscription, events=10)
        await ws.events()

    assert (heartbeat["execution_id"], heartbeat["after"]) == (execution, 1)


async def test_each_subscription_that_is_silent_sends_its_own_heartbeat(service: Service) -> None:
    async with socket(service, "/ws?heartbeat=1") as ws:
        for _ in range(2):
            await ws.result("execution.start", graph_id="gated")
        silent: set[str] = set()
        while len(silent) < 2:
            found = await ws.next()
            if found["method"] == "notice" and found["params"]["notice"]["type"] == "heartbeat":
                silent.add(found["params"]["subscription"])
        gates["gate"].opened.set()

    assert silent == {"s1", "s2"}


@pytest.mark.bad_input(84)
async def test_two_subscriptions_to_one_execution_have_a_cursor_each(service: Service) -> None:
    async with socket(service) as ws:
        started = await ws.result("execution.start", graph_id="gated")
        await ws.event()
        second = await ws.result("execution.subscribe", execution_id=started["execution"]["id"], after=1)
        gates["gate"].opened.set()
        whole, rest = await ws.events(started["subscription"]), await ws.events(second["subscription"])

    assert [event["seq"] for event in whole] == [2, 3, 4, 5]
    assert [event["seq"] for event in rest] == [2, 3, 4, 5]


@pytest.mark.bad_input(84)
async def test_subscriptions_are_bounded_and_only_those_that_there_are_end(tmp_path: Path) -> None:
    async with serving(tmp_path, max_subscriptions=2) as service, socket(service) as ws:
        execution = await service.start("gated")
        for _ in range(2):
            await ws.result("execution.subscribe", execution_id=execution)
        full = await ws.problem("execution.subscribe", execution_id=execution)
        start = await ws.problem("execution.start", graph_id="chain")
        unknown = await ws.problem("execution.unsubscribe", subscription="s3")
        await ws.result("execution.unsubscribe", subscription="s1")
        again = await ws.problem("execution.unsubscribe", subscription="s1")
        third = await ws.result("execution.subscribe", execution_id=execution)
        executions = (await service.client.get("/executions")).json()["items"]
        gates["gate"].opened.set()

    assert (full["code"], full["limit"], start["code"]) == ("too_many_subscriptions", 2, "too_many_subscriptions")
    assert (unknown["code"], again["code"]) == ("not_found", "not_found")
    assert third == {"subscription": "s3"}
    assert len(executions) == 1


async def test_a_place_that_is_none_is_refused_like_everywhere(service: Service) -> None:
    execution = (await service.run("chain"))["id"]
    places: list[Any] = [-1, 10, 1.5, "x", "", True, [], 10**18]
    async with socket(service) as ws:
        codes = [
            (await ws.problem("execution.subscribe", execution_id=execution, after=after))["code"] for after in places
        ]
        missing = await ws.problem("execution.subscribe", execution_id="none")
        await ws.result("execution.subscribe", execution_id=execution, after="8")

        assert [event["seq"] for event in await ws.events()] == [9]
    assert set(codes) == {"invalid_cursor"}
    assert missing["code"] == "not_found"


@pytest.mark.bad_input(76)
async def test_a_deletion_ends_subscriptions_and_the_socket_for_the_execution(service: Service) -> None:
    execution = await service.start("gated")
    async with socket(service) as many, socket(service, f"/executions/{execution}/ws") as single:
        for ws in (many, single):
            await ws.result("execution.subscribe", execution_id=execution, credit=0)
        gates["gate"].opened.set()
        await single.events("s1")
        await service.client.delete(f"/executions/{execution}")
        notices = [await ws.notice("stream_closed") for ws in (many, single)]
        end = await single.end()
        late = await many.problem("execution.subscribe", execution_id=execution)

    assert [notice["data"]["code"] for notice in notices] == ["deleted", "deleted"]
    assert end == (4404, "deleted")
    assert late["code"] == "not_found"
    assert (await refused(service, f"/executions/{execution}/ws"))[0] == 404


@pytest.mark.bad_input(129)
async def test_a_drain_ends_subscriptions_with_their_notice_and_then_the_socket(service: Service) -> None:
    async with socket(service) as busy, socket(service) as idle, socket(service, "/graphs/gated/ws") as waiting:
        await busy.result("execution.start", graph_id="gated")
        await busy.event()
        await waiting.result("execution.start")
        service.drain()
        notices = [await ws.notice("stream_closed") for ws in (busy, waiting)]
        ends = [await ws.end() for ws in (busy, idle, waiting)]

    assert {notice["data"]["code"] for notice in notices} == {"shutting_down"}
    assert all(1_000 <= notice["data"]["retry_ms"] <= 5_000 for notice in notices)
    assert ends == [(1012, "shutting_down")] * 3
    status, problem = await refused(service, "/ws")
    assert (status, problem["code"]) == (503, "shutting_down")
    gates["gate"].opened.set()


async def test_a_request_that_is_being_answered_at_a_drain_has_its_reply_before_the_close(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancel, begun, go = ExecutionService.command, asyncio.Event(), asyncio.Event()

    async def cancel_late(*args: Any, **options: Any) -> int:
        applied_seq = await cancel(*args, **options)
        begun.set()
        await go.wait()
        return applied_seq

    monkeypatch.setattr(ExecutionService, "command", cancel_late)
    execution = await service.start("gated")
    async with socket(service) as ws:
        asked = asyncio.ensure_future(ws.call("execution.cancel", execution_id=execution))
        await begun.wait()
        service.drain()
        assert (await service.client.get("/health/ready")).status_code == 503
        go.set()

        assert (await asked)["result"]["applied_seq"] > 1
        assert await ws.end() == (1012, "shutting_down")


async def test_a_command_that_ends_the_last_execution_has_its_reply_before_the_close(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancel, go = ExecutionService.command, asyncio.Event()

    async def cancel_late(*args: Any, **options: Any) -> int:
        applied_seq = await cancel(*args, **options)
        await go.wait()
        return applied_seq

    monkeypatch.setattr(ExecutionService, "command", cancel_late)
    execution = await service.start("gated")
    async with socket(service, f"/executions/{execution}/ws") as ws:
        request = {"jsonrpc": "2.0", "id": 1, "method": "execution.cancel", "params": {"execution_id": execution}}
        await ws.connection.send(json.dumps(request))
        events = await ws.events()
        assert (await service.client.get("/health/live")).status_code == 200
        go.set()

        assert (await ws.next())["result"]["applied_seq"] in [event["seq"] for event in events]
        assert await ws.end() == (1000, "")


async def test_a_stopping_server_waits_for_no_socket(tmp_path: Path) -> None:
    async with serving(tmp_path, drain_s=1.0) as service:
        async with asyncio.TaskGroup() as group:
            opened = asyncio.Event()
            group.create_task(_until_closed(service, opened))
            await opened.wait()
            service.server.should_exit = True


async def _until_closed(service: Service, opened: asyncio.Event) -> None:
    async with socket(service) as ws:
        opened.set()
        assert (await ws.end())[0] == 1012


async def test_whoever_leaves_with_the_last_socket_takes_an_execution_along(tmp_path: Path) -> None:
    async with serving(tmp_path, disconnect_grace_s=0.0) as service:
        async with socket(service) as ws:
            started = await ws.result("execution.start", graph_id="gated", on_disconnect="cancel")
        events = await service.events(started["execution"]["id"])

    assert "execution_cancelled" in [event["event"] for event in events]
