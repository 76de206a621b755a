"""Executions that wait for their turn: what is told of them, in which order they begin, and what a restart leaves."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.live.control import gates
from tests.live.serving import Service, serving, types
from tests.waiting import PATIENCE_S


async def status_of(service: Service, execution_id: str) -> dict[str, Any]:
    answer = await service.client.get(f"/executions/{execution_id}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def begun(service: Service, execution_id: str) -> int:
    """Wait until an execution has begun; return the number of that event."""
    query: dict[str, str | int] = {"types": "execution_started", "wait": 20, "limit": 1}
    accept = {"accept": "application/json"}
    answer = await service.client.get(f"/executions/{execution_id}/events", params=query, headers=accept)
    return int(answer.json()["events"][0]["seq"])


async def test_one_that_finds_no_room_is_accepted_and_begins_when_there_is(tmp_path: Path) -> None:
    async with serving(tmp_path, max_running=1) as service:
        first = await service.start("gated")
        answer = await service.client.post("/graphs/chain/execute", json={"priority": "high"})

        assert (answer.status_code, answer.json()["status"]) == (202, "queued")
        second = answer.json()["id"]
        seen = await status_of(service, second)
        assert (seen["status"], seen["steps"], seen["last_seq"], seen["duration_ms"]) == ("queued", 0, 1, 0)
        assert seen["queue"] == {
            "position": 1,
            "priority": "high",
            "reason": "1 execution runs (GRAPHWIRE_MAX_RUNNING)",
        }
        state = await service.client.get(f"/executions/{second}/state")
        assert state.status_code == 200
        for status, expected in (("queued", [second]), ("running", [first]), ("queued,running", [second, first])):
            listed = await service.client.get("/executions", params={"status": status})
            assert [item["id"] for item in listed.json()["items"]] == expected

        gates["gate"].opened.set()
        blocks = await service.events(second)
        assert types(blocks)[:2] == ["execution_queued", "execution_started"]
        assert (seqs := [block.data["seq"] for block in blocks if "seq" in block.data]) == list(range(1, len(seqs) + 1))
        assert blocks[0].data["data"] == seen["queue"]
        ended = await status_of(service, second)
        assert (ended["status"], ended["queue"]) == ("completed", None)


@pytest.mark.capability("SCH-08", "SCH-09")
async def test_the_more_important_one_begins_first(tmp_path: Path) -> None:
    async with serving(tmp_path, max_running=1) as service:
        first = await service.start("gated")
        waiting = {
            priority: await service.start("chain", priority=priority) for priority in ("low", "normal", "critical")
        }
        places = {priority: (await status_of(service, id))["queue"]["position"] for priority, id in waiting.items()}
        assert places == {"critical": 1, "normal": 2, "low": 3}

        gates["gate"].opened.set()
        await service.events(waiting["low"])

        at = {
            priority: (await service.events(id, types="execution_started"))[0].data["ts"]
            for priority, id in waiting.items()
        }
        assert sorted(at, key=at.__getitem__) == ["critical", "normal", "low"]
        refused = await service.client.post("/graphs/chain/execute", json={"priority": "urgent"})
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/priority")
        await service.events(first)


async def test_one_that_waits_is_cancelled_at_once(tmp_path: Path) -> None:
    async with serving(tmp_path, max_running=1) as service:
        first = await service.start("gated")
        second = await service.start("chain")
        third = await service.start("chain")

        answer = await service.client.post(f"/executions/{second}/cancel", json={"reason": "not needed"})

        assert (answer.status_code, answer.json()) == (202, {"applied_seq": 2})
        blocks = await service.events(second)
        assert types(blocks) == ["execution_queued", "command_accepted", "execution_cancelled", "stream_end"]
        ended = await status_of(service, second)
        assert (ended["status"], ended["reason"], ended["steps"]) == ("cancelled", "not needed", 0)
        assert (await status_of(service, third))["queue"]["position"] == 1
        again = await service.client.post(f"/executions/{second}/cancel")
        assert again.status_code == 409
        gates["gate"].opened.set()
        assert types(await service.events(third))[-1] == "stream_end"
        assert types(await service.events(first))[-1] == "stream_end"


async def test_more_than_may_be_accepted_are_refused(tmp_path: Path) -> None:
    async with serving(tmp_path, max_running=1, max_executions=2) as service:
        first = await service.start("gated")
        second = await service.start("chain")

        answer = await service.client.post("/graphs/chain/execute")

        assert (answer.status_code, answer.json()["code"]) == (429, "at_capacity")
        gates["gate"].opened.set()
        await service.events(first)
        await service.events(second)


async def test_the_queue_survives_the_service(tmp_path: Path) -> None:
    async with serving(tmp_path, max_running=1, drain_s=0.1) as service:
        first = await service.start("gated")
        low = await service.start("chain", priority="low", state={"greeting": "kept"})
        high = await service.start("gated", priority="high")

    gates.clear()
    async with serving(tmp_path, max_running=1) as service:
        assert (await status_of(service, first))["status"] == "running"  # it goes on, and keeps its room
        for execution, position, priority in ((high, 1, "high"), (low, 2, "low")):
            seen = await status_of(service, execution)
            assert (seen["status"], seen["queue"]["position"], seen["queue"]["priority"]) == (
                "queued",
                position,
                priority,
            )

        gates["gate"].opened.set()
        assert await begun(service, high) == 2
        blocks = await service.events(low)
        assert types(blocks)[:2] == ["execution_queued", "execution_started"]
        assert (seqs := [block.data["seq"] for block in blocks if "seq" in block.data]) == list(range(1, len(seqs) + 1))
        state = (await service.client.get(f"/executions/{low}/state")).json()["state"]
        assert state["greeting"] == "kept"


async def test_a_caller_waits_through_the_queue_for_the_result(tmp_path: Path) -> None:
    async with serving(tmp_path, max_running=1) as service, asyncio.TaskGroup() as group:
        first = await service.start("gated")
        waiting = group.create_task(service.run("chain"))
        async with asyncio.timeout(PATIENCE_S):
            await gates["gate"].reached.wait()
        gates["gate"].opened.set()

        assert (await waiting)["status"] == "completed"
        await service.events(first)


async def test_the_service_tells_of_its_queue(tmp_path: Path) -> None:
    async with serving(tmp_path, max_running=1) as service:
        first = await service.start("gated")
        second = await service.start("chain")

        query: dict[str, str | int] = {"topics": "system.queue_status", "limit": 1, "wait": 20, "after": 0}
        accept = {"accept": "application/json"}
        told = (await service.client.get("/events", params=query, headers=accept)).json()["events"][0]

        assert told["data"]["queued"] == 1
        assert (told["data"]["running"], told["data"]["max_running"]) == (1, 1)
        assert told["data"]["by_priority"] == {"normal": 1}
        gates["gate"].opened.set()
        await service.events(second)
        query["after"] = told["seq"]
        told = (await service.client.get("/events", params=query, headers=accept)).json()["events"][0]
        assert (told["data"]["queued"], told["data"]["by_priority"], told["data"]["oldest_s"]) == (0, {}, 0)
        await service.events(first)


def overlapping(id: str, **more: Any) -> dict[str, Any]:
    node = {"id": "wait", "type": "delay", "config": {"seconds": 600}}
    return {"id": id, "nodes": [node], **more}


async def declare(service: Service, definition: dict[str, Any]) -> None:
    answer = await service.client.put(f"/graphs/{definition['id']}", json=definition, headers={"If-None-Match": "*"})
    assert answer.status_code == 201, answer.text


async def test_a_graph_limits_how_many_of_it_run(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        await declare(service, overlapping("two", limits={"max_running": 2}))
        ids = [await service.start("two") for _ in range(3)]
        assert (await service.run("chain"))["status"] == "completed"

        seen = await status_of(service, ids[2])
        assert (seen["status"], seen["queue"]["position"]) == ("queued", 1)
        assert seen["queue"]["reason"] == "2 of this graph have begun (limits.max_running)"
        await service.client.post(f"/executions/{ids[0]}/cancel")
        assert await begun(service, ids[2]) == 2
        for id in ids[1:]:
            await service.client.post(f"/executions/{id}/cancel")


async def test_a_graph_may_refuse_to_be_started_again_while_it_runs(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        await declare(service, overlapping("alone", on_overlap="reject"))
        first = await service.start("alone")

        answer = await service.client.post("/graphs/alone/execute")

        assert (answer.status_code, answer.json()["code"]) == (409, "already_running")
        assert answer.json()["executions"] == [first]
        await service.client.post(f"/executions/{first}/cancel")
        await service.events(first)
        second = await service.start("alone")
        await service.client.post(f"/executions/{second}/cancel")


async def test_a_newer_start_may_take_the_place_of_the_one_that_runs(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        await declare(service, overlapping("newest", on_overlap="replace"))
        first = await service.start("newest")
        second = await service.start("newest")

        assert types(await service.events(first))[-2:] == ["execution_cancelled", "stream_end"]
        assert (await status_of(service, first))["reason"] == f"replaced by {second}"
        assert await begun(service, second) == 2
        third = await service.start("newest")
        assert await begun(service, third) == 2
        await service.client.post(f"/executions/{third}/cancel")


async def test_any_number_and_a_limit_contradict_each_other(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        wrong = overlapping("odd", on_overlap="allow", limits={"max_running": 2})

        answer = await service.client.put("/graphs/odd", json=wrong, headers={"If-None-Match": "*"})

        assert (answer.status_code, [each["pointer"] for each in answer.json()["errors"]]) == (422, ["/on_overlap"])


async def test_a_paused_one_makes_room(tmp_path: Path) -> None:
    async with serving(tmp_path, max_running=1) as service:
        await declare(service, overlapping("long"))
        first = await service.start("long")
        second = await service.start("chain")

        answer = await service.client.post(f"/executions/{first}/pause")

        assert answer.status_code == 202, answer.text
        assert types(await service.events(second))[-1] == "stream_end"
        await service.client.post(f"/executions/{first}/cancel")
        await service.events(first)
