"""Dialects that know the state: told live as from the history, joined in the middle, and resumed anywhere."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.databases import on_each_database
from tests.json_patches import patched
from tests.live.control import gates
from tests.live.serving import Block, Service, parse, serving

AGENTS = Path(__file__).parent / "agents"
LINES = {"accept": "application/x-ndjson"}
PAGE = {"accept": "application/json"}
DIALECTS = ["editor", "ag-ui"]


@pytest_asyncio.fixture
async def agents(tmp_path: Path, database_url: str) -> AsyncIterator[Service]:
    async with serving(tmp_path, database_url=database_url, graphs=(AGENTS,)) as running:
        yield running


async def blocks(service: Service, execution: str, last: str | None = None, **query: Any) -> list[Block]:
    headers = {} if last is None else {"last-event-id": last}
    answer = await service.client.get(f"/executions/{execution}/events", params=query, headers=headers)
    assert answer.status_code in (200, 204), answer.text
    return parse(answer.content)


async def frames(service: Service, execution: str, **query: Any) -> list[dict[str, Any]]:
    return [block.data for block in await blocks(service, execution, **query)]


def normal(frames: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return frames without what differs from run to run."""
    changing = {"execution_id", "timestamp", "activation", "duration_ms"}

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: plain(each) for name, each in value.items() if name not in changing}
        return [plain(each) for each in value] if isinstance(value, list) else value

    return [plain(frame) for frame in frames]


ERROR = {
    "code": "exception",
    "type": "ValueError",
    "message": "no luck",
    "node": "broken",
    "attempt": 1,
    "is_transient": False,
}


@pytest.mark.capability("EVT-07")
async def test_editor_of_a_node_that_fails_and_a_run_that_goes_on(agents: Service) -> None:
    execution = (await agents.run("tolerant"))["id"]

    graph = {"graph_id": "tolerant"}
    broken = {**graph, "node_id": "broken", "node_name": "Breaks"}
    after = {**graph, "node_id": "after", "node_name": "after"}
    failed = {"gate": None, "errors": [ERROR]}
    assert normal(await frames(agents, execution, dialect="editor")) == [
        {"event_type": "start", "seq": 1, **graph, "initial_state": {"gate": None}},
        {"event_type": "node_start", "seq": 2, **broken, "input_state": {"gate": None}},
        {
            "event_type": "node_complete",
            "seq": 3,
            **broken,
            "status": "error",
            "output_state": failed,
            "error": ERROR,
        },
        {"event_type": "node_start", "seq": 4, **after, "input_state": failed},
        {
            "event_type": "node_complete",
            "seq": 5,
            **after,
            "status": "success",
            "output_state": {**failed, "went_on": True},
        },
        {
            "event_type": "complete",
            "seq": 7,
            **graph,
            "final_state": {**failed, "went_on": True},
            "status": "error",
            "message": "completed",
        },
    ]


@pytest.mark.capability("EVT-07")
async def test_editor_of_a_run_that_ends_by_a_failure_has_error_and_then_complete(agents: Service) -> None:
    execution = (await agents.run("strict"))["id"]

    told = normal(await frames(agents, execution, dialect="editor"))

    assert [frame["event_type"] for frame in told] == ["start", "node_start", "node_complete", "error", "complete"]
    assert told[2]["status"] == "error"
    assert told[3] == {
        "event_type": "error",
        "seq": 4,
        "graph_id": "strict",
        "error": "exception",
        "message": "no luck",
        "details": ERROR,
    }
    assert told[4] == {
        "event_type": "complete",
        "seq": 5,
        "graph_id": "strict",
        "final_state": {"errors": [ERROR]},
        "status": "error",
        "message": "failed",
    }


@pytest.mark.capability("EVT-07")
async def test_editor_of_a_success_has_each_branch_with_its_own_state(agents: Service) -> None:
    execution = await agents.run("agent", seed=7, ordering="deterministic")

    told = normal(await frames(agents, execution["id"], dialect="editor"))

    of_node = {(frame["event_type"], frame.get("node_id")): frame for frame in told}
    assert told[0]["initial_state"] == {"gate": None, "notes": [], "items": [3, 4]}
    assert of_node["node_start", "search"]["input_state"] == of_node["node_complete", "greet"]["output_state"]
    assert of_node["node_complete", "left"]["output_state"]["notes"] == ["greeted", "searched", "left"]
    assert of_node["node_complete", "right"]["output_state"]["notes"] == ["greeted", "searched", "right"]
    assert of_node["node_start", "join"]["input_state"]["notes"] == ["greeted", "searched", "left", "right"]
    assert of_node["node_complete", "double"]["output_state"] is None
    assert of_node["node_complete", "each"]["output_state"]["each"] == [{"double": 6}, {"double": 8}]
    assert told[-1]["final_state"] == execution["state"]
    assert told[-1]["status"] == "success"
    assert "stream_end" not in {frame["event_type"] for frame in told}


