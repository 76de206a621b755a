"""What a killed server leaves of loops, graphs in graphs and questions goes on in the next one."""

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.live.processes import process
from tests.live.serving import http_client
from tests.live.test_recovery import events_until

INNER = {
    "id": "inner",
    "state": {"reducers": {"log": "append"}},
    "nodes": [
        {"id": "ask", "type": "human_input", "config": {"prompt": "{{ state.n }}?", "by": "who"}, "output": "answer"},
        {"id": "after", "type": "transform", "config": {"set": {"log": "'old ' + state.answer"}}},
    ],
    "edges": [{"source": "ask", "target": "after"}],
}
NEWER: dict[str, Any] = {
    **INNER,
    "nodes": [INNER["nodes"][0], {**INNER["nodes"][1], "config": {"set": {"log": "'new'"}}}],  # type: ignore[index]
}
OUTER = {
    "id": "outer",
    "state": {"initial": {"n": 0, "log": []}, "reducers": {"log": "append"}},
    "nodes": [
        {
            "id": "loop",
            "type": "while",
            "config": {
                "condition": "state.n < 40",
                "body": {
                    "nodes": [
                        {"id": "count", "type": "transform", "config": {"set": {"n": "state.n + 1", "log": "state.n"}}},
                        {"id": "nap", "type": "delay", "config": {"seconds": 0.005}},
                    ],
                    "edges": [{"source": "count", "target": "nap"}],
                },
            },
        },
        {
            "id": "pick",
            "type": "switch",
            "config": {"cases": [{"when": "state.n == 40", "then": "sub"}], "default": "never"},
        },
        {"id": "sub", "type": "subgraph", "config": {"graph": "inner"}},
        {"id": "never", "type": "transform"},
    ],
    "edges": [
        {"source": "loop", "target": "pick"},
        {"source": "pick", "target": "sub"},
        {"source": "pick", "target": "never"},
    ],
}


@pytest.mark.capability("NOD-06", "NOD-08", "NOD-11")
async def test_a_loop_and_a_question_in_another_graph_survive_a_kill_each(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'kept.db'}"
    async with process(tmp_path, GRAPHWIRE_DATABASE_URL=url) as served, http_client() as client:
        for graph in (INNER, OUTER):
            assert (await client.post(f"{served.address}/graphs", json=graph)).status_code == 201
        execution = (await client.post(f"{served.address}/graphs/outer/execute", json={})).headers["location"]
        seen = await events_until(served, execution, 60, 0)
        served.process.send_signal(signal.SIGKILL)
        await served.process.wait()

    async with process(tmp_path, GRAPHWIRE_DATABASE_URL=url) as served, http_client() as client:
        after = seen[-1]["seq"]
        while not any(event["type"] == "execution_paused" for event in seen):
            seen += await events_until(served, execution, 1, after)
            after = seen[-1]["seq"]
        newer = await client.put(f"{served.address}/graphs/inner", json=NEWER, headers={"If-Match": "*"})
        assert newer.status_code == 200
        served.process.send_signal(signal.SIGKILL)
        await served.process.wait()

    async with process(tmp_path, GRAPHWIRE_DATABASE_URL=url) as served, http_client() as client:
        shown = (await client.get(f"{served.address}{execution}")).json()
        (question,) = shown["interrupts"]
        answer = {"interrupt_id": question["interrupt_id"], "value": "yes"}
        assert (await client.post(f"{served.address}{execution}/input", json=answer)).status_code == 202
        stored = await events_until(served, execution, 1 << 20, 0)

    assert (shown["status"], question["payload"]) == ("paused", {"prompt": "40?"})
    ended = [event["activation"] for event in stored if event["type"] == "node_completed"]
    assert len(ended) == len(set(ended)), "what was committed ran again"
    state = next(event for event in stored if event["type"] == "execution_completed")["data"]["state"]
    assert state["log"] == [*range(40), "old yes"]
    assert (state["n"], state["answer"]) == (40, "yes")
