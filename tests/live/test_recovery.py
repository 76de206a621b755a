"""What a server leaves that is killed goes on in the next one, as if nothing had happened."""

import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.databases import on_each_database
from tests.live.processes import Served, process
from tests.live.serving import http_client

ROUNDS = 40
MIXED = {
    "id": "mixed",
    "state": {"initial": {"n": 0, "items": list(range(12))}, "reducers": {"log": "append"}},
    "nodes": [
        {"id": "start", "type": "transform", "config": {"set": {"began": "true"}}},
        {"id": "count", "type": "transform", "config": {"set": {"n": "state.n + 1", "log": "state.n"}}},
        {"id": "nap", "type": "delay", "config": {"seconds": 0.005}},
        {
            "id": "each",
            "type": "foreach",
            "config": {
                "items": "state.items",
                "max_parallelism": 3,
                "body": {
                    "nodes": [
                        {"id": "rest", "type": "delay", "config": {"seconds": 0.01}},
                        {"id": "double", "type": "transform", "config": {"set": {"twice": "state.item * 2"}}},
                    ],
                    "edges": [{"source": "rest", "target": "double"}],
                },
            },
        },
        {"id": "long", "type": "delay", "config": {"seconds": 1.2}},
        {"id": "end", "type": "transform", "config": {"set": {"ended": "true"}}},
    ],
    "edges": [
        {"source": "start", "target": "count"},
        {"source": "start", "target": "each"},
        {"source": "start", "target": "long"},
        {"source": "count", "target": "nap", "when": f"state.n < {ROUNDS}"},
        {"source": "nap", "target": "count"},
        {"source": "count", "target": "end", "else": True},
        {"source": "each", "target": "end"},
        {"source": "long", "target": "end"},
    ],
}


async def events_until(served: Served, execution: str, count: int, after: int) -> list[dict[str, Any]]:
    """Read events until so many came, or the end."""
    found: list[dict[str, Any]] = []
    headers = {"Accept": "application/json"}
    async with http_client() as client:
        while len(found) < count:
            answer = await client.get(
                f"{served.address}{execution}/events?after={after}&wait=5&limit={min(1000, count - len(found))}",
                headers=headers,
            )
            assert answer.status_code == 200, answer.text
            page = answer.json()
            found += page["events"]
            after = page["next"]
            if page["ended"]:
                break
    return found


def folded(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a reader keeps of the events: those above ``valid_to`` are dropped."""
    kept: list[dict[str, Any]] = []
    for event in events:
        if event["type"] == "checkpoint_restored":
            kept = [each for each in kept if each["seq"] <= event["data"]["valid_to"]]
        kept.append(event)
    return kept


@on_each_database
@pytest.mark.bad_input(128)
@pytest.mark.parametrize("cuts", [(8,), (60, 20), (1, 1, 1)])
async def test_a_killed_execution_ends_as_one_that_was_never_cut(
    tmp_path: Path, database_url: str, cuts: tuple[int, ...]
) -> None:
    seen: list[dict[str, Any]] = []
    execution = whole = ""
    for number, cut in enumerate((*cuts, 1 << 20)):
        began = time.monotonic()
        async with process(tmp_path, GRAPHWIRE_DATABASE_URL=database_url) as served, http_client() as client:
            if not number:
                assert (await client.post(f"{served.address}/graphs", json=MIXED)).status_code == 201
                execution = (await client.post(f"{served.address}/graphs/mixed/execute", json={})).headers["location"]
            else:
                assert (await client.get(f"{served.address}{execution}")).json()["status"] == "running"
                assert time.monotonic() - began < 60
            seen += await events_until(served, execution, cut, seen[-1]["seq"] if seen else 0)
            if cut < 1 << 20:
                served.process.send_signal(signal.SIGKILL)
                await served.process.wait()
            else:
                whole = (await client.post(f"{served.address}/graphs/mixed/execute/wait", json={})).json()["state"]
                stored = await events_until(served, execution, 1 << 20, 0)
                shown = (await client.get(f"{served.address}{execution}")).json()

    assert folded(seen) == folded(stored), "a reader that resumed folds to what is stored"
    numbers = [event["seq"] for event in stored]
    assert numbers == sorted(set(numbers))
    ended = [event["activation"] for event in stored if event["type"] == "node_completed"]
    assert len(ended) == len(set(ended)), "what was committed ran again"
    completed = next(event for event in stored if event["type"] == "execution_completed")
    assert completed["data"]["state"] == whole
    assert completed["data"]["state"]["log"] == list(range(ROUNDS))
    assert shown["status"] == "completed"
    assert stored[-1]["data"]["total_events"] == len(stored)


@on_each_database
@pytest.mark.bad_input(101)
async def test_what_was_paused_stays_paused_in_the_next_process_and_goes_on_when_it_is_told(
    tmp_path: Path, database_url: str
) -> None:
    async with process(tmp_path, GRAPHWIRE_DATABASE_URL=database_url) as served, http_client(served.address) as client:
        assert (await client.post("/graphs", json=MIXED)).status_code == 201
        execution = (await client.post("/graphs/mixed/execute", json={})).headers["location"]
        await events_until(served, execution, 8, 0)
        assert (await client.post(f"{execution}/pause")).status_code == 202
        while (await client.get(execution)).json()["status"] != "paused":
            continue
        served.process.send_signal(signal.SIGKILL)
        await served.process.wait()
    async with process(tmp_path, GRAPHWIRE_DATABASE_URL=database_url) as served, http_client(served.address) as client:
        assert (await client.get(execution)).json()["status"] == "paused"
        assert (await client.post(f"{execution}/resume")).status_code == 202
        stored = await events_until(served, execution, 1 << 20, 0)
        shown = (await client.get(execution)).json()

    assert shown["status"] == "completed"
    completed = next(event for event in stored if event["type"] == "execution_completed")
    assert completed["data"]["state"]["log"] == list(range(ROUNDS))
