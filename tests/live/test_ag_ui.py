"""``ag-ui`` as the clients that AG-UI publishes read it."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio

from tests import npm
from tests.live.control import gates
from tests.live.serving import Service, parse, serving

AGENTS: Final = Path(__file__).parent / "agents"
CLIENT: Final = Path(__file__).parent / "clients" / "ag_ui.mjs"

pytestmark = pytest.mark.needs("node")


@pytest_asyncio.fixture
async def agents(tmp_path: Path) -> AsyncIterator[Service]:
    async with serving(tmp_path, graphs=(AGENTS,)) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the program and the packages that it uses."""
    shutil.copy(CLIENT, tmp_path)
    (tmp_path / "node_modules").symlink_to(npm.modules())
    return tmp_path


async def client(folder: Path, *arguments: str) -> Any:
    """Run the program; it must end well, and its packages must have nothing to complain about."""
    process = await asyncio.create_subprocess_exec(
        *npm.node(folder / CLIENT.name), *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, complaints = await process.communicate()
    assert (process.returncode, complaints.decode()) == (0, "")
    return json.loads(out)


def address(service: Service, path: str) -> str:
    return f"http://127.0.0.1:{service.port}{path}"


async def frames(service: Service, execution: str, **query: Any) -> list[dict[str, Any]]:
    answer = await service.client.get(f"/executions/{execution}/events", params={"dialect": "ag-ui", **query})
    assert answer.status_code == 200, answer.text
    return [block.data for block in parse(answer.content)]


async def test_an_agent_of_ag_ui_runs_a_graph(agents: Service, folder: Path) -> None:
    given = {
        "threadId": "thread-1",
        "initialState": {"items": [1]},
        "initialMessages": [{"id": "m1", "role": "user", "content": "Hi"}],
    }

    seen = await client(folder, "run", address(agents, "/graphs/agent/execute/stream?dialect=ag-ui"), json.dumps(given))

    (listed,) = (await agents.client.get("/executions")).json()["items"]
    state = (await agents.client.get(f"/executions/{listed['id']}/state")).json()["state"]
    assert seen["state"] == state
    assert state["items"] == [1, 5]
    assert state["messages"][0]["content"] == "Hi"
    assert seen["events"][0]["threadId"] == "thread-1"
    assert seen["events"][-1]["type"] == "RUN_FINISHED"
    said = [message["content"] for message in seen["messages"] if message.get("content")]
    assert said == ["Hello, wörld\u2028", '{"hits":2}', "I found", "1"]
    (call,) = [call for message in seen["messages"] for call in message.get("toolCalls", ()) if call["id"] == "c1"]
    assert call["function"] == {"name": "search", "arguments": '{"q":"x"}'}


async def test_a_run_that_fails_is_an_error_to_an_agent(agents: Service, folder: Path) -> None:
    seen = await client(folder, "run", address(agents, "/graphs/strict/execute/stream?dialect=ag-ui"))

    assert seen["error"]["message"] == "no luck"
    assert seen["error"]["code"] == "exception"


async def test_an_agent_joins_a_run_in_the_middle(agents: Service, folder: Path) -> None:
    execution = await agents.start("agent", state={"gate": "gate"})
    await gates["gate"].reached.wait()

    gates["gate"].opened.set()
    seen = await client(folder, "join", address(agents, f"/executions/{execution}/events?dialect=ag-ui&after=3"))

    state = (await agents.client.get(f"/executions/{execution}/state")).json()["state"]
    assert seen["state"] == state
    assert [event["type"] for event in seen["events"][:4]] == [
        "RUN_STARTED", "STATE_SNAPSHOT", "STEP_STARTED", "TEXT_MESSAGE_START"
    ]  # fmt: skip
    assert seen["events"][1]["snapshot"]["gate"] == "gate"
    assert seen["messages"][0]["content"] == "lo, wörld\u2028"


async def complaints(folder: Path, sequences: list[list[dict[str, Any]]]) -> list[str]:
    """Return what the published schemas and checks have against sequences of events."""
    (folder / "sequences.json").write_text(json.dumps(sequences))
    return [complaint for complaint in await client(folder, "verify", str(folder / "sequences.json")) if complaint]


async def test_whatever_a_client_asks_for_is_a_run_to_the_published_checks(agents: Service, folder: Path) -> None:
    """Joined behind any event, filtered in any way, of a success, a failure, and one that went on."""
    sequences = []
    for graph in ("agent", "strict", "tolerant"):
        execution = await agents.run(graph)
        id = execution["id"]
        sequences += [await frames(agents, id, after=place) for place in range(execution["last_seq"])]
        for kind in ("node_started", "node_completed", "llm_chunk", "node_message", "execution_failed"):
            sequences.append(await frames(agents, id, types=kind))
    sequences += [await frames(agents, await agents.start("tolerant"), nodes=node) for node in ("broken", "after")]

    assert await complaints(folder, sequences) == []
    assert await complaints(folder, [sequences[0][1:], sequences[0] + sequences[0][:1] + sequences[0][:1]]) != []


async def test_a_stream_that_is_cut_behind_any_frame_and_resumed_is_one_run(agents: Service, folder: Path) -> None:
    execution = (await agents.run("agent"))["id"]
    path = f"/executions/{execution}/events?dialect=ag-ui"
    whole = parse((await agents.client.get(path)).content)

    sequences = []
    for count, block in enumerate(whole, 1):
        rest = await agents.client.get(path, headers={"last-event-id": block["id"]})
        sequences.append([each.data for each in [*whole[:count], *parse(rest.content)]])

    assert all(sequence == sequences[-1] for sequence in sequences)
    assert await complaints(folder, sequences[:1]) == []
    assert [block["id"] for block in whole[:3]] == ["1.1", "1", "2"]
    assert all("event" not in block for block in whole)
