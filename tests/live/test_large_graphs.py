"""Large graphs: nobody else waits for them, and what is known of a version is not found out twice."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from app.services import derived
from tests.live.serving import Service, serving

NODES = 400


def definition(nodes: int, **fields: Any) -> dict[str, Any]:
    made = [{"id": f"n{number}", "type": "transform", "config": {"set": {"x": "1"}}} for number in range(nodes)]
    edges = [{"source": f"n{number}", "target": f"n{number + 1}"} for number in range(nodes - 1)]
    return {"id": "large", "nodes": made, "edges": edges, **fields}


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[bool]]:
    """Per step of the work on a definition, whether each of its calls was made on the event loop's thread."""
    calls: dict[str, list[bool]] = {"examined": [], "validate": [], "compile_plan": []}
    for name, made in calls.items():
        original = getattr(derived, name)

        def noted(*arguments: Any, original: Any = original, made: list[bool] = made, **keywords: Any) -> Any:
            made.append(threading.current_thread() is threading.main_thread())
            return original(*arguments, **keywords)

        monkeypatch.setattr(derived, name, noted)
    return calls


async def test_a_large_graph_is_worked_on_beside_the_loop_and_once(
    service: Service, threads: dict[str, list[bool]]
) -> None:
    created = await service.client.post("/graphs", json=definition(NODES))
    started = await asyncio.gather(*(service.client.post("/graphs/large/execute") for _ in range(5)))
    shown = [await service.client.get("/graphs/large") for _ in range(3)]

    assert created.status_code == 201
    assert [answer.status_code for answer in started] == [202] * 5
    assert {answer.json()["version"] for answer in shown} == {1}
    assert threads["examined"] == [False]
    assert threads["compile_plan"] == [False]
    assert threads["validate"] == []


async def test_a_small_graph_is_worked_on_at_once(service: Service, threads: dict[str, list[bool]]) -> None:
    await service.client.post("/graphs", json=definition(3))
    await service.run("large")

    assert threads["examined"] == [True]
    assert threads["compile_plan"] == [True]


@pytest.mark.parametrize(("cache_bytes", "compiled"), [(2**30, 2), (2**20, 3)])
async def test_what_is_remembered_of_graphs_is_bounded_by_its_bytes(
    tmp_path: Path, threads: dict[str, list[bool]], cache_bytes: int, compiled: int
) -> None:
    async with serving(tmp_path, cache_bytes=cache_bytes) as service:
        for id in ("one", "two"):
            created = await service.client.post("/graphs", json=definition(NODES, id=id))
            assert created.status_code == 201
        for id in ("one", "one", "two", "two", "one"):
            started = await service.client.post(f"/graphs/{id}/execute")
            assert started.status_code == 202

    assert len(threads["compile_plan"]) == compiled
