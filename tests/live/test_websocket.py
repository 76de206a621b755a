"""WebSockets: executions started, followed and steered over them."""

import json
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from tests.live.control import gates
from tests.live.processes import process
from tests.live.serving import Service
from tests.live.sockets import refused, socket


def seqs(events: list[dict[str, object]]) -> list[object]:
    return [event["seq"] for event in events]


async def test_a_start_is_answered_before_its_events_and_followed_to_its_end(service: Service) -> None:
    async with socket(service, subprotocols=["other", "graphwire.v1"]) as ws:
        reply = await ws.call("execution.start", graph_id="chain", state={"count": 1})
        assert not ws.waiting
        events = await ws.events("s1")
        shown = (await service.client.get(f"/executions/{reply['result']['execution']['id']}")).json()

        assert ws.connection.subprotocol == "graphwire.v1"
    assert reply["id"] == 1
    assert reply["result"]["subscription"] == "s1"
    assert reply["result"]["execution"]["links"]["websocket"] == f"/executions/{shown['id']}/ws"
    assert seqs(events) == list(range(1, 10))
    assert shown["status"] == "completed"


async def test_a_socket_for_an_execution_follows_it_by_itself_and_closes_at_its_end(service: Service) -> None:
    execution = await service.start("chain")
    async with socket(service, f"/executions/{execution}/ws") as ws:
        events = await ws.events()
        whole = await ws.end()
    async with socket(service, f"/executions/{execution}/ws?after=5") as ws:
        rest = await ws.events()
    async with socket(service, f"/executions/{execution}/ws?types=node_completed&nodes=second") as ws:
        filtered = await ws.events()
    async with socket(service, f"/executions/{execution}/ws?after=9") as ws:
        nothing = await ws.end()
        assert not ws.waiting

    assert seqs(events) == list(range(1, 10))
    assert seqs(rest) == [6, 7, 8, 9]
    assert seqs(filtered) == [5, 8, 9]
    assert whole == nothing == (1000, "")


@pytest.mark.capability("WSK-03", "WSK-17")
async def test_events_are_the_bytes_of_every_other_stream(service: Service) -> None:
    execution = (await service.run("chain"))["id"]
    accept = {"Accept": "application/x-ndjson"}
    lines = (await service.client.get(f"/executions/{execution}/events", headers=accept)).text

    async with socket(service, f"/executions/{execution}/ws") as ws:
        texts = [await ws.connection.recv() for _ in range(9)]

    head = '{"jsonrpc":"2.0","method":"event","params":{"subscription":"s1","event":'
    assert texts == [f"{head}{line}}}}}" for line in lines.splitlines()]


async def test_a_socket_for_a_graph_needs_no_graph_and_closes_with_the_last_execution(service: Service) -> None:
    async with socket(service, "/graphs/gated/ws") as ws:
        first = await ws.result("execution.start", state={"gate": "one"})
        second = await ws.result("execution.start", graph_id="gated", state={"gate": "two"})
        other = await ws.call("execution.start", graph_id="chain")
        gates["one"].opened.set()
        ended = await ws.events(first["subscription"])
        gates["two"].opened.set()
        also_ended = await ws.events(second["subscription"])
        end = await ws.end()

    assert other["error"]["data"]["errors"][0]["pointer"] == "/params/graph_id"
    assert ended[-1]["type"] == also_ended[-1]["type"] == "stream_end"
    assert end == (1000, "")


@pytest.mark.capability("WSK-01")
async def test_one_socket_follows_many_executions_each_with_its_own_cursor(service: Service) -> None:
    done = (await service.run("chain"))["id"]
    async with socket(service) as ws:
        running = await ws.result("execution.start", graph_id="gated")
        whole = (await ws.result("execution.subscribe", execution_id=done))["subscription"]
        rest = (await ws.result("execution.subscribe", execution_id=done, after=6))["subscription"]

        assert seqs(await ws.events(whole)) == list(range(1, 10))
        assert seqs(await ws.events(rest)) == [7, 8, 9]

        gates["gate"].opened.set()
        assert seqs(await ws.events(running["subscription"])) == list(range(1, 6))


async def test_what_cannot_be_followed_is_refused_before_the_upgrade(service: Service) -> None:
    execution = (await service.run("chain"))["id"]

    assert (await refused(service, "/executions/none/ws"))[1]["code"] == "not_found"
    assert (await refused(service, "/graphs/none/ws"))[1]["code"] == "not_found"
    assert (await refused(service, f"/executions/{execution}/ws?after=10"))[1]["code"] == "invalid_cursor"
    assert (await refused(service, f"/executions/{execution}/ws?after=-1"))[0] == 400
    assert (await refused(service, f"/executions/{execution}/ws?types=nod_failed"))[0] == 422
    status, problem = await refused(service, "/ws?heartbeat=0.5")
    assert (status, problem["errors"][0]["pointer"]) == (422, "/query/heartbeat")


