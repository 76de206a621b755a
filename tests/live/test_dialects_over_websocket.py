"""Dialects over WebSockets: the frames of every other stream, with credit and filters."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.live.control import gates
from tests.live.serving import Service, parse, serving
from tests.live.sockets import Socket, refused, socket

AGENTS = Path(__file__).parent / "agents"
ALL = ["native", "editor", "bus", "scoped", "ag-ui"]


@pytest_asyncio.fixture
async def agents(tmp_path: Path) -> AsyncIterator[Service]:
    async with serving(tmp_path, graphs=(AGENTS,)) as running:
        yield running


async def frames(service: Service, execution: str, dialect: str, **query: Any) -> list[dict[str, Any]]:
    answer = await service.client.get(f"/executions/{execution}/events", params={"dialect": dialect, **query})
    return [block.data for block in parse(answer.content)]


async def told(ws: Socket) -> list[dict[str, Any]]:
    """Read up to the close; return what was told as events."""
    assert await ws.end() == (1000, "")
    return [message["params"]["event"] for message in ws.waiting if message["method"] == "event"]


@pytest.mark.parametrize("dialect", ALL)
async def test_a_socket_carries_the_frames_of_every_other_stream(agents: Service, dialect: str) -> None:
    execution = (await agents.run("agent"))["id"]

    async with socket(agents, f"/executions/{execution}/ws?dialect={dialect}") as ws:
        whole = await told(ws)
    async with socket(agents, f"/executions/{execution}/ws?dialect={dialect}&after=9") as ws:
        joined = await told(ws)
    async with socket(agents, f"/executions/{execution}/ws?dialect={dialect}&after=37") as ws:
        nothing = await told(ws)

    assert whole == await frames(agents, execution, dialect)
    assert joined == await frames(agents, execution, dialect, after=9)
    assert nothing == []


@pytest.mark.parametrize("dialect", ALL)
async def test_a_start_is_followed_in_the_dialect_that_it_asks_for(agents: Service, dialect: str) -> None:
    async with socket(agents, "/graphs/agent/ws") as ws:
        started = await ws.result("execution.start", dialect=dialect, state={"gate": "gate"})
        gates["gate"].opened.set()
        live = await told(ws)

    assert live == await frames(agents, started["execution"]["id"], dialect)


@pytest.mark.parametrize("dialect", ["editor", "ag-ui"])
async def test_credit_counts_frames(agents: Service, dialect: str) -> None:
    execution = (await agents.run("agent"))["id"]
    whole = await frames(agents, execution, dialect)

    async with socket(agents) as ws:
        name = (await ws.result("execution.subscribe", execution_id=execution, dialect=dialect, credit=1))[
            "subscription"
        ]
        got = [await ws.event()]
        while len(got) < len(whole):
            assert not ws.waiting
            await ws.result("stream.credit", subscription=name, events=2)
            got += [await ws.event() for _ in range(min(2, len(whole) - len(got)))]
        gone = await ws.problem("stream.credit", subscription=name, events=1)

    assert got == whole
    assert gone["code"] == "not_found"


async def test_a_reader_without_credit_is_told_when_the_service_stops(agents: Service) -> None:
    execution = (await agents.run("agent"))["id"]

    async with socket(agents, f"/executions/{execution}/ws?dialect=ag-ui") as idle, socket(agents) as ws:
        await told(idle)
        await ws.result("execution.subscribe", execution_id=execution, dialect="ag-ui", credit=1)
        await ws.event()
        agents.drain()
        closed = (await ws.next())["params"]["notice"]

    assert (closed["type"], closed["name"]) == ("CUSTOM", "stream_closed")
    assert closed["value"]["code"] == "shutting_down"


async def test_a_filter_that_changes_holds_from_the_next_event_on(agents: Service) -> None:
    async with socket(agents) as ws:
        started = await ws.result("execution.start", graph_id="agent", state={"gate": "gate"}, dialect="bus")
        await gates["gate"].reached.wait()
        changed = await ws.result("execution.filter", subscription=started["subscription"], types=["node_completed"])
        gates["gate"].opened.set()
        seen: list[dict[str, Any]] = []
        while not seen or seen[-1]["type"] != "execution.stream_end":
            seen.append(await ws.event())

    later = {event["type"] for event in seen if event["sequence"] >= changed["from_seq"]}
    assert later == {"execution.node_completed", "execution.completed", "execution.stream_end"}


async def test_an_unknown_dialect_is_refused(agents: Service) -> None:
    execution = (await agents.run("strict"))["id"]

    status, problem = await refused(agents, f"/executions/{execution}/ws?dialect=klingon")
    async with socket(agents) as ws:
        reply = await ws.call("execution.subscribe", execution_id=execution, dialect="klingon")

    assert (status, problem["errors"][0]["pointer"]) == (422, "/query/dialect")
    assert reply["error"]["code"] == -32602
    assert reply["error"]["data"]["errors"][0]["pointer"] == "/params/dialect"