@on_each_database
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_live_stream_and_the_history_are_the_same(agents: Service, dialect: str) -> None:
    url = f"/graphs/agent/execute/stream?dialect={dialect}"
    async with agents.client.stream("POST", url, json={"state": {"gate": "gate"}}) as answer:
        execution = answer.headers["location"].rpartition("/")[2]
        await gates["gate"].reached.wait()
        gates["gate"].opened.set()
        live = parse(await answer.aread())

    stored = await blocks(agents, execution, dialect=dialect)

    numbered = {block["data"]: block for block in live}
    assert [numbered[block["data"]]["id"] for block in stored] == [block["id"] for block in stored]
    lines = await agents.client.get(f"/executions/{execution}/events?dialect={dialect}", headers=LINES)
    assert [json.loads(line) for line in lines.text.splitlines()] == [block.data for block in stored]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_stream_that_is_cut_anywhere_and_resumed_is_the_stream_that_was_not_cut(
    agents: Service, dialect: str
) -> None:
    execution = (await agents.run("agent"))["id"]
    whole = await blocks(agents, execution, dialect=dialect)

    for count, block in enumerate(whole, 1):
        rest = await blocks(agents, execution, block["id"], dialect=dialect)
        assert [each["data"] for each in rest] == [each["data"] for each in whole[count:]]
        assert [each["id"] for each in rest] == [each["id"] for each in whole[count:]]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_pages_of_any_size_go_on_where_the_last_one_ended(agents: Service, dialect: str) -> None:
    execution = (await agents.run("agent"))["id"]
    whole = await frames(agents, execution, dialect=dialect)

    told: list[Any] = []
    query: dict[str, Any] = {"dialect": dialect, "limit": 7, "after": 0}
    for _ in range(100):
        page = (await agents.client.get(f"/executions/{execution}/events", params=query, headers=PAGE)).json()
        told += page["events"]
        query["after"] = page["next"]
        if page["ended"]:
            break

    assert told == whole


async def test_a_filter_leaves_out_events_and_not_what_is_known_of_them(agents: Service) -> None:
    execution = (await agents.run("agent"))["id"]
    whole = await frames(agents, execution, dialect="editor")

    told = await frames(agents, execution, dialect="editor", types="node_completed", nodes="join")

    assert [frame["event_type"] for frame in told] == ["node_complete", "complete"]
    assert [frame for frame in whole if frame in told] == told


async def test_a_filtered_run_has_its_start_its_end_and_in_between_all_that_changed(agents: Service) -> None:
    execution = await agents.run("agent")

    told = await frames(agents, execution["id"], dialect="ag-ui", types="node_completed", nodes="join")

    assert [frame["type"] for frame in told] == ["RUN_STARTED", "STATE_SNAPSHOT", "STATE_DELTA", "RUN_FINISHED"]
    assert patched(told[1]["snapshot"], told[2]["delta"]) == execution["state"]


async def test_who_joins_an_editor_stream_is_told_the_state_and_what_runs(agents: Service) -> None:
    execution = await agents.start("agent", state={"gate": "gate"})
    await gates["gate"].reached.wait()
    path = f"/executions/{execution}/events"
    async with agents.client.stream("GET", path, params={"dialect": "editor", "after": 2}) as answer:
        gates["gate"].opened.set()
        joined = parse(await answer.aread())

    whole = await blocks(agents, execution, dialect="editor")

    assert [block["event"] for block in joined[:2]] == ["start", "node_start"]
    assert joined[0].data["initial_state"]["gate"] == "gate"
    assert joined[1].data == whole[1].data
    assert ["id" in block for block in joined[:2]] == [False, True]
    assert [block["data"] for block in joined[2:]] == [block["data"] for block in whole[2:]]


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_place_in_the_future_and_an_unknown_execution_are_refused(agents: Service, dialect: str) -> None:
    execution = (await agents.run("strict"))["id"]

    future = await agents.client.get(f"/executions/{execution}/events", params={"dialect": dialect, "after": 6})
    unknown = await agents.client.get("/executions/none/events", params={"dialect": dialect})
    ended = await agents.client.get(f"/executions/{execution}/events", params={"dialect": dialect, "after": 5})

    assert (future.status_code, unknown.status_code, ended.status_code) == (400, 404, 204)


AG_UI = "/graphs/agent/execute/stream?dialect=ag-ui"


async def test_a_run_takes_the_input_of_ag_ui(agents: Service) -> None:
    given = {
        "threadId": "t1",
        "runId": "r1",
        "state": {"items": [], "messages": "from the state"},
        "messages": [{"id": "m1", "role": "user", "content": "Hi"}],
        "tools": [],
        "context": [{"description": "place", "value": "home"}],
        "forwardedProps": {"graphwire": {"seed": 7, "metadata": {"by": "test"}}, "theirs": 1},
        "resume": [],
    }

    answer = await agents.client.post(AG_UI, json=given)

    told = [block.data for block in parse(answer.content)]
    assert {name: told[0][name] for name in ("type", "threadId", "runId")} == {
        "type": "RUN_STARTED",
        "threadId": "t1",
        "runId": "r1",
    }
    assert told[1]["snapshot"] == {
        "gate": None,
        "notes": [],
        "items": [],
        "messages": given["messages"],
        "context": given["context"],
    }
    native = (await agents.events(answer.headers["location"].rpartition("/")[2]))[0].data["data"]
    assert native["seed"] == 7
    assert native["options"]["metadata"] == {"by": "test", "ag_ui": {"threadId": "t1", "runId": "r1"}}


