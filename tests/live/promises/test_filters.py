"""Promise 7: filters keep the numbers, and never hide what a reader must see."""

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.live.promises.following import Follower, cuts_of
from tests.live.promises.forms import Session
from tests.live.promises.live import Telling, texts_of
from tests.live.promises.random_graphs import random_graph
from tests.live.serving import Service, serving

TYPES = ("node_started", "node_completed", "node_failed", "join_released", "diagnostic", "node_cancelled")
SHOWN_ALWAYS = {"execution_completed", "execution_failed", "execution_cancelled", "stream_end", "checkpoint_restored"}


def is_wanted(line: bytes, types: set[str] | None, nodes: set[str] | None) -> bool:
    """Say again what a filter is to do."""
    event: dict[str, Any] = json.loads(line)
    if event["type"] in SHOWN_ALWAYS:
        return True
    if types is not None and event["type"] not in types:
        return False
    return nodes is None or event.get("node_id") is None or event["node_id"] in nodes


@pytest.mark.capability("SSE-12")
@pytest.mark.bad_input(77)
@pytest.mark.parametrize("graphs", [8, pytest.param(200, marks=pytest.mark.long)])
async def test_a_filter_shows_what_it_names_and_the_end_whatever_is_cut(
    tmp_path: Path, form: type[Session], graphs: int
) -> None:
    chance = random.Random(f"filters {form.name}")
    async with serving(tmp_path, ring_events=4, within_s=600) as service:
        for seed in range(graphs):
            definition = random_graph(f"filtered{seed}", seed)
            await service.client.post("/graphs", json=definition)
            execution = (await service.run(definition["id"]))["id"]
            whole = Follower(form, service.port, execution)
            await whole.follow()
            types = set(chance.sample(TYPES, k=chance.randint(1, 4))) if chance.random() < 0.7 else None
            known = [node["id"] for node in definition["nodes"]]
            nodes = set(chance.sample(known, k=chance.randint(1, len(known)))) if chance.random() < 0.7 else None
            query = {"types": ",".join(types or ()), "nodes": ",".join(nodes or ())}
            follower = Follower(form, service.port, execution, query=query)

            await follower.follow_with_cuts(cuts_of(chance, 2, largest=2_000), chance)

            assert follower.lines == [line for line in whole.lines if is_wanted(line, types, nodes)]


async def test_a_live_reader_with_a_filter_gets_the_same_as_a_late_one(tmp_path: Path, form: type[Session]) -> None:
    async with serving(tmp_path, ring_events=2) as service:
        shown = {"types": "node_completed"}
        telling = await Telling.start(service, "filter", texts_of(random.Random(1), 6))
        live = Follower(form, service.port, telling.execution, query=shown)
        plain = Follower(form, service.port, telling.execution, watch=telling.watch)
        async with asyncio.TaskGroup() as group:
            group.create_task(live.follow())
            group.create_task(plain.follow())
        late = Follower(form, service.port, telling.execution, query=shown)
        await late.follow()

    assert live.lines == late.lines == plain.lines[-3:]


@pytest.mark.bad_input(77)
async def test_a_filter_that_names_what_does_not_exist_is_refused(service: Service, form: type[Session]) -> None:
    execution = (await service.run("chain"))["id"]

    for query in ({"types": "node_strated"}, {"nodes": "secnd"}, {"types": "x," * 1_000}):
        async with Follower(form, service.port, execution, query=query).connected() as connection:
            assert await connection.end() == "refused"
        assert connection.session.status == 422
        assert 1 <= len(connection.session.problem["errors"]) <= 100