async def test_a_socket_refuses_the_query_that_a_stream_over_http_refuses(service: Service) -> None:
    execution = await service.start("chain")
    for name, value in (
        ("limit", "x"), ("limit", "0"), ("wait", "31"), ("heartbeat", "nan"), ("heartbeat_event", "x"),
        ("dialect", "x"), ("types", "x"), ("nodes", "x"),
    ):  # fmt: skip
        answer = await service.client.get(f"/executions/{execution}/events", params={name: value})
        status, problem = await refused(service, f"/executions/{execution}/ws?{name}={value}")

        assert answer.status_code == status == 422, name
        assert problem["errors"][0]["pointer"].startswith(f"/query/{name}"), name


async def test_no_event_comes_after_the_reply_to_unsubscribe(service: Service) -> None:
    async with socket(service) as ws:
        started = await ws.result("execution.start", graph_id="talk", state={"count": 2, "gate": "gate"})
        await gates["gate"].reached.wait()
        assert await ws.result("execution.unsubscribe", subscription=started["subscription"]) == {}
        ws.waiting.clear()
        gates["gate"].opened.set()
        again = (await ws.result("execution.subscribe", execution_id=started["execution"]["id"]))["subscription"]
        await ws.events(again)

        assert not ws.waiting


async def test_cancel_answers_with_its_number_and_its_effect_follows(service: Service) -> None:
    async with socket(service) as ws:
        started = await ws.result("execution.start", graph_id="gated")
        execution = started["execution"]["id"]
        await gates["gate"].reached.wait()
        reply = await ws.result("execution.cancel", execution_id=execution, reason="enough", idempotency_key="once")
        events = await ws.events()
        again = await ws.result("execution.cancel", execution_id=execution, reason="enough", idempotency_key="once")
        late = await ws.problem("execution.cancel", execution_id=execution)

    accepted = next(event for event in events if event["type"] == "command_accepted")
    assert reply == again == {"applied_seq": accepted["seq"]}
    assert events[-2]["data"]["reason"] == "enough"
    assert (late["code"], late["current"], late["allowed"]) == ("command_not_allowed", "cancelled", ["fork"])


async def test_a_start_with_a_key_is_carried_out_once_over_each_transport(service: Service) -> None:
    body = {"state": {"count": 3}}
    async with socket(service) as ws:
        first = await ws.result("execution.start", graph_id="chain", idempotency_key="k", **body)
        await ws.events(first["subscription"])
        second = await ws.result("execution.start", graph_id="chain", idempotency_key="k", **body)
        assert seqs(await ws.events(second["subscription"])) == list(range(1, 10))
        other = await ws.problem("execution.start", graph_id="chain", idempotency_key="k")
        bad = await ws.problem("execution.start", graph_id="chain", idempotency_key="")
    over_http = await service.client.post("/graphs/chain/execute", json=body, headers={"Idempotency-Key": "k"})

    assert first["execution"] == second["execution"] == over_http.json()
    assert (other["code"], bad["code"]) == ("idempotency_mismatch", "invalid_idempotency_key")
    assert len((await service.client.get("/executions")).json()["items"]) == 1


async def test_a_request_without_an_id_is_carried_out_and_not_answered(service: Service) -> None:
    async with socket(service) as ws:
        params = {"graph_id": "chain"}
        await ws.connection.send(json.dumps({"jsonrpc": "2.0", "method": "execution.start", "params": params}))
        await ws.connection.send(json.dumps({"jsonrpc": "2.0", "method": "execution.start"}))
        events = await ws.events()
        assert not [message for message in ws.waiting if "method" not in message]

    assert seqs(events) == list(range(1, 10))


@pytest.mark.capability("WSK-04")
async def test_a_plain_request_is_told_that_a_websocket_is_needed(service: Service) -> None:
    for path in ("/ws", "/graphs/chain/ws", "/executions/any/ws"):
        answer = await service.client.get(path)

        assert (answer.status_code, answer.json()["code"]) == (400, "websocket_required")
        assert answer.headers["upgrade"] == "websocket"
        assert answer.headers["sec-websocket-version"] == "13"


async def test_socket_opens_under_the_event_loop_that_serves_people(tmp_path: Path) -> None:
    # `graphwire serve` runs uvloop, whose transports are no asyncio.Transport by their class; the other tests do not.
    async with process(tmp_path) as served, connect(f"ws://127.0.0.1:{served.port}/ws") as client:
        await client.send('{"jsonrpc": "2.0", "id": 1, "method": "execution.start", "params": {"graph_id": "chain"}}')

        reply = json.loads(await client.recv())

    assert reply["result"]["subscription"] == "s1"