@pytest.mark.parametrize("body", [b"", b"{}", b'{"state": null, "forwardedProps": null, "threadId": null}'])
async def test_an_input_may_leave_out_everything(agents: Service, body: bytes) -> None:
    answer = await agents.client.post(AG_UI, content=body, headers={"content-type": "application/json"})

    first = parse(answer.content)[0].data
    assert first["threadId"] == first["runId"] == answer.headers["location"].rpartition("/")[2]


async def test_what_is_wrong_with_an_input_is_told_and_nothing_starts(agents: Service) -> None:
    given = {"state": [], "messages": {}, "forwardedProps": {"graphwire": {"sed": 7}}}

    answer = await agents.client.post(AG_UI, json=given)

    assert answer.status_code == 422
    pointers = {problem["pointer"] for problem in answer.json()["errors"]}
    assert pointers == {"/state", "/messages", "/forwardedProps/graphwire/sed"}
    assert (await agents.client.get("/executions")).json()["items"] == []


async def test_a_run_that_is_started_again_with_its_key_is_the_same_run(agents: Service) -> None:
    headers = {"idempotency-key": "run-1"}
    first = parse((await agents.client.post(AG_UI, json={"runId": "r"}, headers=headers)).content)

    again = await agents.client.post(AG_UI, json={"runId": "r"}, headers={**headers, "last-event-id": first[5]["id"]})

    rest = [block["data"] for block in first[6:] if block.data.get("name") != "execution_progress"]
    assert [block["data"] for block in parse(again.content)] == rest


async def test_an_execution_that_was_interrupted_goes_on_in_every_dialect(tmp_path: Path) -> None:
    async with serving(tmp_path, graphs=(AGENTS,), drain_s=0.1) as first:
        execution = await first.start("agent", state={"gate": "gate"})
        await gates["gate"].reached.wait()
    async with serving(tmp_path, graphs=(AGENTS,)) as second:
        gates["gate"].opened.set()
        editor = await frames(second, execution, dialect="editor")
        agent = await frames(second, execution, dialect="ag-ui")
        joined = await frames(second, execution, dialect="ag-ui", after=editor[-1]["seq"] - 3)

    kinds = [frame["event_type"] for frame in editor]
    assert kinds[:4] == ["start", "node_start", "node_complete", "node_start"]
    assert kinds[-1] == "complete"
    assert editor[2]["error"]["code"] == "cancelled"
    types = [frame["type"] for frame in agent]
    assert types[:5] == ["RUN_STARTED", "STATE_SNAPSHOT", "STEP_STARTED", "TEXT_MESSAGE_START", "TEXT_MESSAGE_CONTENT"]
    assert any(frame["type"] == "RAW" and frame["event"]["type"] == "checkpoint_restored" for frame in agent)
    assert types[-1] == "RUN_FINISHED"
    assert [frame["type"] for frame in joined][-1] == "RUN_FINISHED"


async def test_an_execution_of_another_engine_is_told_without_states(agents: Service) -> None:
    declared = await agents.client.post("/executions", json={"graph_id": "nightly", "metadata": {"ag_ui": [1]}})
    execution = str(declared.json()["id"])
    events = [
        {"id": "1", "type": "node_started", "node_id": "fetch"},
        {"id": "2", "type": "node_started", "node_id": "parse"},
        {
            "id": "3",
            "type": "llm_chunk",
            "node_id": "fetch",
            "data": {"stream_id": "s", "text": "Hi", "is_final": False},
        },
        {"id": "4", "type": "node_completed", "node_id": "fetch", "data": {"result": 12}},
        {"id": "5", "type": "node_completed", "node_id": "parse"},
        {"id": "6", "type": "execution_completed", "data": {"state": {"pages": 12}}},
    ]
    assert (await agents.client.post(f"/executions/{execution}/events", json=events)).status_code == 200

    editor = await frames(agents, execution, dialect="editor")
    agent = await frames(agents, execution, dialect="ag-ui")

    assert [frame["event_type"] for frame in editor] == [
        "start", "node_start", "node_start", "node_complete", "node_complete", "complete"
    ]  # fmt: skip
    assert {frame.get("output_state") for frame in editor} == {None}
    assert editor[-1]["final_state"] == {"pages": 12}
    assert [frame["type"] for frame in agent] == [
        "RUN_STARTED",
        "STEP_STARTED",
        "STEP_STARTED",
        "TEXT_MESSAGE_START",
        "TEXT_MESSAGE_CONTENT",
        "TEXT_MESSAGE_END",
        "STEP_FINISHED",
        "STEP_FINISHED",
        "STATE_SNAPSHOT",
        "RUN_FINISHED",
    ]
    assert agent[0]["runId"] == execution
